"""One file for the watchers of a kind of signal: what they see in a pass."""
