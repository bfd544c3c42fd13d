"""Samples of lm-evaluation-harness: samples_TASK_*.jsonl, as --log_samples writes them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TextIO

from palaver import BadRecord, ImportedTurn, Message
from palaver_interop.fields import is_whole, messages, references


class LmEvalSamples:
    """Generated answers; samples that hold only log-likelihoods are no turns."""

    name: str = "lm-eval"
    summary: str = "samples_*.jsonl of lm-evaluation-harness, of tasks that generate"

    def read(self, files: Sequence[Path]) -> Iterator[ImportedTurn | BadRecord]:
        """Each sample a turn of `generate`, with its target as the reference."""
        for path in files:
            with path.open(encoding="utf-8-sig") as lines:
                for number, line in enumerate(lines, 1):
                    if line.strip():
                        yield _turn(line, f"{path.name}:{number}")


def _turn(line: str, place: str) -> ImportedTurn | BadRecord:
    try:
        sample: Any = json.loads(line)
    except (ValueError, RecursionError) as error:
        return BadRecord(place, f"is no JSON: {error}")
    if not isinstance(sample, dict):
        return BadRecord(place, "is no sample")
    prompt = _first_text(sample.get("arguments"))
    output = _first_text(sample.get("filtered_resps")) or _first_text(sample.get("resps"))
    if prompt is None or output is None:
        return BadRecord(place, "has no prompt" if prompt is None else "has no generated answer")
    target = sample.get("target")
    targets = [target] if isinstance(target, str | int | float) else target if isinstance(target, list) else []
    kept = tuple(str(one) for one in targets if str(one).strip())
    return ImportedTurn(
        place, {"text": prompt}, output, task="generate", references=kept, prompt=(Message("user", prompt),)
    )


def _first_text(value: object) -> str | None:
    """The first text in lists and objects: versions of the harness nest prompts and answers in different ways."""
    if isinstance(value, str):
        return value
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return next((found for one in inner if (found := _first_text(one)) is not None), None)


class LmEvalExport:
    """Whole answers as samples; metrics are those of the turn."""

    name: str = "lm-eval"
    summary: str = "JSON Lines like the samples of lm-evaluation-harness"

    def export(self, turns: Iterable[Mapping[str, object]], out: TextIO) -> int:
        """Turns without a whole answer are left out."""
        written = 0
        for turn in turns:
            if not is_whole(turn):
                continue
            prompt = "\n\n".join(text for _, text in messages(turn))
            found = turn.get("scores")
            scores = found if isinstance(found, list | tuple) else ()
            sample = {
                "doc_id": written,
                "doc": {"inputs": turn.get("inputs"), "turn": turn.get("id"), "model": turn.get("model")},
                "target": next(iter(references(turn)), ""),
                "arguments": {"gen_args_0": {"arg_0": prompt, "arg_1": turn.get("config")}},
                "resps": [[turn.get("raw")]],
                "filtered_resps": [turn.get("output")],
                **{str(one["metric"]): one["value"] for one in scores if isinstance(one, Mapping)},
            }
            out.write(json.dumps(sample, ensure_ascii=False) + "\n")
            written += 1
        return written
