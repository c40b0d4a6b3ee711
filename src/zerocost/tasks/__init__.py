"""What a network's outputs are for: the loss, the metric with its direction, and which output is meant."""

from zerocost.tasks.task import TASKS, Task, classification, multilabel, next_token, regression, segmentation

__all__ = ["TASKS", "Task", "classification", "multilabel", "next_token", "regression", "segmentation"]
