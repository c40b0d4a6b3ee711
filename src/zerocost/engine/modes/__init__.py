"""Modes that a network runs in, which see its calls and may change them."""
