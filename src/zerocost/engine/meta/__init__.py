"""The results of calls on the meta device, where torch's own kernels are slow."""
