"""`palaver score`: outputs that others made, against references, line by line."""

from __future__ import annotations

from pathlib import Path

import click

from palaver.cli.program import Program, color_option, complete_metrics, json_option, pass_program
from palaver.errors import BadInput


@click.command("score")
@click.argument("hypotheses", metavar="HYP")
@click.argument("references", nargs=-1, required=True, metavar="REF...")
@click.option(
    "--metric",
    "metrics",
    multiple=True,
    metavar="A,B",
    shell_complete=complete_metrics,
    help="Else BLEU, chrF and TER.",
)
@click.option("--language", default="", metavar="CODE", help="Of the texts, as in: de; some metrics go by it.")
@json_option
@color_option
@pass_program
def command(
    program: Program,
    hypotheses: str,
    references: tuple[str, ...],
    metrics: tuple[str, ...],
    language: str,
    as_json: bool,
) -> None:
    """Score the lines of HYP against the same lines of REF. Nothing is written to history.

    With several REF files each line has several references. Files with different numbers of lines are an error.
    """
    from palaver.cli.metrics import split_names
    from palaver.cli.output import table
    from palaver.cli.reports import score_record, shown, signatures
    from palaver.data import line_file, same_length
    from palaver.example import Example
    from palaver.lines import BadRecord
    from palaver.runs import score_safely
    from palaver.tally import Tally

    paths = [Path(one).expanduser() for one in (hypotheses, *references)]
    files = [line_file(path) for path in paths]
    for path, lines in zip(paths[1:], files[1:], strict=True):
        same_length(paths[0], files[0], path, lines)
    if not files[0]:
        raise BadInput(f"{paths[0]} has no lines.", code="empty_dataset")
    names = split_names(metrics) or ("bleu", "chrf", "ter")
    chosen = [metric for wants in (True, False) for metric in program.registry.metrics_for("", wants, names)]
    tally = Tally()
    for number, row in enumerate(zip(*files, strict=True), 1):
        texts: list[str] = []
        for line in row:
            if isinstance(line, BadRecord):
                raise BadInput(f"{line.place}: {line.reason}.", code="bad_line")
            texts.append(line)
        # A line that only some reference files have is a line with fewer references.
        example = Example({}, tuple(one for one in texts[1:] if one.strip()) or tuple(texts[1:2]), language=language)
        tally.add(
            (f"{number:09}", 0), "complete", [score_safely(program.registry, one, texts[0], example) for one in chosen]
        )
    scores = [tally.corpus(metric) for metric in chosen]
    if as_json:
        program.output.record({"schema": "palaver.score/1", "scores": [score_record(one) for one in scores]})
        return
    rows = [(one.score.title, shown(one), str(one.score.n)) for one in scores]
    program.output.show(
        table(("metric", "score and 95 %", "n"), rows, right={2}) + "\n" + "\n".join(signatures(scores))
    )
    for one in scores:
        if one.left_out:
            program.output.warn(f"{one.score.title}: {one.left_out} lines have no score and are not in it")
