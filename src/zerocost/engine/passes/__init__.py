"""One file a pass: what it runs, and the signals that it delivers."""
