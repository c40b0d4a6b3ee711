"""The tools people already use: their models scored, their searches filtered by score."""
