"""Selective training: train the candidates that were kept, resume after a kill, keep what an error leaves."""

from zerocost.train.halving import halving
from zerocost.train.run import Epoch, Run, TrainingInterrupted, frame
from zerocost.train.trainer import train

__all__ = ["Epoch", "Run", "TrainingInterrupted", "frame", "halving", "train"]
