from __future__ import annotations

import json
import re
import shutil
import subprocess
import zlib
from base64 import b64decode
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest
import torch
from plotly.offline import get_plotlyjs_version
from torch import nn

import zerocost as zc
from zerocost.base import format as fmt
from zerocost.base.errors import InputError
from zerocost.report import sections, write
from zerocost.report.page import render_search
from zerocost.scoring.card import ScoreCard
from zerocost.search.pipeline import SearchResult, Stage
from zerocost.train import Run

LOADS = ("src", "href", "srcset", "poster", "action", "formaction", "xlink:href", "data")
VOID = {"meta", "link", "input", "br", "wbr", "img", "hr"}


class Page(HTMLParser):
    """The page as a reader meets it: its elements, the text of each section, its embedded data."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.sections: dict[str, str] = {}
        self.raw: dict[str, str] = {}
        self.rows: list[dict[str, str | None]] = []
        self.open: list[tuple[str, str]] = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        found = dict(attrs)
        self.elements.append((tag, found))
        if tag not in VOID:
            self.open.append((tag, found.get("id") or ""))
        if tag == "tr" and "ranking" in self.inside():
            self.rows.append(found)

    def handle_endtag(self, tag):
        assert self.open.pop()[0] == tag
        if tag in {"td", "th"}:
            self.handle_data(" ")

    def handle_data(self, data):
        if self.open and self.open[-1][0] in {"script", "style"}:
            self.raw[self.open[-1][1] or self.open[-1][0]] = data
        for section in self.inside():
            self.sections[section] = self.sections.get(section, "") + data

    def inside(self) -> list[str]:
        return [name for tag, name in self.open if tag in {"section", "header"}]

    @property
    def figures(self) -> dict[str, dict]:
        return json.loads(self.raw["figures"])


@pytest.fixture(scope="module")
def text(result):
    return render_search(result)


@pytest.fixture(scope="module")
def page(text):
    page = Page(text)
    assert not page.open
    return page


def words(text: str) -> str:
    return " ".join(text.split())


@pytest.mark.parametrize("what", ["table", "card"])
def test_only_searches_and_evaluations_have_a_report(result, tmp_path, what):
    given = result.table if what == "table" else next(iter(result.table.cards.values()))
    with pytest.raises(InputError, match=f"search or evaluate returns, but got {type(given).__name__}"):
        write(given, tmp_path / "new" / "report.html")
    assert not list(tmp_path.iterdir())


def test_page_loads_nothing_from_outside(page, text):
    targets = [value for _, attrs in page.elements for key, value in attrs.items() if key in LOADS]
    assert targets
    assert {value for value in targets if not value.startswith("#")} == {"data:,"}
    assert "@import" not in page.raw["style"]
    assert "url(" not in page.raw["style"]
    assert not {"iframe", "object", "embed", "img", "base", "form"} & {tag for tag, _ in page.elements}
    packed = zlib.decompress(b64decode(page.raw["plotly"])).decode()
    major = get_plotlyjs_version().partition(".")[0]
    assert packed.startswith(f"/**\n* plotly.js (cartesian - minified) v{major}."), "ship the bundle of this plotly"
    assert len(text.encode()) < 1e6


def test_full_page_has_every_section(page):
    expected = ["answer", "trained", "funnel", "ranking", "why"]
    expected += ["metric", "proxies", "curves", "lost", "settings"]
    assert [attrs["id"] for tag, attrs in page.elements if tag == "section"] == expected
    assert {attrs.get("lang") for tag, attrs in page.elements if tag == "html"} == {"en"}
    assert "width=device-width, initial-scale=1" in [attrs.get("content") for _, attrs in page.elements]


def test_ids_are_unique_and_links_lead_somewhere(page):
    ids = [attrs["id"] for _, attrs in page.elements if "id" in attrs]
    assert len(ids) == len(set(ids))
    assert {attrs["href"][1:] for tag, attrs in page.elements if tag == "a"} <= set(ids)
    assert set(page.figures) <= set(ids)


def test_all_but_the_answer_is_folded(page):
    tags = [tag for tag, _ in page.elements]
    assert tags.count("details") - 2 == tags.count("section") - 1  # two of them are full lists of what was lost
    assert not any("open" in attrs for tag, attrs in page.elements if tag == "details")


def test_every_table_has_a_caption(page):
    tags = [tag for tag, _ in page.elements]
    assert tags.count("table") == tags.count("caption") > 3


def test_names_and_reasons_are_text_and_never_markup(page, make):
    assert make.nasty in page.sections["ranking"]
    assert [attrs.get("id") or attrs.get("type") for tag, attrs in page.elements if tag == "script"] == [
        "figures",
        "templates",
        "plotly",
        None,
    ]


def test_names_are_text_in_plots_too(make):
    short = "<script>x</script>"
    cards = {(short if place == 0 else f"net {place}"): card for place, card in enumerate(make.score_cards(5).values())}
    table = make.table_of(cards, ["snip"])
    page = Page(render_search(SearchResult("cnn", table, table, [make.run(name, 0, 0.6) for name in cards])))
    hover = [t for trace in page.figures["outcome"]["data"] for t in trace.get("text", [])]
    assert any(t.startswith("&lt;script&gt;") for t in hover)
    assert not any("<script" in t for t in hover)


def test_nasty_reason_and_setting_are_escaped(make):
    cards = make.score_cards(3)
    cards["bad"] = ScoreCard({}, {"snip": make.nasty})
    table = make.table_of(cards, ["snip"])
    page = Page(render_search(SearchResult(make.nasty, table, table, settings={make.nasty: make.nasty})))
    assert make.nasty in page.sections["top"]
    assert make.nasty in page.sections["lost"]
    assert page.sections["settings"].count(make.nasty) == 2


def test_headline_numbers_are_those_of_the_runs(page, result):
    def means(runs):
        by_name: dict[str, list[float]] = {}
        for run in runs:
            if run.failure is None:
                by_name.setdefault(run.name, []).append(run.accuracy)
        return {name: (np.mean(a), np.std(a, ddof=1) if len(a) > 1 else 0) for name, a in by_name.items()}

    survivors, random = means(result.survivors), means(result.random)
    best = max(survivors, key=lambda name: survivors[name][0])
    first = 100 * np.mean([mean for mean, _ in survivors.values()])
    second = 100 * np.mean([mean for mean, _ in random.values()])
    answer = words(page.sections["answer"])
    accuracy, spread = survivors[best]
    number = list(result.table.frame.index).index(best) + 1
    assert f"Best survivor #{number}: {100 * accuracy:.1f} ± {100 * spread:.1f} % accuracy" in answer
    assert f"survivors: mean {first:.1f} % (5 candidates, 15 runs)" in answer
    assert f"random picks: mean {second:.1f} % (14 candidates, 14 runs; 1 failed run left out)" in answer
    assert f"accuracy, mean {first:.1f} % against {second:.1f} %; 95 % interval" in answer
    assert f"{first - second:+.1f} points" in answer
    assert "5 survivors against 14 random picks" in answer


def test_funnel_shows_counts_and_times(page):
    funnel = words(page.sections["funnel"])
    assert "sample 203 40 ms" in funnel
    assert "score 203 1 min 14 s" in funnel
    assert "train 29 18 min 10 s" in funnel


def test_lost_candidates_are_grouped_by_reason(page):
    lost = words(page.sections["lost"])
    assert "rank … by rank_score, of which the top 5 were kept 195" in lost
    assert "no path from input to output 1 all proxies #20" in lost
    assert "the second derivative is not finite 1 grasp" in lost
    assert "loss became NaN at epoch 4 1 seed 2" in lost


def test_ranking_shows_the_first_hundred_and_holds_all(page):
    rows = page.rows[1:]
    assert len(rows) == 203
    assert ["hidden" in row for row in rows] == [False] * 100 + [True] * 103


def test_same_result_gives_the_same_bytes(result, text, tmp_path):
    path = write(result, tmp_path / "new" / "report.html")
    assert path == tmp_path / "new" / "report.html"
    assert path.read_text(encoding="utf-8") == text


def test_a_folder_is_refused(result, tmp_path):
    with pytest.raises(InputError, match=r"is a folder; give the file to write"):
        write(result, tmp_path)


@pytest.mark.parametrize(
    ("count", "proxies", "top", "expected"),
    [
        (30, ["snip", "naswot"], 3, ["answer", "ranking", "why", "proxies", "lost"]),
        (30, ["snip", "naswot"], None, ["answer", "ranking", "why", "proxies"]),
        (12, ["snip"], None, ["answer", "ranking", "why", "proxies"]),
        (1, ["snip", "naswot"], None, ["answer", "ranking"]),
    ],
)
def test_ranked_only(make, count, proxies, top, expected):
    result = make.ranked_only(count, proxies, top)
    page = Page(render_search(result))
    assert [attrs["id"] for tag, attrs in page.elements if tag == "section"] == expected
    first = result.table.frame.index[0]
    assert f"Ranked first {first}" in words(page.sections["answer"])
    assert ("status" in page.sections["ranking"]) == bool(top)


def test_all_proxies_failed(make):
    table = make.table_of({f"net {i}": ScoreCard({}, {"snip": "needs labels"}) for i in range(4)}, ["snip"])
    page = Page(render_search(SearchResult("cnn", table, table)))
    assert "no candidate could be ranked" in page.sections["answer"]
    assert "needs labels 4 snip net 0, net 1, net 2" in words(page.sections["lost"])
    assert "plotly" not in page.raw


def test_no_candidates_at_all(make):
    table = make.table_of({}, ["snip"])
    page = Page(render_search(SearchResult("cnn", table, table)))
    assert "No candidate was scored." in page.sections["ranking"]


def test_interrupted_while_scoring(make):
    table = make.table_of(make.score_cards(5), ["snip"])
    stages = [Stage("sample", 40, 0.1, "")]
    page = Page(render_search(SearchResult("cnn", table, table.narrow([], {}), stages=stages)))
    assert "5 candidates of the space cnn scored with 1 proxy, in 100 ms." in words(page.sections["top"])
    assert "status" not in page.sections["ranking"]


def test_scaled_down_scoring_is_said(make):
    page = Page(render_search(replace(make.ranked_only(5, ["snip"]), settings={"fidelity": "width=0.5"})))
    assert "k parameters as scored (width=0.5); not trained" in words(page.sections["answer"])
    assert "scaled-down networks that were scored (width=0.5)" in page.sections["ranking"]


def test_every_run_failed(make):
    result = make.ranked_only(12, ["snip"], 2)
    runs = [Run.of(name, 0, [], failure="out of memory") for name in result.kept.frame.index]
    page = Page(render_search(replace(result, survivors=runs)))
    assert "Ranked first" in page.sections["answer"]
    assert "no training ended well" in page.sections["answer"]
    assert words(page.sections["trained"]).count("failed") == 2
    assert "out of memory 2 seed 0" in words(page.sections["lost"])
    assert "curves" not in page.sections


def test_survivors_without_random_picks(make):
    result = make.ranked_only(12, ["snip"], 1)
    page = Page(render_search(replace(result, survivors=[make.run(result.kept.frame.index[0], 0, 0.7)])))
    answer = words(page.sections["answer"])
    assert "accuracy, one seed" in answer
    assert "random" not in answer
    assert "metric" not in page.sections


def test_a_page_of_two_thousand_candidates_is_below_a_megabyte_and_a_half(make):
    page = render_search(make.searched(2000, names=("score", "params", "naswot")))
    assert len(page.encode()) < 1.5e6
    assert "100 of 500 candidates" in page


def test_long_rankings_are_cut_but_keep_what_was_trained(make, monkeypatch):
    monkeypatch.setattr(sections, "LISTED_ROWS", 10)
    result = make.ranked_only(40, ["snip"], 2)
    last = result.table.frame.index[-1]
    page = Page(render_search(replace(result, random=[make.run(last, 0, 0.5)])))
    assert len(page.rows) == 1 + 11
    assert last in page.sections["ranking"]
    assert "Only the best 10 of 40 and every trained candidate are listed." in page.sections["ranking"]


def test_a_real_ranking(make, tmp_path):
    nets = {f"width {w}": lambda w=w: nn.Sequential(nn.Linear(4, w), nn.ReLU(), nn.Linear(w, 2)) for w in range(2, 8)}
    nets["not a net"] = lambda: nn.Linear(3, 2)
    data = (torch.rand(16, 4, generator=torch.Generator().manual_seed(0)), torch.arange(16) % 2)
    table = zc.rank(nets, data, "snip,naswot", batch=16)
    path = write(SearchResult("mlp", table, zc.select(table, "params < 40", top=2)), tmp_path / "report.html")
    page = Page(path.read_text(encoding="utf-8"))
    assert "7 candidates of the space mlp scored with 2 proxies (1 could not be ranked), 2 kept." in words(
        page.sections["top"]
    )
    assert "not a net" in page.sections["lost"]
    assert "params < 40 is false" in page.sections["lost"]


def test_a_search_shows_how_it_went(found):
    page = Page(render_search(found))
    ids = [attrs["id"] for tag, attrs in page.elements if tag == "section"]
    assert ids[:6] == ["answer", "trained", "funnel", "front", "history", "ladder"]
    assert {"front-0", "history-plot", "ladder-0"} <= set(page.figures) <= {a.get("id") for _, a in page.elements}
    tags = [tag for tag, _ in page.elements]
    assert tags.count("table") == tags.count("caption")
    assert "15 of 60 candidates scored again" in page.sections["ladder"]
    assert f"Pareto front {len(found.front)} architectures" in words(page.sections["answer"])
    assert "Knee of the front" in page.sections["answer"]
    assert words(page.sections["front"]).count(" kept ") == sum(name in found.front for name in found.kept.frame.index)


def test_energy_is_saved_only_where_a_power_is_stated(result, tmp_path):
    plain, stated = (
        words(Page(write(result, tmp_path / "r.html", **given).read_text("utf-8")).sections["answer"])
        for given in ({}, {"watts": 250.0, "grams_per_kwh": 400.0})
    )
    assert "CO₂" not in plain and "kWh" not in plain
    assert re.search(r"Energy saved [\d.]+ k?Wh, [\d.]+ k?g of CO₂ ", stated)
    assert "less than training all 203 would have, at 250 W and 400 g/kWh, as stated" in stated


def test_hostile_names_in_a_search_are_text(found, make):
    name, reason = f"{make.nasty}, too", f"{make.nasty} is false"
    page = Page(render_search(replace(found, rejected={name: reason})))
    assert reason in page.sections["lost"]
    assert fmt.shorten(name) in page.sections["lost"]


def test_what_a_search_refused_and_left_behind_is_counted(found):
    lost = words(Page(render_search(found)).sections["lost"])
    assert "params < 2e5 is false: params = … 7 large 0, large 1, large 2" in lost
    assert "no path from input to output 1 trial 9" in lost
    assert "Not scored again at full size" in lost
    assert "of 60 at width=0.5 45" in lost


def test_stopped_runs_are_no_failures(found):
    page = Page(render_search(found))
    assert "Failed in training" not in page.sections["lost"]
    assert "2 candidates, 2 runs; 3 stopped runs left out" in words(page.sections["answer"])
    assert "successive halving stopped 4 early" in page.sections["answer"]
    assert "4 runs that successive halving stopped" in page.sections["curves"]
    assert page.sections["ranking"].count("stopped") == 3
    rings = [t for t in sections.curve_plots(found)[0].figure.data if (t.name or "").endswith("stopped")]
    assert [list(trace.x) for trace in rings] == [[4, 4, 1], [4]]


def test_sizes_of_a_search_are_those_of_the_full_network(make):
    one = replace(make.searched(), earlier=[], settings={**make.searched().settings, "fidelity": "width=0.5"})
    page = Page(render_search(one))
    assert "sizes are those of the full networks" in page.sections["ranking"]
    assert "as scored" not in page.sections["answer"]


def test_each_goal_is_shown_against_the_budget(make):
    page = Page(render_search(make.searched(names=("score", "params", "naswot"))))
    assert [name for name in page.figures if name.startswith("front")] == ["front-0", "front-1"]
    assert "hypervolume" in page.sections["history"]


def test_the_accuracy_that_was_searched_for_stands_beside_the_trained_one(make):
    cards = {f"net {i}": ScoreCard({"accuracy": 0.5 + i / 10, "params": 1.0 * i}, {}) for i in range(4)}
    table = make.table_of(cards, ["accuracy"])
    settings = {"strategy": "local", "proxies": "snip", "objectives": "accuracy"}
    runs = [make.run(name, 0, 0.6) for name in cards]
    given = SearchResult("cnn", table, table, runs, objectives=("accuracy",), settings=settings, order=list(cards))
    page = Page(render_search(given))
    assert "measured by accuracy" in page.sections["top"]
    assert "accuracy trained accuracy parameters" in words(page.sections["ranking"])
    assert f"net 3 80.0 % {100 * runs[3].accuracy:.1f} % 3" in words(page.sections["ranking"])


def test_nothing_passed(make):
    table = make.table_of(make.score_cards(6), ["snip"])
    kept = table.narrow([], dict.fromkeys(table.frame.index, "params < 1 is false: params = 3"))
    stages = [Stage("score", 6, 1.0, ""), Stage("filter", 0, 0.0, "")]
    page = Page(render_search(SearchResult("cnn", table, kept, stages=stages)))
    answer = words(page.sections["answer"])
    assert "Kept none no candidate passed the filter" in answer
    assert f"Ranked first {table.frame.index[0]}" in answer


def test_everything_was_refused(make):
    table = make.table_of({}, ["snip"])
    rejected = {f"a{i}": f"params < 3 is false: params = {i}" for i in range(4, 9)}
    page = Page(render_search(SearchResult("cnn", table, table, rejected=rejected)))
    assert "every proposal was refused" in page.sections["answer"]
    assert "params < 3 is false: params = … 5" in words(page.sections["lost"])
    assert "No candidate was scored." in page.sections["ranking"]


@pytest.mark.skipif(not shutil.which("chromium"), reason="needs Chromium on the PATH")
def test_a_browser_draws_every_plot(result, tmp_path):
    path = write(result, tmp_path / "report.html")
    path.write_text(path.read_text(encoding="utf-8").replace("<details>", "<details open>"), encoding="utf-8")
    flags = [
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--no-first-run",
        "--disable-background-networking",
        "--virtual-time-budget=9000",
    ]
    profile = f"--user-data-dir={tmp_path / 'profile'}"
    command = ["chromium", *flags, "--disable-sync", profile, "--dump-dom", path.as_uri()]
    drawn = Page(subprocess.run(command, capture_output=True, check=True, timeout=120).stdout.decode())
    plots = [attrs["id"] for _, attrs in drawn.elements if "js-plotly-plot" in (attrs.get("class") or "")]
    assert sorted(plots) == sorted(drawn.figures)
    assert len(plots) == 13
