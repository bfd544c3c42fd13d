"""Ask the question of an earlier turn once more: by the same model, or by another one; and say what has drifted."""

from __future__ import annotations

from dataclasses import asdict

from palaver.decoding import DECODING
from palaver.errors import BadInput
from palaver.example import Example
from palaver.registry import Registry
from palaver.session import Ask
from palaver.store import Turn
from palaver.task import Chat


def question_of(registry: Registry, turn: Turn, *, model: str = "") -> Ask:
    """What `turn` asked, with its options, parameters, seed and references; of `model`, else of the same one.

    A chat sends the messages that it sent then. A task writes its prompt anew: that its plugin has changed since is
    what a repetition is to show.

    Raises:
        NotFound: the task's plugin is gone. BadInput: the turn could not be understood then, so there is no question.
    """
    if not turn.model_ref and not turn.prompt:
        raise BadInput(f"Turn #{turn.id} was never asked: {turn.error or turn.status}.", fix="type it anew")
    task = registry.task(turn.task)(**turn.options)
    config = asdict(turn.config) if turn.config else {}  # not known: as the task has it
    return Ask(
        task,
        Example(turn.inputs, tuple(one.text for one in turn.references), language=turn.language),
        model or turn.model,
        {name: str(config[name]) for name in DECODING if name in config},
        typed=turn.input_text,
        prompt=turn.prompt if isinstance(task, Chat) else (),
        parent=turn.id,
    )


def drift(before: Turn, after: Turn, *, then: str = "") -> tuple[str, ...]:
    """What is not the same in two turns that asked the same, in whole sentences; the model only where it has its name.

    `then` is what to call the earlier one, in place of its number.

    Nothing means that the two answers may be compared as repetitions.
    """
    found: list[str] = []
    then = then or f"#{before.id}"
    if before.model_ref == after.model_ref and before.model_digest != after.model_digest:
        found.append(f"The weights of {after.model} are not those of {then}.")
    if (before.plugin, before.plugin_version) != (after.plugin, after.plugin_version):
        was, now = (f"{one.plugin} {one.plugin_version}".strip() or "none" for one in (before, after))
        found.append(f"The task's plugin was {was} and is {now}.")
    if before.palaver_version != after.palaver_version:
        found.append(f"Palaver was {before.palaver_version} and is {after.palaver_version}.")
    if before.config is None:
        found.append(f"How {then} was decoded is not known.")
    if before.prompt != after.prompt and before.prompt and after.prompt:
        found.append("The prompt is another one.")
    return tuple(found)
