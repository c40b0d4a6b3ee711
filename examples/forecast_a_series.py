"""From a time series to a network that forecasts it: the next 6 hours of a demand after 48 hours, in a CSV."""

import sys
import tempfile

import numpy as np
import pandas as pd
import torch

import zerocost as zc

rng, hours = np.random.default_rng(0), np.arange(700)
demand = 100 + 20 * np.sin(hours * 2 * np.pi / 24) + 10 * (hours // 24 % 7 < 5) + rng.normal(0, 3, len(hours)).cumsum()
with tempfile.TemporaryDirectory() as folder:
    pd.DataFrame({"hour": hours % 24, "demand": demand}).to_csv(f"{folder}/load.csv", index=False)

    settings = {"candidates": 15, "keep": 2, "epochs": 4, "workdir": f"{folder}/trainings"}
    found = zc.search("tcn", f"series:{folder}/load.csv:demand:48:6", metric="mean_absolute_error", **settings)
    for title, runs in (("survivors", found.survivors), ("random picks", found.random)):
        print(f"{title:<13}{found.metric_name}:", *(f"{run.metric:.3f}" for run in runs))
    found.export(f"{folder}/demand_network")

    sys.path.append(folder)  # from here on as on another machine, without zerocost
    from demand_network import network

    mean, deviation = network.settings()["outputs"]["target_scale"]
    last = pd.read_csv(f"{folder}/load.csv").tail(48)
    forecast = mean + deviation * network.load()(network.prepare(torch.tensor(last.to_numpy())[None]))
    print(f"\n{found.best}\nforecasts", forecast[0].round().tolist())
