"""`palaver rescore`: score what is in history anew, by another metric or against references that have changed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from palaver.cli.program import Program, color_option, complete_metrics, json_option, pass_program
from palaver.errors import BadInput

if TYPE_CHECKING:
    from palaver.metric import Score
    from palaver.store import Filter, Store
    from palaver.tally import Tally

_GROUP = 50
"""Turns whose scores are written together."""


@click.command("rescore")
@click.argument("words", nargs=-1, required=True, metavar="RUN|FILTER...")
@click.option(
    "--metric", "metrics", multiple=True, metavar="A,B", shell_complete=complete_metrics, help="Else the task's own."
)
@json_option
@color_option
@pass_program
def command(program: Program, words: tuple[str, ...], metrics: tuple[str, ...], as_json: bool) -> None:
    """Score the turns of a run, or those that match FILTER, against the references they have now.

    Scores are added and never replaced; what is there already is not added twice. Prints the corpus scores, which are
    sums over the complete turns.
    """
    from palaver.cli.metrics import split_names
    from palaver.cli.output import table
    from palaver.cli.reports import score_record, shown, signatures
    from palaver.store import parse_filter
    from palaver.tally import Tally

    text = " ".join(words)
    query = parse_filter(f"run:{text}" if text.isascii() and text.isdigit() else text)
    names, tally = split_names(metrics), Tally()
    program.registry.metrics_for("", True, names)  # a misspelt one is an error before anything is written
    with program.history() as store:
        count = _rescore(program, store, query, names, tally)
    if not count:
        raise BadInput(f"No finished turn matches '{query.text}'.", fix="palaver history list", code="nothing_to_score")
    found = [tally.corpus(metric) for metric in program.registry.metrics().values()]
    found = [one for one in found if one.score.value is not None or one.left_out]
    if as_json:
        scores = [score_record(one) for one in found]
        program.output.record({"schema": "palaver.rescore/1", "turns": count, "scores": scores})
        return
    rows = [(one.score.title, shown(one), str(one.score.n)) for one in found]
    if rows:
        program.output.show(
            table(("metric", "score and 95 %", "n"), rows, right={2}, whole={1, 2})
            + "\n"
            + "\n".join(signatures(found))
        )
    program.output.talk(f"{count:,} turns scored")


def _rescore(program: Program, store: Store, query: Filter, names: tuple[str, ...], tally: Tally) -> int:
    from palaver.example import Example
    from palaver.metric import applicable, with_confidence
    from palaver.runs import score_safely

    group: list[tuple[int, list[Score]]] = []
    count = 0
    for turn in store.turns(query):
        if turn.status in ("running", "failed", "cancelled", "interrupted"):
            continue
        texts = tuple(one.text for one in turn.references)
        example = Example(turn.inputs, texts, str(turn.id), turn.language)
        example = with_confidence(example, turn.logprob, turn.scored_tokens, turn.model_digest)
        chosen = applicable(program.registry.metrics_for(turn.task, bool(texts), names), example, named=bool(names))
        scores = [score_safely(program.registry, metric, turn.output, example) for metric in chosen]
        tally.add((f"{turn.id:012}", 0), turn.status, scores)
        group.append((turn.id, scores))
        count += 1
        if len(group) == _GROUP:
            store.add_many_scores(group).result()
            group = []
    store.add_many_scores(group).result()
    return count
