"""Proxies judged against trained truth."""
