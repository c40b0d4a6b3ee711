"""Batches and datasets from whatever holds the data: tensors, loaders, folders, CIFAR files, embedded digits."""

from zerocost.data.batch import Batch, draw, validate
from zerocost.data.dataset import load, split
from zerocost.data.sources import SOURCES

__all__ = ["SOURCES", "Batch", "draw", "load", "split", "validate"]
