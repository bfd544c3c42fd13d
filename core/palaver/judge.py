"""Ask a model which of two answers is better, in both orders; a win is one that the order did not decide.

A judge reads runs that are finished, so that it may be the very model that answered. Each verdict is a turn of history:
what the same weights were asked before in the same words is not asked again.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Literal

from palaver.comparison import Interval, Settings
from palaver.errors import PalaverError
from palaver.executor import Inline
from palaver.job import Asked, Job, Prediction
from palaver.model import GenerationConfig, Message, Request
from palaver.paired import names_of, together
from palaver.registry import Registry
from palaver.runs import Report
from palaver.store import STATUS_OF, Answered, Store, Turn, TurnStart
from palaver.task import Chat

PROMPT = "pairwise.v1"
"""Name of the words below: whoever changes them changes it."""

_ASKED = """Two answers to the same task are below. Which one is better?
{task}
[answer A]
{first}
[end of answer A]

[answer B]
{second}
[end of answer B]

Say A if answer A is better, B if answer B is better, and tie if neither is. Say only that one word."""

_DECODING = GenerationConfig(max_new_tokens=16)
"""Greedy; the verdict is the first word, and whatever a talkative judge adds is not read."""

_VERDICT = re.compile(
    r"\W*(?:(?i:the )?(?i:better )?(?i:answer|verdict)(?i: is)?\W+)*"
    r"(?:(?P<letter>[AB])(?:(?P<sure> is (?:the )?better)\b| *$| *(?=\n)| *[^\w\s])|(?i:(?:it is |it's )?(?:a )?tie)\b)"
)

Choice = Literal["A", "B", "tie"]
Key = tuple[int, int]
"""The turns of an answer pair in the order in which they were shown."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgedPair:
    """Two systems before the judge. Of n judged examples: wins + ties + losses."""

    first: str
    second: str
    n: int
    wins: int
    """Examples on which `first` was found better in both orders."""
    ties: int
    losses: int
    identical: int
    """Ties of the same text, about which nobody was asked."""
    by_order: int
    """Ties because the judge chose the same place in both orders."""
    chose_first_shown: int
    """Of those, the ones in which it chose the answer shown first."""
    unreadable: int
    """Examples left out: the judge said something that is no verdict."""
    failed: int
    """Examples left out: the judge could not be asked, as when both answers do not fit its window."""
    preference: float
    """(wins - losses) / n, between -1 and 1."""
    interval: Interval | None
    p: float
    """Two-sided sign test over wins and losses: randomization of who is who, with all ways counted."""
    p_holm: float
    better: str
    """As in `palaver.comparison.Pair`."""

    @property
    def order_share(self) -> float | None:
        """Share of the pairs about which the judge was asked that the order decided."""
        asked = self.n - self.identical
        return self.by_order / asked if asked else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """What a judge said of several runs."""

    model: str
    signature: str
    """Names the judge with its weights, the prompt and the rules."""
    asked: int
    cached: int
    """Verdicts that were in history."""
    run_id: int | None
    """The run whose turns are the verdicts asked now; None where all were known."""
    pairs: tuple[JudgedPair, ...]
    warnings: tuple[str, ...]


def read_verdict(text: str) -> Choice | None:
    """The verdict that an answer begins with; None where it begins with none."""
    found = _VERDICT.match(text.strip())
    if found is None:
        return None
    letter = found["letter"]
    if letter is None:
        return "tie"
    rest = text.strip()[found.end() :].partition("\n")[0]
    if not found["sure"] and re.search(r"\b[AB]\b|\btie\b", rest):  # `A, B or tie` repeats the question
        return None
    return "A" if letter == "A" else "B"


def sign_test(wins: int, losses: int) -> float:
    """Two-sided p-value that `wins` of as many coins, or as few, show heads; ties say nothing (Dixon and Mood 1946)."""
    n, fewer = wins + losses, min(wins, losses)
    ways = total = 1  # n over k
    for k in range(1, fewer + 1):
        ways = ways * (n - k + 1) // k
        total += ways
    return min(1.0, 2 * total / (1 << n))


class Judge:
    """One model as a judge over runs of one task."""

    def __init__(self, registry: Registry, store: Store, model: str, *, is_cached: bool = True) -> None:
        """
        Raises:
            NotFound: no such model. BadInput: it cannot chat. NeedsDownload: it is not on this machine.
        """
        self.registry, self.store = registry, store
        self.info = registry.choose(Chat.name, model)
        self._is_cached = is_cached
        self._run: int | None = None
        self._said: dict[Key, Choice | None] = {}
        self._failed: set[Key] = set()
        self._asked = self._cached = 0

    def compare(
        self,
        reports: Sequence[Report],
        settings: Settings,
        cancel: threading.Event,
        on_progress: Callable[[int, int], None] = lambda done, total: None,
    ) -> Judgement | None:
        """All pairs of the runs, on the examples that all answered; None when it was cancelled: half says nothing.

        Raises:
            PalaverError: the judge cannot be loaded, or no verdict of it could be had.
        """
        from palaver.significance import holm

        rows = [tuple(self.store.turn(one.turn_id) for one in row) for row in together(self.store, _ids(reports))]
        wanted = [
            (row[one], row[other])
            for row in rows
            for one, other in combinations(range(len(reports)), 2)
            if row[one].output != row[other].output
        ]
        self._ask([order for one, other in wanted for order in ((one, other), (other, one))], cancel, on_progress)
        if cancel.is_set():
            return None
        names = names_of(reports)
        pairs = [
            self._pair((names[one], names[other]), [(row[one], row[other]) for row in rows], settings)
            for one, other in combinations(range(len(reports)), 2)
        ]
        adjusted = holm([one.p for one in pairs])
        return Judgement(
            model=self.info.name,
            signature=self._signature(),
            asked=self._asked,
            cached=self._cached,
            run_id=self._run,
            pairs=tuple(_decided(one, p, settings.alpha) for one, p in zip(pairs, adjusted, strict=True)),
            warnings=tuple(self._warnings(reports, pairs)),
        )

    def _signature(self) -> str:
        digest = f"@{self.info.digest[:12]}" if self.info.digest else ""
        return f"judge|model:{self.info.ref}{digest}|prompt:{PROMPT}|order:both|greedy|test:sign"

    def _ask(
        self, wanted: Sequence[tuple[Turn, Turn]], cancel: threading.Event, on_progress: Callable[[int, int], None]
    ) -> None:
        """Every verdict that history does not have."""
        waiting: dict[str, tuple[Key, TurnStart]] = {}
        if wanted and not self.info.digest:  # a model that is known only after loading
            load = getattr(model := self.registry.model(self.info.name), "load", None)
            if callable(load):
                load(cancel)
            self.info = replace(self.info, digest=model.info.digest)

        def ask() -> Iterator[Asked]:
            for pair in wanted:
                key, start = (pair[0].id, pair[1].id), self._start(*pair)
                found = self.store.given(start) if self._is_cached else None
                if found is not None:
                    self._said[key] = read_verdict(found.output)
                    self._cached += 1
                else:
                    waiting[str(start.example_id)] = key, start
                    yield Asked(str(start.example_id), Request(start.prompt, Chat.name, options=start.options))
                on_progress(len(self._said) + len(self._failed), len(wanted))

        inline = Inline(lambda info: self.registry.model(info.name))
        error = ""
        for prediction in inline.map(Job(self.info, "", _DECODING), ask(), cancel):
            key, start = waiting.pop(prediction.key)
            self._keep(key, start, prediction)
            error = prediction.generation.error
            on_progress(len(self._said) + len(self._failed), len(wanted))
        if self._failed and not self._said and not cancel.is_set():
            raise PalaverError(f"{self.info.name} gave no verdict: {error}", code="judge_failed")

    def _start(self, first: Turn, second: Turn) -> TurnStart:
        text = _ASKED.format(task=_told(first), first=first.output, second=second.output)
        plugin, version = self.registry.origin(Chat.name)
        return TurnStart(
            run_id=self._run or 0,
            task=Chat.name,
            model=self.info.name,
            model_ref=self.info.ref,
            inputs={"text": text},
            input_text=text,
            prompt=(Message("user", text),),
            config=_DECODING,
            model_digest=self.info.digest,
            backend=self.info.backend,
            plugin=plugin,
            plugin_version=version,
            example_id=f"#{first.id} or #{second.id}",
        )

    def _keep(self, key: Key, start: TurnStart, prediction: Prediction) -> None:
        """The verdict, and its turn in history."""
        generation = prediction.generation
        if self._run is None:
            self._run = self.store.begin_run("task", f"judge {self.info.name} {PROMPT}")
        start, status = replace(start, run_id=self._run), STATUS_OF[generation.finish_reason]
        output = generation.text.strip()
        self.store.add_answers([Answered(start, status, output, generation.text, generation)]).result()
        self._asked += 1
        if status == "failed":
            self._failed.add(key)
        else:
            self._said[key] = read_verdict(output)

    def _pair(self, names: tuple[str, str], rows: Sequence[tuple[Turn, Turn]], settings: Settings) -> JudgedPair:
        """What the verdicts on two systems come to; not yet decided."""
        preferences: list[int] = []
        identical = by_order = first_shown = unreadable = failed = 0
        for one, other in rows:
            if one.output == other.output:
                identical += 1
                preferences.append(0)
                continue
            keys = (one.id, other.id), (other.id, one.id)
            said = [self._said.get(key) for key in keys]
            if self._failed.intersection(keys):
                failed += 1
            elif None in said:
                unreadable += 1
            else:
                preferences.append({("A", "B"): 1, ("B", "A"): -1}.get((said[0], said[1]), 0))  # type: ignore[arg-type]
                by_order += said[0] == said[1] != "tie"
                first_shown += said[0] == said[1] == "A"
        wins, losses, n = preferences.count(1), preferences.count(-1), len(preferences)
        p = sign_test(wins, losses)
        return JudgedPair(
            first=names[0],
            second=names[1],
            n=n,
            wins=wins,
            ties=n - wins - losses,
            losses=losses,
            identical=identical,
            by_order=by_order,
            chose_first_shown=first_shown,
            unreadable=unreadable,
            failed=failed,
            preference=(wins - losses) / n if n else 0.0,
            interval=_interval(preferences, settings),
            p=p,
            p_holm=p,
            better="",
        )

    def _warnings(self, reports: Sequence[Report], pairs: Sequence[JudgedPair]) -> Iterator[str]:
        if any(self.info.name == one.model or (one.digest and one.digest == self.info.digest) for one in reports):
            yield f"{self.info.name} judges its own answers, and models are known to prefer those."
        for pair in pairs:
            named = f"{pair.first} and {pair.second}"
            if (share := pair.order_share) is not None and share > 0.5:
                yield f"The order decided {share:.0%} of the pairs of {named}: this judge says little about them."
            lost = pair.unreadable + pair.failed
            if lost > 0.1 * (pair.n + lost):
                yield f"{lost} pairs of {named} have no verdict: what is judged may be the easy part."


def _ids(reports: Sequence[Report]) -> list[int]:
    return [one.run_id for one in reports]


def _told(turn: Turn) -> str:
    """What was to be done: the task, its options, inputs and references, the same for both answers."""
    options = ", ".join(f"{name} {value}" for name, value in turn.options.items() if value not in ("", None))
    parts = ["", f"Task: {turn.task}" + (f" ({options})" if options else "")]
    parts += [f"\n[{name}]\n{text}\n[end of {name}]" for name, text in turn.inputs.items()]
    parts += [f"\n[a good answer]\n{one.text}\n[end of the good answer]" for one in turn.references if one.text]
    return "\n".join([*parts, ""])


def _interval(preferences: Sequence[int], settings: Settings) -> Interval | None:
    """Of their mean, by the bootstrap; None with fewer than two."""
    if len(preferences) < 2:
        return None
    import numpy as np

    from palaver.significance import interval, resampled

    n = len(preferences)
    rows = np.array(preferences, dtype=np.float64)[:, None]
    sums = resampled(rows, settings.resamples, np.random.default_rng([settings.seed, 0]))[:, 0]
    return Interval(*interval(sums / n, n, 1 - settings.alpha))


def _decided(pair: JudgedPair, adjusted: float, alpha: float) -> JudgedPair:
    leaves_out_zero = pair.interval is not None and 0 not in pair.interval
    better = ""
    if leaves_out_zero and adjusted <= alpha:
        better = pair.first if pair.preference > 0 else pair.second
    return replace(pair, p_holm=adjusted, better=better)
