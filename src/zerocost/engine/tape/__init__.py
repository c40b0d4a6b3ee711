"""The operations of one forward pass, and what of it is in memory."""
