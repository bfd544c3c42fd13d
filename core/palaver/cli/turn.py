"""One turn, whole: for reading, and as JSON."""

from __future__ import annotations

import dataclasses
import math
import sys
import time
from collections.abc import Iterator, Mapping, Sequence

from palaver.cli.answer import record
from palaver.cli.output import Output, write
from palaver.overlap import mark
from palaver.present import format_seconds, format_value
from palaver.store import Turn
from palaver.terminal import safe_text


def show_turn(output: Output, turn: Turn) -> None:
    """Print everything that history knows about a turn."""
    moment = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(turn.created))
    write(sys.stdout, output.style(f"#{turn.id}  {turn.task}  {turn.model or 'no model'}", "bold"))
    write(sys.stdout, safe_text(f"  {moment}  {format_seconds(turn.seconds)}  {turn.status}") + "\n")
    for name, value in facts(turn):
        output.show(f"{name:<9} {value}")
    for name in turn.inputs:
        _section(output, name, turn.inputs[name])
    if turn.status != "failed" or turn.output:
        write(sys.stdout, "\n" + output.style("output", "bold") + "\n")
        references = [one.text for one in turn.references]
        output.marked(turn.output, mark(turn.output, references) if output.is_styled(sys.stdout) else ())
    if turn.error:
        _section(output, "error", turn.error)
    for reference in turn.references:
        _section(output, f"reference ({reference.origin})", reference.text or "(the text does not answer)")
    if turn.scores:
        _section(output, "scores", "\n".join(_scores(turn)))
    if turn.note:
        _section(output, "note", turn.note)
    for message in turn.prompt:
        _section(output, f"sent as {message.role}", message.content)


def facts(turn: Turn) -> Iterator[tuple[str, str]]:
    """What made the answer, by name; what is not known is left out."""
    config = dataclasses.asdict(turn.config) if turn.config else {}
    tokens = [f"{turn.prompt_tokens} prompt"] if turn.prompt_tokens is not None else []
    tokens += [f"{turn.output_tokens} output"] if turn.output_tokens is not None else []
    plugin = [f"{turn.plugin} {turn.plugin_version}".strip()] if turn.plugin else []
    for name, value in (
        ("model", " ".join(filter(None, (turn.model_ref, turn.model_digest)))),
        ("options", _pairs(turn.options)),
        ("decoding", _pairs(config) or "not known"),
        ("plugin", ", ".join([*plugin, f"palaver {turn.palaver_version}"])),
        ("tokens", ", ".join(tokens)),
        ("sure", _sureness(turn)),
        ("first", f"{format_seconds(turn.first_token_seconds)} to the first token" if turn.first_token_seconds else ""),
        ("finish", turn.finish_reason),
        ("language", turn.language),
        ("run", f"{turn.run_id}" + (f", after #{turn.parent_id}" if turn.parent_id else "")),
        ("example", turn.example_id + (f", seed {turn.epoch + 1}" if turn.epoch else "") if turn.example_id else ""),
        ("cached", f"taken over from #{turn.cached_from}" if turn.cached_from else ""),
        ("rating", f"{turn.rating} of 5" if turn.rating else ""),
        ("tags", " ".join(turn.tags)),
    ):
        if value:
            yield name, value


def _sureness(turn: Turn) -> str:
    """How likely the model found its own answer, token by token; of a place in a text, the whole of it."""
    if turn.logprob is None or not turn.scored_tokens:
        return ""
    if turn.scored_tokens == 1:
        return f"probability {math.exp(turn.logprob):.2f}"
    return f"log-probability {turn.logprob:.2f} over {turn.scored_tokens} tokens"


def _pairs(values: Mapping[str, object]) -> str:
    return " ".join(f"{key}={value}" for key, value in values.items() if value not in ("", None, ()))


def _scores(turn: Turn) -> Sequence[str]:
    rows = [(one.title, format_value(one.metric, one.value), one.error or one.signature) for one in turn.scores]
    widest = max(len(title) for title, _, _ in rows)
    return [f"{title:<{widest}}  {value:>6}  {signature}" for title, value, signature in rows]


def _section(output: Output, title: str, text: str) -> None:
    write(sys.stdout, "\n" + output.style(title, "bold") + "\n" + safe_text(text) + "\n")


def whole_record(turn: Turn) -> Mapping[str, object]:
    """The turn as `palaver.turn/1`: all of `palaver.run/1` and what only history knows."""
    return {
        **record(turn),
        "schema": "palaver.turn/1",
        "created": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(turn.created)),
        "run": turn.run_id,
        "parent": turn.parent_id,
        "example": turn.example_id,
        "epoch": turn.epoch,
        "cached_from": turn.cached_from,
        "inputs": turn.inputs,
        "prompt": [dataclasses.asdict(message) for message in turn.prompt],
        "raw": turn.raw,
        "logprob": turn.logprob,
        "scored_tokens": turn.scored_tokens,
        "error": turn.error,
        "config": dataclasses.asdict(turn.config) if turn.config else None,
        "model_ref": turn.model_ref,
        "backend": turn.backend,
        "plugin": turn.plugin,
        "plugin_version": turn.plugin_version,
        "palaver_version": turn.palaver_version,
        "language": turn.language,
        "rating": turn.rating,
        "note": turn.note,
        "tags": list(turn.tags),
    }
