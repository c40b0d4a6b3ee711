"""The model that is measured: its tensors, its state, and how it is run."""
