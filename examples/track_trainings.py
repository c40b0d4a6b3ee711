"""Rank three networks, train the best two, and find them in MLflow, each a run with its scores and epochs.

MLflow keeps them in a file, here in a temporary folder. For one of your own,
`mlflow ui --backend-store-uri sqlite:///mlflow.db` of the full package mlflow shows it. It needs the extra mlflow.
"""

import tempfile
from functools import partial

from mlflow.tracking import MlflowClient
from torch import nn

import zerocost as zc


def network(width: int) -> nn.Module:
    return nn.Sequential(nn.Flatten(), nn.Linear(192, width), nn.ReLU(), nn.Linear(width, 10))


train, validation = zc.data.split(zc.data.load("digits:8"))
table = zc.rank({f"width={width}": partial(network, width) for width in (4, 16, 64)}, train, "snip,jacob_cov")

with tempfile.TemporaryDirectory() as folder:
    store = f"sqlite:///{folder}/mlflow.db"
    zc.train(zc.select(table, top=2), train=train, validation=validation, epochs=2, logger=f"mlflow:{store}")

    client = MlflowClient(store)
    experiment = client.get_experiment_by_name("zerocost")
    for run in client.search_runs([experiment.experiment_id], order_by=["metrics.accuracy DESC"]):
        score, accuracy = float(run.data.params["score.rank_score"]), run.data.metrics["accuracy"]
        epochs = len(client.get_metric_history(run.info.run_id, "accuracy"))
        print(f"{run.info.run_name}: {run.info.status}, score {score:.2f}, accuracy {accuracy:.3f}, {epochs} epochs")
