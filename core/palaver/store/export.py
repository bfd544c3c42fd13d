"""History as files that other programs read."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TextIO

from palaver.errors import UsageError
from palaver.store.rows import Turn, to_json

FORMATS = ("jsonl", "csv", "md", "txt")


def export_turns(turns: Iterable[Turn], format: str, out: TextIO) -> int:
    """Write turns to `out` and return how many.

    `jsonl` has everything there is, scores with signatures and statistics; `csv` one row a turn, values as they are
    (a spreadsheet may take a text beginning with = for a formula: import it as text); `md` is for reading; `txt` is
    sacrebleu's plain text, one output a line.

    Raises:
        UsageError: no such format.
    """
    writer = {"jsonl": _jsonl, "csv": _csv, "md": _markdown, "txt": _text}.get(format)
    if writer is None:
        raise UsageError(f"There is no export format '{format}': it is one of {', '.join(FORMATS)}.")
    return writer(turns, out)


def _jsonl(turns: Iterable[Turn], out: TextIO) -> int:
    written = 0
    for written, turn in enumerate(turns, 1):  # noqa: B007 (counted)
        out.write(to_json(turn_record(turn)) + "\n")
    return written


def turn_record(turn: Turn) -> dict[str, object]:
    """All there is of a turn, as JSON Lines have it."""
    return {**asdict(turn), "created": _when(turn)}


_COLUMNS = (
    *("id", "created", "run_id", "task", "model", "model_ref", "model_digest", "status", "finish_reason", "error"),
    *("input", "output", "references", "metric", "score", "signature", "scores", "rating", "note", "tags"),
    *("prompt_tokens", "output_tokens", "first_token_seconds", "seconds", "options", "config", "language"),
)


def _csv(turns: Iterable[Turn], out: TextIO) -> int:
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(_COLUMNS)
    written = 0
    for written, turn in enumerate(turns, 1):  # noqa: B007 (counted)
        whole = asdict(turn)
        main = turn.scores[0] if turn.scores else None
        whole |= {
            "created": _when(turn),
            "input": turn.input_text,
            "references": to_json([one.text for one in turn.references]),
            "metric": main and main.metric,
            "score": main and main.value,
            "signature": main and main.signature,
            "scores": to_json({one.metric: one.value for one in turn.scores}),
            "tags": " ".join(turn.tags),
            "options": to_json(turn.options),
            "config": to_json(turn.config and asdict(turn.config)),
        }
        # csv.reader and most others stop at a NUL.
        writer.writerow(
            [str(value).replace("\0", "\ufffd") if (value := whole[name]) is not None else "" for name in _COLUMNS]
        )
    return written


def _markdown(turns: Iterable[Turn], out: TextIO) -> int:
    written = 0
    for written, turn in enumerate(turns, 1):  # noqa: B007 (counted)
        out.write(f"## #{turn.id} {turn.task} · {turn.model} · {_when(turn)}\n\n{_fenced(turn.input_text)}\n")
        if turn.status != "complete":
            out.write(f"*{turn.status}*{': ' + turn.error if turn.error else ''}\n\n")
        out.write(f"{_fenced(turn.output)}\n")
        for reference in turn.references:
            out.write(f"Reference ({reference.origin}):\n\n{_fenced(reference.text)}\n")
        for score in turn.scores:
            value = f"{score.value:.4g}" if score.value is not None else f"not scored: {score.error}"
            out.write(f"- {score.title} {value} (`{score.signature}`)\n")
        if turn.scores:
            out.write("\n")
        if turn.note:
            out.write(f"{_fenced(turn.note)}\n")
    return written


def _fenced(text: str) -> str:
    """`text` as a code block whose fence is longer than any in it."""
    fence = "```"
    while fence in text:
        fence += "`"
    return f"{fence}\n{text}\n{fence}\n"


def _text(turns: Iterable[Turn], out: TextIO) -> int:
    written = 0
    for written, turn in enumerate(turns, 1):  # noqa: B007 (counted)
        # splitlines() knows every character that some reader takes for the end of a line.
        out.write(" ".join(turn.output.splitlines()) + "\n")
    return written


def _when(turn: Turn) -> str:
    return datetime.fromtimestamp(turn.created, UTC).isoformat(timespec="milliseconds")
