"""Searching a space: what an architecture costs, which ones are allowed, and what was found."""
