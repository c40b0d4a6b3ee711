"""From a table to a network that predicts a number: the progression of diabetes, in a CSV of scikit-learn's data."""

import sys
import tempfile

import torch
from sklearn.datasets import load_diabetes

import zerocost as zc

frame = load_diabetes(as_frame=True).frame
with tempfile.TemporaryDirectory() as folder:
    frame.to_csv(f"{folder}/diabetes.csv", index=False)

    settings = {"candidates": 20, "keep": 2, "epochs": 10, "workdir": f"{folder}/trainings"}
    found = zc.search("mlp", f"csv:{folder}/diabetes.csv:target", metric="mean_absolute_error", **settings)
    for title, runs in (("survivors", found.survivors), ("random picks", found.random)):
        print(f"{title:<13}{found.metric_name}:", *(f"{run.metric:.3f}" for run in runs))
    found.export(f"{folder}/diabetes_network")

    sys.path.append(folder)  # from here on as on another machine, without zerocost
    from diabetes_network import network

    mean, deviation = network.settings()["outputs"]["target_scale"]
    rows = torch.tensor(frame.drop(columns="target").to_numpy())
    predicted = mean + deviation * network.load()(network.prepare(rows)).flatten()
    print(f"\n{found.best}\npredicts", predicted[:3].round().tolist(), "for", frame.target[:3].tolist())
