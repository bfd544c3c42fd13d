"""How far an evaluation is, as values that a screen draws."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from palaver.comparison import Pair
    from palaver.runs import Plan
    from palaver.tally import CorpusScore

State = Literal["wait", "loading", "running", "paused", "stopped", "done", "broken"]


@dataclass(frozen=True, slots=True)
class ModelLine:
    """One model of an evaluation, and how far it is."""

    run_id: int
    model: str
    total: int
    state: State = "wait"
    ended: Mapping[str, int] = field(default_factory=dict)
    """Answers by status."""
    cached: int = 0
    rate: float | None = None
    """Answers a second."""
    left: float | None = None
    """Seconds."""
    scores: tuple[CorpusScore, ...] = ()
    """The main one first."""
    error: str = ""
    """Why it ended before its time."""

    @property
    def done(self) -> int:
        """Answers, whatever became of them."""
        return sum(self.ended.values())

    @property
    def failed(self) -> int:
        """Answers that failed: they are no answers."""
        return self.ended.get("failed", 0)


@dataclass(frozen=True, slots=True)
class Poor:
    """An example that scored low, or failed."""

    turn_id: int
    example_id: str
    value: float | None
    input: str
    output: str
    error: str = ""


@dataclass(frozen=True, slots=True)
class View:
    """All that the screen shows of an evaluation."""

    plan: Plan
    started: float
    """Unix time."""
    lines: tuple[ModelLine, ...]
    pairs: tuple[Pair, ...] = ()
    """On the main metric."""
    poor: Mapping[int, tuple[Poor, ...]] = field(default_factory=dict)
    """By run."""

    @property
    def is_running(self) -> bool:
        """A model is being asked."""
        return any(one.state in ("loading", "running") for one in self.lines)

    @property
    def is_done(self) -> bool:
        """Nothing is missing."""
        return all(one.state == "done" for one in self.lines)


def main_metric(view: View) -> str:
    """The metric that comes first, and has a value."""
    scores = [score.score for one in view.lines for score in one.scores if score.score.value is not None]
    return scores[0].metric if scores else ""
