"""Answer what is longer than the model's window: in parts, whose answers are merged as the task says."""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Callable, Sequence
from typing import ParamSpec, TypeVar

from palaver.errors import ContextExceeded
from palaver.example import Example
from palaver.generate import generate
from palaver.model import Generation, GenerationConfig, Model
from palaver.task import Task

P = ParamSpec("P")
T = TypeVar("T")

_CHARACTERS_A_TOKEN = 3
"""A first guess on the safe side for text; parts that are still too long are halved."""
_TEMPLATE = 256
"""Tokens kept free for the instruction and the chat template."""
_SMALLEST = 200
"""Characters. Parts below this would be no text any more."""
_MOST_LEVELS = 4
"""Answers that together are still too long are answered in parts again, this deep."""


@dataclasses.dataclass(frozen=True, slots=True)
class Merged:
    """The answer to a long input."""

    generation: Generation
    """Its text is all that the model wrote, part by part; its counts and times are sums."""
    answer: str
    """What the task made of it."""


class TaskRaised(Exception):
    """The task's own code raised; the cause says what."""


@dataclasses.dataclass(frozen=True, slots=True)
class Listener:
    """Who hears how a long input is read. All are called in the asking thread."""

    on_split: Callable[[int], None]
    """In how many parts it is read; again, if they turn out too long."""
    on_title: Callable[[str], None]
    """Which part is asked about now: `part 3 of 13`, `merged`."""
    on_part: Callable[[str], None]
    """What the model writes about a part, with its title: to be kept, not to be shown as the answer."""
    on_text: Callable[[str], None]
    """The merging answer, as it is written."""


class _Parts:
    """What has been asked and answered so far of one long input."""

    def __init__(
        self, task: Task, model: Model, config: GenerationConfig, cancel: threading.Event, listener: Listener
    ) -> None:
        self.task, self.model, self.config, self.cancel, self.listener = task, model, config, cancel, listener
        self.told: list[tuple[str, Generation]] = []

    def ask(self, example: Example, title: str, *, is_last: bool = False) -> str:
        """One part's answer, as the task reads it."""
        on_text = self.listener.on_text if is_last else self.listener.on_part
        request = _of_task(self.task.request, example)
        self.listener.on_title(title)
        self.listener.on_part(f"\n\n[{title}]\n" if self.told else f"[{title}]\n")
        found = generate(self.model, request, self.config, self.cancel, on_text)
        self.told.append((title, found))
        return _of_task(self.task.parse, found.text, example)

    @property
    def is_over(self) -> bool:
        """The user stopped, or the model broke."""
        return bool(self.told) and self.told[-1][1].finish_reason in ("cancelled", "error")

    def merged(self, answer: str) -> Merged:
        """All of it as one."""
        ones = [one for _, one in self.told]
        reasons = {one.finish_reason for one in ones}
        reason = next((one for one in ("error", "cancelled", "length") if one in reasons), "stop")
        text = "\n\n".join(f"[{title}]\n{one.text.strip()}" for title, one in self.told)
        firsts = [one.first_token_seconds for one in ones if one.first_token_seconds is not None]
        return Merged(
            Generation(
                text,
                reason,  # type: ignore[arg-type]  # one of the set's
                sum(one.prompt_tokens or 0 for one in ones),
                sum(one.output_tokens or 0 for one in ones),
                firsts[0] if firsts else None,
                sum(one.seconds for one in ones),
                next((one.error for one in ones if one.error), ""),
            ),
            answer,
        )


def answer_in_parts(
    task: Task,
    example: Example,
    model: Model,
    config: GenerationConfig,
    cancel: threading.Event,
    listener: Listener,
    refusal: ContextExceeded,
) -> Merged:
    """The answer to an example that the model refused with `refusal`. A cancel ends it between two tokens of any part.

    Raises:
        ContextExceeded: the task cannot be split, or its smallest parts are still too long.
        TaskRaised: the task broke.
    """
    size = sum(len(text) for text in example.inputs.values())
    context = model.info.context
    room = (context - min(config.max_new_tokens, context // 2) - _TEMPLATE) if context else size
    limit = min(max(_CHARACTERS_A_TOKEN * room, _SMALLEST), size - 1)
    while limit >= _SMALLEST:
        chunks = _of_task(task.chunks, example, limit)
        if len(chunks) < 2:
            raise refusal
        listener.on_split(len(chunks))
        try:
            return _answer(_Parts(task, model, config, cancel, listener), example, chunks, limit, _MOST_LEVELS)
        except ContextExceeded as error:
            refusal, limit = error, limit // 2
    raise refusal


def _answer(parts: _Parts, example: Example, chunks: Sequence[Example], limit: int, levels: int) -> Merged:
    answers: list[str] = []
    for number, chunk in enumerate(chunks, start=1):
        answers.append(parts.ask(chunk, f"part {number} of {len(chunks)}"))
        if parts.is_over:
            return parts.merged("\n\n".join(filter(None, answers)))
    merged = _of_task(parts.task.merge, answers, example)
    if isinstance(merged, str):
        return parts.merged(merged)
    again = _of_task(parts.task.chunks, merged, limit) if levels > 1 else ()
    if len(again) > 1:
        return _answer(parts, merged, again, limit, levels - 1)
    return parts.merged(parts.ask(merged, "merged", is_last=True))


def _of_task(ask: Callable[P, T], *given: P.args, **named: P.kwargs) -> T:
    try:
        return ask(*given, **named)
    except Exception as error:  # a task plugin may raise anything at all
        raise TaskRaised(str(error)) from error
