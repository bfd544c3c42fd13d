"""Try settings: every combination of a grid, or some of them by chance; a run each, and a table of how they did.

Bergstra and Bengio 2012: where few settings matter, random trials find better ones than a grid of the same size.
"""

from __future__ import annotations

import itertools
import json
import math
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from palaver import PalaverError, UsageError, weights
from palaver_train.config import Kind, Run, fields, make_run
from palaver_train.control import Control
from palaver_train.events import Begun, Ended, Event, Interval, read_events
from palaver_train.places import find
from palaver_train.session import begin, resume

RESULTS = "search.jsonl"
_MOST = 1000
"""Trials of one search: more is a slip of the pen."""


@dataclass(frozen=True, slots=True)
class Choices:
    """Some values of a setting."""

    values: tuple[Any, ...]

    def draw(self, generator: random.Random) -> Any:
        return generator.choice(self.values)


@dataclass(frozen=True, slots=True)
class Span:
    """All values between two; above 0 by their logarithm, so that each power of ten is as likely as the next."""

    least: float
    most: float
    is_whole: bool

    def draw(self, generator: random.Random) -> Any:
        if self.least > 0:
            drawn = math.exp(generator.uniform(math.log(self.least), math.log(self.most)))
        else:
            drawn = generator.uniform(self.least, self.most)
        return round(drawn) if self.is_whole else float(f"{drawn:.3g}")


@dataclass(frozen=True, slots=True)
class Trial:
    """How the run of one combination ended."""

    number: int
    settings: dict[str, Any]
    """Only those that the search tries."""
    folder: str
    validation_loss: float | None = None
    train_loss: float | None = None
    """Of the interval in which the validation loss was best."""
    step: int = 0
    """Where it was best."""
    parameters: int = 0
    tokens_per_second: float = 0.0
    seconds: float = 0.0
    error: str = ""
    """Why it has no result: it diverged, or needed too much memory."""


def read_tries(kind: Kind, given: Sequence[str]) -> dict[str, Choices | Span]:
    """What `NAME=A,B,C` and `NAME=LEAST..MOST` say.

    Raises:
        UsageError: no such setting, or a value that it cannot have.
    """
    known = {one.name: scalar for _, one, scalar, _ in fields()}
    found: dict[str, Choices | Span] = {}
    for text in given:
        name, equals, told = text.partition("=")
        name = name.strip().replace("-", "_")
        if not equals or not told.strip():
            raise UsageError(f"--try is NAME=A,B,C or NAME=LEAST..MOST, not '{text}'.", fix="--try width=64,128")
        if name not in known:
            raise UsageError(f"There is no setting '{name}' to try.", fix=f"palaver train {kind} --help")
        scalar = known[name]
        least, dots, most = told.partition("..")
        if dots and scalar in (int, float):
            low, high = (float(_number(name, one, scalar)) for one in (least, most))
            if low >= high:
                raise UsageError(f"--try {text}: the first value is below the second.")
            found[name] = Span(low, high, scalar is int)
        else:
            found[name] = Choices(tuple(_value(name, one.strip(), scalar) for one in told.split(",")))
    return found


def combinations(tries: Mapping[str, Choices | Span], draws: int, seed: int) -> list[dict[str, Any]]:
    """Every combination, or so many different ones by chance where `draws` is not 0.

    Raises:
        UsageError: a range without chance, or far too many.
    """
    if draws:
        generator = random.Random(seed)
        found: dict[str, dict[str, Any]] = {}
        for _ in range(20 * draws):  # a small grid has no more different ones
            one = {name: each.draw(generator) for name, each in tries.items()}
            found.setdefault(json.dumps(one, sort_keys=True), one)
            if len(found) == draws:
                break
        return list(found.values())
    ranges = [name for name, each in tries.items() if isinstance(each, Span)]
    if ranges:
        raise UsageError(f"--try {ranges[0]}=LEAST..MOST needs --random.", fix="give --random 8, or values with commas")
    values = [each.values for each in tries.values() if isinstance(each, Choices)]
    if (count := math.prod(map(len, values))) > _MOST:
        raise UsageError(f"That would be {count:,} runs.", fix="give fewer values, or --random 20")
    return [dict(zip(tries, one, strict=True)) for one in itertools.product(*values)]


def search(
    kind: Kind,
    settings: Mapping[str, Any],
    tries: Sequence[Mapping[str, Any]],
    folder: Path,
    *,
    on_event: Callable[[Event], None] = lambda event: None,
    on_trial: Callable[[Trial], None] = lambda trial: None,
    control: Control,
) -> list[Trial]:
    """Train each combination in a folder of its own; the best first.

    A search that is begun again goes on: what has ended is not done twice, and a run that was cut off is taken up. A
    combination that fails is kept with its reason, and the next one has its turn.

    Raises:
        UsageError: a combination cannot be, or the folder holds another search.
    """
    runs = [make_run(kind, {**settings, **one}) for one in tries]  # a slip is found before the first run
    folder.mkdir(parents=True, exist_ok=True)
    _same_search(folder, kind, settings, tries)
    trials = []
    for number, (run, one) in enumerate(zip(runs, tries, strict=True), start=1):
        if control.is_stopped:
            break
        trials.append(_trial(number, run, one, folder / f"trial-{number:03}", on_event, control))
        on_trial(trials[-1])
    ranked = sorted(trials, key=lambda trial: (trial.validation_loss is None, trial.validation_loss or 0.0))
    lines = "".join(json.dumps(asdict(trial), ensure_ascii=False) + "\n" for trial in ranked)
    weights.replace(folder / RESULTS, lines.encode())
    return ranked


def table(trials: Sequence[Trial]) -> Iterator[str]:
    """The results in columns, the best first."""
    names = list(trials[0].settings) if trials else []
    head = ["trial", *names, "valid", "train", "best step", "weights", "tokens/s", "seconds"]
    rows = [head]
    for one in trials:
        said = [f"{one.number}", *(str(one.settings[name]) for name in names)]
        if one.validation_loss is None:
            rows.append([*said, "-", "-", "-", "-", "-", "-"])
            continue
        train = f"{one.train_loss:.4f}" if one.train_loss is not None else "-"
        said += [f"{one.validation_loss:.4f}", train, f"{one.step:,}", f"{one.parameters / 1e6:.2f} M"]
        rows.append([*said, f"{one.tokens_per_second:,.0f}", f"{one.seconds:.0f}"])
    widths = [max(len(row[column]) for row in rows) for column in range(len(head))]
    for row in rows:
        yield "  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
    yield from (f"trial {one.number}: {one.error}" for one in trials if one.error)


def _trial(
    number: int,
    run: Run,
    settings: Mapping[str, Any],
    folder: Path,
    on_event: Callable[[Event], None],
    control: Control,
) -> Trial:
    known = list(read_events(folder))
    try:
        if not (known and isinstance(known[-1], Ended) and known[-1].reason != "stopped"):
            if find(folder, wants_last=True) is not None:
                resume(folder, on_event=on_event, control=control)
            else:
                begin(run, folder, on_event=on_event, control=control)
    except UsageError:
        raise
    except PalaverError as error:
        return Trial(number, dict(settings), str(folder), error=error.message)
    return _result(number, settings, folder)


def _result(number: int, settings: Mapping[str, Any], folder: Path) -> Trial:
    events = list(read_events(folder))
    intervals = [one for one in events if isinstance(one, Interval)]
    evaluated = [one for one in intervals if one.validation_loss is not None]
    best = min(evaluated, key=lambda one: one.validation_loss or 0.0, default=None)
    speeds = sorted(one.tokens_per_second for one in intervals)
    return Trial(
        number,
        dict(settings),
        str(folder),
        best.validation_loss if best else None,
        best.train_loss if best else None,
        best.step if best else 0,
        next((one.parameters for one in events if isinstance(one, Begun)), 0),
        speeds[len(speeds) // 2] if speeds else 0.0,
        intervals[-1].seconds if intervals else 0.0,
        "" if best else "it was never evaluated",
    )


def _same_search(folder: Path, kind: Kind, settings: Mapping[str, Any], tries: Sequence[Mapping[str, Any]]) -> None:
    path = folder / "search.json"
    said = json.dumps({"kind": kind, "settings": dict(settings), "trials": [dict(one) for one in tries]}, indent=1)
    if path.is_file() and path.read_text("utf-8") != said:
        raise UsageError(
            f"{folder} holds a search with other settings.", fix="give another --out", code="search_exists"
        )
    weights.replace(path, said.encode())


def _value(name: str, text: str, scalar: type) -> Any:
    if scalar is bool:
        if text not in ("true", "false"):
            raise UsageError(f"--try {name} takes true and false, not '{text}'.")
        return text == "true"
    return text if scalar is str else _number(name, text, scalar)


def _number(name: str, text: str, scalar: type) -> Any:
    try:
        return scalar(text)
    except ValueError as error:
        kind = "whole numbers" if scalar is int else "numbers"
        raise UsageError(f"--try {name} takes {kind}, not '{text.strip()}'.") from error
