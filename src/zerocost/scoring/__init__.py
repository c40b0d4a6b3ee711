"""Scoring: one network, many, and the table that they make."""
