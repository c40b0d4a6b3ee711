from __future__ import annotations

import json
import re
from html.parser import HTMLParser

import pytest

from benchmarks.tiny import evaluation
from zerocost import report
from zerocost.base.errors import InputError
from zerocost.evaluation.tables import BASELINES, tabulate_statistics
from zerocost.report import evaluation as page
from zerocost.report import evaluation_figures as figures


class Reader(HTMLParser):
    """The text of a page, its element ids, and the scripts that hold data."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.ids: set[str] = set()
        self.text = ""
        self.data: dict[str, str] = {}
        self._inside = ""
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        found = dict(attributes)
        self._inside = tag if tag in ("script", "style") else ""
        if "id" in found:
            self.ids.add(found["id"])
            self._inside = self._inside and f"{tag} {found['id']}"

    def handle_endtag(self, tag):
        self._inside = ""

    def handle_data(self, data):
        if not self._inside:
            self.text += data
        elif " " in self._inside:
            self.data[self._inside.split()[1]] = data


@pytest.fixture(scope="module")
def made():
    return evaluation()


@pytest.fixture(scope="module")
def read(made):
    return Reader(page.render_evaluation(made))


def test_every_plot_has_its_place(read):
    plots = json.loads(read.data["figures"])
    assert plots.keys() <= read.ids
    assert {"regret", "paired", "correlations", "bars-kendall", "scatter-0"} <= plots.keys()


def test_the_answer_is_the_best_score_beside_the_best_baseline(read, made):
    assert "good ranks these architectures better than" in read.text
    assert page.value_with_interval(made.table, "good", "kendall") in read.text
    assert "12of" in "".join(read.text.split())


def test_names_are_text_and_reasons_are_grouped(read):
    assert "bad<br>" in read.text
    assert "no gradient in layer …" in read.text


@pytest.mark.parametrize(("proxies", "last"), [(("good", "bad"), "failed"), (("params",), "regret@5")])
def test_statistics_stand_in_two_tables_and_the_failed_where_there_are_any(proxies, last):
    parts = page.render_evaluation(evaluation(n=20, proxies=proxies)).split('<table class="evaluation">')
    ranks, best = (re.findall(r'<th scope="col"[^>]*>([^<]*)', part.split("</thead>")[0]) for part in parts[1:])
    assert (ranks[1], len(ranks), best[1], best[-1]) == ("Spearman ρ", 7, "nDCG", last)


def test_a_proxy_that_is_worse_than_size_is_said_to_be():
    lost = evaluation(n=120, proxies=("good", "bad"))
    lost.scores["good"] *= -1
    table = lost.table.copy()
    table.loc["good", "kendall"] = -1.0
    table.loc["all together", "kendall"] = -1.0
    lost = type(lost)(**vars(lost) | {"table": table})
    assert page.best_score_and_baseline(lost) == ("bad", "params")
    assert page.baseline_verdict(lost) == "No score ranks these architectures better than params does."


def test_baselines_alone_make_a_page():
    plain = evaluation(proxies=("params",))
    assert page.baseline_verdict(plain) == ""
    assert "Best score" in page.render_evaluation(plain)


@pytest.mark.parametrize(
    ("constant", "labels"),
    [("truth", []), (["good", "all together"], ["Best baseline"]), (list(BASELINES), ["Best score"])],
)
def test_nothing_is_claimed_of_an_undefined_correlation(constant, labels):
    made = evaluation(proxies=("good",))
    scores, truth = made.scores.copy(), made.truth
    if constant == "truth":
        truth = truth * 0 + 70
    else:
        scores[constant] = 1.0
    table, paired = tabulate_statistics(scores, truth, k=5, resamples=20, seed=0)
    made = type(made)(**vars(made) | {"scores": scores, "truth": truth, "table": table, "paired": paired})
    assert page.baseline_verdict(made).endswith("is undefined: its values, or the truth's, are all equal.")
    shown = Reader(page.render_evaluation(made)).text
    assert [label for label in ("Best score", "Best baseline", "Difference in τ") if label in shown] == labels


def test_write_takes_an_evaluation_and_gives_the_same_bytes(made, tmp_path):
    first, second = (report.write(made, tmp_path / name).read_bytes() for name in ("a.html", "b.html"))
    assert first == second


def test_differences_show_a_number_only_where_the_interval_excludes_0(made):
    rows = made.paired[made.paired["statistic"] == "kendall"]
    names = list(made.table.index)
    [heat] = figures.difference_heatmap(rows, names).data
    for i, first in enumerate(names):
        for j, second in enumerate(names):
            if i != j:
                gap = made.compare(first, second)
                assert bool(heat.text[i][j]) == (gap.low > 0 or gap.high < 0)
                assert heat.z[i][j] == pytest.approx(gap.value)


def test_every_line_of_regret_is_named_beside_the_plot(made):
    """In the plot, a legend of many names leaves no room for the lines on a phone."""
    legend = page.render_evaluation(made).split('<p class="legend lines">')[1].split("</p>")[0]
    names = ["good", "bad&lt;br&gt;", "broken", "all together", *BASELINES, "random"]
    assert re.findall(r"</i>([^<]*)", legend) == names
    assert legend.count("dotted") == 1


def test_a_failed_score_is_not_drawn(made):
    [points] = figures.score_scatter(made.scores.loc[0]["broken"], made.truth, "broken", "accuracy", "red").data
    assert len(points.x) == 40 - 6


def test_a_score_that_always_failed_has_no_empty_plot(made):
    scores = made.scores.assign(broken=float("nan"))
    shown = page.render_evaluation(type(made)(**vars(made) | {"scores": scores}))
    assert shown.count('"scatter-') == page.render_evaluation(made).count('"scatter-') - 2  # its place and its figure


def test_power_is_refused_as_an_evaluation_saves_nothing(made, tmp_path):
    with pytest.raises(InputError, match="trains nothing"):
        report.write(made, tmp_path / "page.html", watts=200.0)
    assert not list(tmp_path.iterdir())
