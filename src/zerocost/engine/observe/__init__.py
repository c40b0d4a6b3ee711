"""One forward pass shown to watchers."""
