"""The page: one self-contained HTML file for a search result or an evaluation."""

from __future__ import annotations

from pathlib import Path

from zerocost.base import format as fmt
from zerocost.base.errors import InputError
from zerocost.base.files import make_folder, write_text
from zerocost.evaluation.evaluation import Evaluation
from zerocost.report import evaluation, frames, gain, headline, search_sections, sections, training_sections
from zerocost.report.explanation import explain_ranking
from zerocost.report.facts import search_facts
from zerocost.report.front_section import front_section
from zerocost.report.metric import WrittenMetric
from zerocost.report.names import choices, with_short_names
from zerocost.report.template import render_template
from zerocost.report.times import Power
from zerocost.search.result import SearchResult
from zerocost.statistics.association import ENOUGH


def write(
    result: SearchResult | Evaluation,
    path: str | Path,
    *,
    watts: float | None = None,
    grams_per_kwh: float | None = None,
) -> Path:
    """Write the report of a search or an evaluation as one HTML file that works offline.

    The same result gives the same bytes.

    Args:
        result: what `search` or `evaluate` returns. A search without trained runs gives a shorter page.
        path: the file to write; missing folders are made.
        watts: the power of the machine. Where it is stated, the report of a search says how much energy it saved
            against training every candidate.
        grams_per_kwh: the CO₂ of its electricity. Where it is stated too, the report says how much of that was saved.

    Returns:
        The path of the file.

    Raises:
        InputError: another result, such as a `ScoreTable`; `path` is a folder, or cannot be written; a power or CO₂
            that is no number above 0, or that is given for an evaluation.
        DiskFullError: the disk is full.

    >>> import tempfile, pandas as pd
    >>> from zerocost import SearchResult, ScoreTable, combine
    >>> scores = pd.DataFrame({"snip": [1, 2], "params": [10, 20], "rank_score": [0, 1]}, index=["a", "b"])
    >>> table = ScoreTable(scores, combine.as_combination("snip"), {}, {})
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     page = write(SearchResult("mlp", table, table), Path(folder) / "report.html")
    ...     page.name, "Ranked first" in page.read_text(encoding="utf-8")
    ('report.html', True)
    """
    if not isinstance(result, SearchResult | Evaluation):
        raise InputError(
            f"a report is of what search or evaluate returns, but got {type(result).__name__}; result.plot() and "
            "result.to_frame() show a ScoreTable or a ScoreCard"
        )
    path, power = Path(path), Power.of(watts, grams_per_kwh)
    if path.is_dir():
        raise InputError(f"{path} is a folder; give the file to write, for example {path / 'report.html'}")
    if power and isinstance(result, Evaluation):
        raise InputError("watts say what a search saved, but an evaluation trains nothing; leave them out")
    make_folder(path.parent)
    page = evaluation.render_evaluation(result) if isinstance(result, Evaluation) else render_search(result, power)
    write_text(path, page)
    return path


def render_search(found: SearchResult, power: Power | None = None) -> str:
    """The page as text."""
    result, names = with_short_names(found)
    runs, ranking = frames.run_table(result), frames.ranking_table(result)
    trained = frames.trained_table(runs)
    metric, learnt = WrittenMetric.of(result.task), gain.spent_budget(result)
    outcome, correlations = training_sections.outcome_plot(result, trained, runs), sections.correlation_plot(result)
    relations, curves = sections.metric_plots(result, ranking, trained), sections.curve_plots(result)
    front, fidelities = front_section(result, names), search_sections.fidelity_sections(result)
    history, explanation = search_sections.history_section(result), explain_ranking(result)
    learning = training_sections.learning_plots(result)
    foretold = bool(learning)
    spent = training_sections.trainings_plot(result) if learnt else None
    moves = explanation.plot if explanation else None
    front_plots, history_plot = front.plots if front else [], history.plot if history else None
    untrained = front_plots[0] if front_plots else history_plot
    several = len(result.objectives) > 1
    if spent and several and front_plots:
        learning, spent = [spent, *learning], front_plots[0]
    picture = spent or outcome or untrained
    below = [*learning, outcome, *front_plots, history_plot, *(step.plot for step in fidelities)]
    plots = [plot for plot in (picture, *below, moves, *relations, correlations, *curves) if plot]
    return render_template(
        "page.html.j2",
        plots,
        title=f"{result.space}: {fmt.plural(headline.candidate_count(result), 'candidate')} scored",
        sentence=headline.search_sentence(result, ranking, runs),
        facts=[(fact, names.title(fact.candidate)) for fact in search_facts(result, ranking, trained, power)],
        apart=choices(names.full.values()),
        metric=metric.words,
        verdict=headline.budget_verdict(result) or headline.survivors_verdict(runs, metric),
        luck=headline.luck_note(result),
        picture=picture,
        learning=learning,
        foretold=foretold,
        trusted=bool(gain.known_trust(result)),
        stages=sections.stage_rows(result),
        objectives=fmt.join_words(result.objectives),
        front=front,
        several=several,
        names=names.note,
        history=history,
        fidelities=fidelities,
        stopped=int((runs["state"] == frames.STOPPED).sum()),
        outcome=outcome,
        trained=training_sections.trained_section(result, ranking, names),
        ranking=sections.ranking_section(result, ranking, trained, names),
        explanation=explanation,
        relations=relations,
        enough=ENOUGH,
        correlations=correlations,
        curves=curves,
        lost=sections.loss_groups(result, ranking),
        settings=[(key, fmt.setting_text(value)) for key, value in result.settings.items()],
    )
