"""What is followed from tensor to tensor through a network's calls: samples, channels, activations, layers."""
