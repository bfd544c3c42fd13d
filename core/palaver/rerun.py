"""Turns of history asked again, by the same model or another one; the answers of then and now compared in pairs."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from palaver.again import drift, question_of
from palaver.aligned import Answer, Origin
from palaver.compare import compare
from palaver.comparison import Comparison, Settings
from palaver.errors import PalaverError
from palaver.registry import Registry
from palaver.session import Session
from palaver.sources import promoted
from palaver.store import Turn
from palaver.store.rows import config_to_json, reference_set, to_json
from palaver.task import Chat


@dataclass(frozen=True, slots=True)
class Pair:
    """A turn, and the one that asked the same again."""

    before: Turn
    after: Turn

    @property
    def is_same(self) -> bool:
        """Whether the answer is the one of then."""
        return (self.before.output, self.before.status) == (self.after.output, self.after.status)


@dataclass(frozen=True, slots=True)
class Rerun:
    """What came of asking again."""

    pairs: tuple[Pair, ...]
    skipped: tuple[tuple[int, str], ...]
    """Turns that could not be asked again, and why."""
    is_stopped: bool
    """A cancel came before the last one."""

    def drift(self) -> list[tuple[str, int]]:
        """What else has changed between then and now, in whole sentences, each with the number of its turns."""
        found = Counter(
            sentence for one in self.pairs for sentence in drift(one.before, one.after, then="an earlier turn")
        )
        return found.most_common()


def questions(turns: Sequence[Turn]) -> list[Turn]:
    """Of turns that asked the same the last one: a question that counted twice would look like two examples."""
    found: dict[str, Turn] = {}
    for turn in turns:
        said = [[one.role, one.content] for one in turn.prompt] if turn.task == Chat.name else []
        asked = to_json([turn.task, turn.inputs, turn.options, turn.language, said, config_to_json(turn.config)])
        found.pop(asked, None)
        found[asked] = turn
    return list(found.values())


def ask_again(
    session: Session,
    turns: Sequence[Turn],
    cancel: threading.Event,
    *,
    model: str = "",
    is_cached: bool = False,
    on_done: Callable[[int], None] = lambda count: None,
) -> Rerun:
    """Ask what `turns` asked, with their options, parameters, seeds and references, one after the other. Blocks.

    Each answer is a turn of the session, with the earlier one as its parent. `model` is who answers, else whoever
    did then.

    Raises:
        NotFound: there is no such model. NeedsDownload: it is not on this machine.
    """
    pairs: list[Pair] = []
    skipped: list[tuple[int, str]] = []
    if model:
        session.registry.installed(model)
    for turn in turns:
        if cancel.is_set():
            break
        try:
            asked = replace(question_of(session.registry, turn, model=model), is_cached=is_cached)
        except PalaverError as error:
            skipped.append((turn.id, error.message))
            continue
        after = session.ask(asked, cancel=cancel).turn
        if after.status != "cancelled":  # what was stopped in the middle is kept, and says nothing
            pairs.append(Pair(turn, after))
            on_done(len(pairs) + len(skipped))
    return Rerun(tuple(pairs), tuple(skipped), len(pairs) + len(skipped) < len(turns))


def comparisons(
    registry: Registry, pairs: Sequence[Pair], settings: Settings | None = None
) -> list[tuple[str, Comparison]]:
    """Each task with the answers of now beside those of then: by the metrics that need references where there are any.

    Scores are those of the sentences in history, summed, as in every comparison.
    """
    found: list[tuple[str, Comparison]] = []
    for task in dict.fromkeys(one.before.task for one in pairs):
        mine = [one for one in pairs if one.before.task == task]
        has_references = any(one.before.references for one in mine)
        kept = [one for one in mine if bool(one.before.references) == has_references]
        was, now = names_of(kept)
        systems = {
            now: {f"{one.before.id:012}": _answer(one.after, one.before) for one in kept},
            was: {f"{one.before.id:012}": _answer(one.before, one.before) for one in kept},
        }
        scored = {score.metric for one in kept for score in one.before.scores}
        scored &= {score.metric for one in kept for score in one.after.scores}
        metrics = [one for one in registry.metrics_for(task, has_references) if one.name in scored]
        found.append((task, compare(systems, metrics, settings)))
    return found


def names_of(pairs: Sequence[Pair]) -> tuple[str, str]:
    """What to call the answers of then and those of now: the model's name where all have one, else the time."""
    was, now = ({turn.model for turn in side} for side in zip(*((one.before, one.after) for one in pairs), strict=True))
    before = was.pop() if len(was) == 1 else "then"
    after = now.pop() if len(now) == 1 else "now"
    return (before, after) if before != after else (f"{before} then", f"{after} now")


def _answer(turn: Turn, asked: Turn) -> Answer:
    """A turn as one side; where its references come from is known of the turn that was asked first."""
    origins = tuple(Origin(one.origin, one.author) for one in promoted(asked).references)
    texts = [one.text for one in asked.references]
    return Answer(
        {score.metric: score for score in turn.scores},
        reference_set(one.text for one in turn.references),
        turn.status,
        sum(map(len, texts)) or len(asked.input_text),
        origins,
    )
