"""Where an answer came from, as label and text: model, digest, parameters, versions, signatures."""

from __future__ import annotations

from datetime import datetime

from palaver.errors import PalaverError
from palaver.model import ModelInfo
from palaver.present import format_score, format_seconds, format_size
from palaver.store import Turn
from palaver.terminal import clip, safe_line
from palaver_tui.slash import slash_fix
from palaver_tui.turn_orders import stars
from palaver_tui.widgets.exchange import Trouble

LONGEST_FIX = 70
"""Cells of a line to type that are shown."""


def details(turn: Turn) -> list[tuple[str, str]]:
    """All that is recorded of a turn beside its texts."""
    when = datetime.fromtimestamp(turn.created)
    found = [("turn", f"#{turn.id} · {turn.task} · {when:%Y-%m-%d %H:%M:%S} · {turn.status}")]
    found.append(("model", f"{turn.model_ref or '–'}  {turn.model_digest}".strip()))
    config = turn.config
    found.append(
        (
            "decoding",
            f"temperature {config.temperature:g} · top_p {config.top_p:g} · top_k {config.top_k} · "
            f"max_new_tokens {config.max_new_tokens} · seed {config.seed}"
            if config
            else "not known",
        )
    )
    if turn.options:
        found.append(("options", " · ".join(f"{name} {value}" for name, value in turn.options.items() if value != "")))
    found.append(("speed", _timing(turn)))
    found.append(("made by", f"palaver {turn.palaver_version} · plugin {turn.plugin} {turn.plugin_version}".strip()))
    found += [("reference", reference.text) for reference in turn.references]
    found += [(format_score(one), one.signature or one.error) for one in turn.scores]
    if turn.error:
        found.append(("error", turn.error))
    if turn.note:
        found.append(("note", turn.note))
    if turn.tags:
        found.append(("tags", ", ".join(turn.tags)))
    found.append(("again", f"palaver history show {turn.id}"))
    return [(label, text) for label, text in found if text]


def score_facts(turn: Turn) -> list[tuple[str, str]]:
    """How each number of a turn was computed, and against what."""
    found = [(format_score(one), one.signature or one.error) for one in turn.scores]
    found += [("reference", f"{one.text}   ({one.origin})") for one in turn.references]
    return found


def judged(turn: Turn) -> str:
    """What people said of a turn: `★★★★☆ · idiom · note: too literal`."""
    said = [stars(turn.rating)] if turn.rating else []
    said += [", ".join(turn.tags)] if turn.tags else []
    return " · ".join([*said, *([f"note: {turn.note}"] if turn.note else [])])


def moment(when: float) -> str:
    """`14:02` today, `27 Nov` before."""
    there = datetime.fromtimestamp(when)
    return f"{there:%H:%M}" if there.date() == datetime.now().date() else f"{there.day} {there:%b}"


def speed(turn: Turn) -> str:
    """`38 tok/s` where tokens were counted, else `0.84 s`."""
    # Reading the prompt and loading the weights are not writing: counted from the first token on.
    writing = (turn.seconds or 0.0) - (turn.first_token_seconds or 0.0)
    if turn.output_tokens and turn.output_tokens > 1 and writing > 0.1:
        return f"{(turn.output_tokens - 1) / writing:.0f} tok/s"
    return format_seconds(turn.seconds)


def ending(turn: Turn) -> str:
    """What to know about an answer that is not whole."""
    if turn.status == "cancelled":
        return "stopped · the text so far is kept, and scored only by a reference given now"
    if turn.status == "truncated" and turn.config:
        return f"cut off at {turn.config.max_new_tokens} tokens · -o max_new_tokens=N allows more"
    if turn.status == "interrupted":
        return "interrupted: Palaver ended meanwhile · the text so far is kept"
    return ""


def trouble(error: PalaverError) -> Trouble:
    """The three lines of an error: what failed, the one thing to do, where the details are."""
    typed = slash_fix(error.fix)
    do = f"tab: {clip(safe_line(typed), LONGEST_FIX)}" if typed else error.fix
    return Trouble(error.message, do, "/details shows what is recorded · your text is back in the prompt")


def model_state(info: ModelInfo, sign: str, state: str = "") -> str:
    """`● smollm2 93 MB · cpu`."""
    size = f" {format_size(info.download_size)}" if info.download_size else ""
    where = "no weights" if info.is_baseline else info.device
    return f"{sign} {info.name}{size} · {state or where}"


def _timing(turn: Turn) -> str:
    parts = [format_seconds(turn.seconds)] if turn.seconds is not None else []
    if turn.first_token_seconds is not None:
        parts.append(f"first token after {format_seconds(turn.first_token_seconds)}")
    if turn.prompt_tokens is not None:
        parts.append(f"{turn.prompt_tokens} tokens in")
    if turn.output_tokens is not None:
        parts.append(f"{turn.output_tokens} out")
    return " · ".join(parts)
