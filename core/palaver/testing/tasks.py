"""The contract of a task: it is pure, takes any text, reads any answer, and comes back from history as it went in."""

from __future__ import annotations

import copy
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path

from palaver.errors import PalaverError
from palaver.example import Example
from palaver.model import Message, Request
from palaver.plugins import Found, find
from palaver.session import Ask, Session
from palaver.store import Store
from palaver.task import Task
from palaver.testing.check import Check, claim
from palaver.testing.hostile import HOSTILE, SCRIPTS
from palaver.testing.scripted import Scripted, ScriptedRegistry

SAMPLE = f"{SCRIPTS['Latin']} Fishermen protested. The mayor said that safety comes first."


def made(task: type[Task]) -> Task:
    """The task with its defaults, and something plain for each option that has to be given."""
    plain: dict[type, object] = {str: "en", int: 1, float: 1.0, bool: True}
    given = {
        option.name: option.choices[0] if option.choices else plain[option.type]
        for option in task.schema()
        if option.default is None
    }
    return task(**given)


def example_for(task: type[Task], text: str = SAMPLE) -> Example:
    """An example with all inputs of the task."""
    return Example(dict.fromkeys(task.inputs, text), references=(SCRIPTS["Latin"],), id="1")


def check_task(task: type[Task], found: Found) -> Iterator[Check]:
    """Every check of one task."""
    subject = f"task {task.name}"
    yield claim("purity", subject, lambda: _impure(task))
    yield claim("hostile text", subject, lambda: _upset(task))
    yield claim("parse", subject, lambda: _partial(task))
    yield claim("history", subject, lambda: _lost(task, found))
    yield claim("docs", subject, lambda: _untold(task))


def _impure(task: type[Task]) -> Iterator[str]:
    one, example = made(task), example_for(task)
    before = copy.deepcopy(example)
    prepared = one.prepare(example)
    first, second = one.request(prepared), one.request(one.prepare(example))
    if first != second:
        yield "request() of the same example differs from call to call"
    if made(task).request(prepared) != first:
        yield "request() depends on what this task was asked before"
    if example != before:
        yield "request() or prepare() changed its example"
    if one.options() != made(task).options():
        yield "request() changed the task's options"
    if not first.messages:
        yield "request() has no messages: no model that follows instructions can be asked"
    if first.task != task.name:
        yield f"the request says it is of the task '{first.task}': use self.ask(...), or pass self.name"
    if not all(name in example.inputs for name in task.inputs):
        yield "inputs are names"


def _upset(task: type[Task]) -> Iterator[str]:
    for text in HOSTILE:
        one = made(task)
        try:
            request = one.request(one.prepare(example_for(task, text)))
        except PalaverError:  # a sentence for the user is an answer
            continue
        except Exception as error:  # a plugin may raise anything at all
            yield f"request() raised {type(error).__name__}: {error!s:.100} for {text[:40]!a}"
            continue
        if not isinstance(request, Request) or not all(
            isinstance(message, Message) and isinstance(message.content, str) for message in request.messages
        ):
            yield f"request() returned no Request of texts for {text[:40]!a}"


def _partial(task: type[Task]) -> Iterator[str]:
    one, example = made(task), example_for(task)
    for text in (*HOSTILE, *SCRIPTS.values()):
        try:
            answer = one.parse(text, example)
        except Exception as error:  # a plugin may raise anything at all
            yield f"parse() raised {type(error).__name__}: {error!s:.100} for {text[:40]!a}; any text gives a text"
            continue
        if not isinstance(answer, str):
            yield f"parse() returned {type(answer).__name__} for {text[:40]!a}; any text gives a text"


def _lost(task: type[Task], found: Found) -> Iterator[str]:
    """Ask once with a scripted model, and read back what history has."""
    said = SCRIPTS["Greek"]
    beside = [one for one in find() if one.is_built_in and one.name != found.name]
    registry = ScriptedRegistry(Scripted(said), [*beside, found])
    one, example = made(task), example_for(task)
    with tempfile.TemporaryDirectory() as folder, Store.open(Path(folder) / "history.db") as store:
        outcome = Session(registry, store).ask(Ask(one, example))
        if outcome.error is not None:
            yield f"a turn failed: {outcome.error}"
            return
        turn = store.turn(outcome.turn.id)
        if turn.task != task.name or dict(turn.inputs) != dict(example.inputs):
            yield "task or inputs are not in history as they were asked"
        if dict(turn.options) != one.options():
            yield f"the options came back from history as {dict(turn.options)}"
        if turn.output != one.parse(said, one.prepare(example)):
            yield "the output in history is not what parse() gives"
        scored = {score.metric: score for score in turn.scores}
        if not scored:
            yield f"none of its metrics scored it: {', '.join(task.metrics)}"
        if broken := [name for name, score in scored.items() if "the metric broke" in score.error]:
            yield f"{broken[0]}: {scored[broken[0]].error}"


def _untold(task: type[Task]) -> Iterator[str]:
    if not re.fullmatch(r"[a-z0-9][a-z0-9.-]*", task.name):
        yield f"the name '{task.name}' is not in lower case with hyphens, as commands are"
    if not task.summary().endswith("."):
        yield "its docstring does not begin with a sentence on a line of its own"
    for option in task.schema():
        if not option.help:
            yield f"the option '{option.name}' has no help: a string under the field"
