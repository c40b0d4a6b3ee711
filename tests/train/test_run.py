from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zerocost.train import Epoch, Run, TrainingInterrupted, frame

numbers = st.floats(allow_nan=False, allow_infinity=False)
epochs = st.builds(Epoch, st.integers(1, 99), numbers, numbers, st.floats(0, 1), st.floats(0, 1e6))
runs = st.builds(
    Run.of,
    st.text(),
    st.integers(),
    st.lists(epochs, max_size=4),
    st.none() | st.just(Path("some/best.pt")),
    failure=st.none() | st.text(),
    stopped=st.booleans(),
)


@given(runs)
def test_a_run_comes_back_from_json_as_it_was(run: Run) -> None:
    assert Run.from_dict(json.loads(json.dumps(run.to_dict()))) == run


def test_accuracy_is_the_best_of_the_curve_and_seconds_its_sum() -> None:
    curve = [Epoch(1, 1.0, 1.0, 0.5, 1.5), Epoch(2, 0.5, 0.9, 0.75, 1.0), Epoch(3, 0.1, 1.2, 0.5, 1.0)]
    run = Run.of("a", 3, curve)
    assert (run.accuracy, run.seconds, run.seed) == (0.75, 3.5, 3)
    assert Run.of("a", 3, []).accuracy is None


def test_the_frame_has_one_row_a_run() -> None:
    good = Run.of("a", 0, [Epoch(1, 1.0, 1.0, 0.5, 2.0)])
    bad = Run.of("b", 1, [], failure="building the network raised ValueError: no")
    table = frame([good, bad])
    assert list(table.columns) == ["name", "seed", "accuracy", "epochs", "seconds", "failure"]
    assert table.loc[0].tolist() == ["a", 0, 0.5, 1, 2.0, None]
    assert table.loc[1, "failure"] == bad.failure
    assert math.isnan(table.loc[1, "accuracy"])
    assert table.dtypes[["seed", "accuracy", "epochs", "seconds"]].astype(str).tolist() == [
        "int64",
        "float64",
        "int64",
        "float64",
    ]
    assert list(frame([]).columns) == list(table.columns)


def test_interrupted_passes_for_ctrl_c_and_carries_the_runs() -> None:
    run = Run.of("a", 0, [])
    with pytest.raises(KeyboardInterrupt) as caught:
        raise TrainingInterrupted([run])
    assert caught.value.runs == [run]
