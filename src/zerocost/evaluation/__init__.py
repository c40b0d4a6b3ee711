"""Proxies compared with trained truth."""
