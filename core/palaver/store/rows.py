"""What goes into history and what comes back, and the way between a value and a column."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, fields
from functools import lru_cache
from typing import Literal, get_args

from palaver.metric import Score
from palaver.model import FinishReason, GenerationConfig, Message
from palaver.store.sqlite import Row

Status = Literal["running", "complete", "truncated", "cancelled", "failed", "interrupted"]
"""`complete`: the model ended by itself. `truncated`: its tokens ran out. `interrupted`: the process died meanwhile."""

STATUSES: tuple[str, ...] = get_args(Status)
STATUS_OF: Mapping[FinishReason, Status] = {
    "stop": "complete",
    "length": "truncated",
    "cancelled": "cancelled",
    "error": "failed",
}
"""What an answer that ended so is."""

ORIGINS = ("written", "imported", "post-edit", "model")
RUN_KINDS = ("chat", "task", "eval")


@dataclass(frozen=True, slots=True)
class TurnStart:
    """What is known of a turn before the model is asked."""

    run_id: int
    task: str
    model: str
    model_ref: str
    inputs: Mapping[str, str]
    input_text: str
    """The input as lists show it and the search finds it."""
    options: Mapping[str, object] = field(default_factory=dict)
    prompt: tuple[Message, ...] = ()
    """The messages as sent."""
    config: GenerationConfig | None = field(default_factory=GenerationConfig)
    """None where it is not known: of a turn that another program kept."""
    model_digest: str = ""
    backend: str = ""
    plugin: str = ""
    plugin_version: str = ""
    parent_id: int | None = None
    """The turn that this one was forked or repeated from."""
    language: str = ""
    example_id: str | None = None
    """Of the data set that the run evaluates; each run answers it once per epoch."""
    epoch: int = 0
    """Which repetition with another seed, from 0."""
    cached_from: int | None = None
    """The turn whose output was taken over instead of asking the model again."""


@dataclass(frozen=True, slots=True)
class Reference:
    """A good output of a turn, and where it came from."""

    id: int
    text: str
    origin: str
    """`written`, `imported`, `post-edit` (of the turn's own output) or `model`."""
    created: float
    """Unix time."""


@dataclass(frozen=True, slots=True)
class Turn:
    """A turn as history has it."""

    id: int
    run_id: int
    parent_id: int | None
    task: str
    model: str
    model_ref: str
    model_digest: str
    backend: str
    plugin: str
    plugin_version: str
    palaver_version: str
    options: dict[str, object]
    config: GenerationConfig | None
    """None where it is not known: of a turn that another program kept."""
    inputs: dict[str, str]
    input_text: str
    prompt: tuple[Message, ...]
    output: str
    """The answer as the task read it; of a running or interrupted turn, what there was of it at the last draft."""
    raw: str
    """The answer as the model gave it."""
    status: Status
    finish_reason: str
    error: str
    prompt_tokens: int | None
    output_tokens: int | None
    first_token_seconds: float | None
    seconds: float | None
    created: float
    """Unix time."""
    language: str
    references: tuple[Reference, ...]
    """The ones that count now; superseded ones stay in the file."""
    scores: tuple[Score, ...]
    """Against these references, in the task's order."""
    rating: int | None
    """1 to 5."""
    note: str
    tags: tuple[str, ...]
    example_id: str | None = None
    epoch: int = 0
    cached_from: int | None = None
    logprob: float | None = None
    """Sum of the natural logarithms of its tokens' probabilities, where the model gives them."""
    scored_tokens: int = 0
    """How many tokens that sums over."""


@dataclass(frozen=True, slots=True)
class TurnLine:
    """A turn as a line of a table: the beginnings of its texts only."""

    id: int
    created: float
    """Unix time."""
    task: str
    model: str
    status: Status
    input_start: str
    output_start: str
    error: str
    main: tuple[str, float | None] | None
    """Title and value of the first score, the value on the metric's own scale."""
    second: tuple[str, float | None] | None
    rating: int | None


@dataclass(frozen=True, slots=True)
class Run:
    """A conversation or an evaluation."""

    id: int
    kind: str
    title: str
    created: float
    """Unix time."""
    turns: int
    plan: Mapping[str, object] = field(default_factory=dict)
    """Of an evaluation: task, model, data set, all that it takes to resume it."""
    finished: float | None = None
    """Unix time."""


def clean(text: str) -> str:
    """`text` as UTF-8 can hold it: half a surrogate pair becomes U+FFFD, nothing else changes."""
    if text.isascii():
        return text
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text


def finite(value: float | None) -> float | None:
    """A plain float, whatever kind of number it was; None for what no column and no mean can hold."""
    if value is None:
        return None
    number = float(value)
    return number if math.isfinite(number) else None


def to_json(value: object) -> str:
    """JSON that every reader accepts: no NaN, no lone surrogates."""
    if not value and isinstance(value, (dict, list)):  # most options and prompts of a batch
        return "{}" if isinstance(value, dict) else "[]"
    try:
        return clean(_JSON.encode(value))
    except (TypeError, ValueError):  # an infinity, no number, or a key that is no text
        return clean(_JSON.encode(_plain(value)))


def _other(value: object) -> object:
    """What JSON has no form of, as the nearest that it has."""
    if isinstance(value, Mapping):
        return dict(value)
    return list(value) if isinstance(value, (set, frozenset)) else str(value)


_JSON = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), allow_nan=False, default=_other)


def _plain(value: object) -> object:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): _plain(one) for key, one in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [_plain(one) for one in value]
    return value


@lru_cache(maxsize=64)
def config_to_json(config: GenerationConfig | None) -> str:
    """The decoding parameters as a column holds them."""
    return to_json(asdict(config) if config else None)


def texts_to_json(texts: Mapping[str, str]) -> str:
    """As `to_json`, several times as fast for what is texts by name, as most inputs are."""
    if all(type(name) is str and type(text) is str for name, text in texts.items()):
        return clean(f"{{{','.join([f'{_quoted(name)}:{_quoted(text)}' for name, text in texts.items()])}}}")
    return to_json(texts)


_quoted = json.encoder.encode_basestring


def request_key(start: TurnStart) -> str:
    """A name for what was asked and how: the same key to the same weights gives the same greedy answer."""
    return key_of(start, to_json(start.options), texts_to_json(start.inputs), config_to_json(start.config))


def key_of(start: TurnStart, options: str, inputs: str, config: str) -> str:
    """The same where these are JSON already."""
    # Baselines and other models made for one task read the inputs, the others the prompt.
    names = [clean(_quoted(one)) for one in (start.task, start.plugin_version, start.model_ref, start.language)]
    sent = to_json([[one.role, one.content] for one in start.prompt])
    asked = f"[{','.join([*names[:3], options, inputs, names[3]])}]"
    return hashlib.sha256(f"[{asked},{sent},{config}]".encode()).hexdigest()[:24]


def reference_set(texts: Iterable[str]) -> str:
    """A name for these references in any order; empty when there are none."""
    ordered = sorted(texts)
    return hashlib.sha256(to_json(ordered).encode()).hexdigest()[:16] if ordered else ""


Kind = tuple[str, str, int, str, str]
"""Metric, title, place in the task's order, signature and corpus signature: what many scores have in common."""
Packed = tuple[Kind, tuple[float | None, int, str, str]]
"""The kind of a score, and its value, n, statistics and error."""


def pack_score(score: Score, position: int) -> Packed:
    """The columns of a score; NaN is NULL with its reason."""
    value, error = finite(score.value), clean(score.error)
    if score.value is not None and value is None:
        error = error or f"the metric gave {float(score.value)}, which is no score"
    # What could not be scored must not enter a corpus score either.
    stats = None if value is None else _statistics(score.stats)
    signature = "" if stats is None else clean(score.corpus_signature)
    kind = (clean(score.metric), clean(score.title), position, clean(score.signature), signature)
    return kind, (value, int(score.n), stats or "[]", error)


def _statistics(stats: Iterable[float]) -> str | None:
    """As JSON, whole numbers without a point; None if one is no number."""
    parts = []
    for one in stats:
        if type(one) is int:
            parts.append(str(one))
        elif (number := finite(one)) is None:
            return None
        else:
            parts.append(str(int(number)) if number.is_integer() else repr(number))
    return f"[{','.join(parts)}]"


def score_from(row: Row) -> Score:
    """The score in a row of the view `scored`."""
    return Score(
        metric=row["metric"],
        title=row["title"],
        value=row["value"],
        signature=row["signature"],
        n=row["n"],
        stats=tuple(json.loads(row["stats"])),
        corpus_signature=row["corpus_signature"],
        error=row["error"],
    )


def turn_from(row: Row, references: tuple[Reference, ...], scores: tuple[Score, ...], tags: tuple[str, ...]) -> Turn:
    """The turn in a row of `turns`, with what belongs to it from other tables."""
    raw = row["raw"] if row["raw"] is not None else row["output"]
    same = {name: row[name] for name in _SAME}
    return Turn(
        **same,
        options=json.loads(row["options"]),
        config=_config(json.loads(row["config"])),
        inputs=json.loads(row["inputs"]),
        prompt=tuple(Message(one["role"], one["content"]) for one in json.loads(row["prompt"])),
        output=raw if row["status"] == "running" else row["output"],
        raw=raw,
        references=references,
        scores=scores,
        tags=tags,
    )


_DECODED = {"options", "config", "inputs", "prompt", "output", "raw", "references", "scores", "tags"}
_SAME = tuple(one.name for one in fields(Turn) if one.name not in _DECODED)


def _config(found: dict[str, object] | None) -> GenerationConfig | None:
    """Parameters that this version no longer knows stay in the file and are left out here."""
    if found is None:
        return None
    known = {one.name for one in fields(GenerationConfig)}
    kept = {key: tuple(value) if isinstance(value, list) else value for key, value in found.items() if key in known}
    return GenerationConfig(**kept)  # type: ignore[arg-type]
