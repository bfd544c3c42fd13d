"""A question as values, which a form can hold: read from a typed line, written as one, or as a command of the shell."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from palaver.errors import PalaverError, UsageError

if TYPE_CHECKING:
    from palaver.command import Typed
    from palaver.registry import Registry
    from palaver.task import Task


@dataclass(frozen=True, slots=True)
class Spelled:
    """A task with what was given for it, as typed: `@paper.txt` stays that."""

    task: str
    inputs: Mapping[str, str] = field(default_factory=dict)
    options: Mapping[str, str] = field(default_factory=dict)
    """Options of the task and decoding parameters."""
    references: tuple[str, ...] = ()
    model: str = ""

    @property
    def line(self) -> str:
        """As it is typed in the chat."""
        if self.task == "chat" and not self.options and not self.references and not self.model:
            text = self.inputs.get("text", "")
            return f"/{text}" if text.startswith("/") else text
        flags = [f"-m {_quoted(self.model)}"] if self.model else []
        flags += [f"-o {_quoted(f'{name}={value}')}" for name, value in self.options.items()]
        flags += [f"--ref {_quoted(one, always=not one.startswith('@'))}" for one in self.references]
        *first, last = self.inputs.values() if self.inputs else [""]
        return " ".join([f"/{self.task}", *flags, *map(_quoted, first), last]).strip()

    @property
    def command(self) -> str:
        """As it is typed in a shell."""
        words = ["palaver", "run", "chat"] if self.task == "chat" else ["palaver", self.task]
        words += ["-m", self.model] if self.model else []
        for name, value in self.options.items():
            words += ["-o", f"{name}={value}"]
        for one in self.references:
            words += ["-r", one]
        texts = [one for one in self.inputs.values() if one]
        words += ["--"] if any(one.startswith("-") for one in texts) else []
        return shlex.join([*words, *texts])


def spell(line: str, registry: Registry) -> Spelled:
    """What a line of the chat gives for which task; what is missing is missing here too.

    Raises:
        NotFound: no such task. UsageError: a flag without its value.
    """
    from palaver.command import scan

    text = line.strip()
    if not text.startswith("/") or text.startswith("//"):
        return Spelled("chat", {"text": text.removeprefix("/") if text.startswith("//") else text})
    name = text[1:].split(maxsplit=1)[0] if text[1:].strip() else ""
    task = registry.task(name)
    typed = scan(task, text[1 + len(name) :])
    options, words = dict(typed.options), list(typed.words)
    for argument in task.arguments:
        is_needed = next(one.default for one in task.schema() if one.name == argument) is None
        if argument not in options and (len(words) > len(task.inputs) or (is_needed and words)):
            options[argument] = words.pop(0)
    inputs = dict.fromkeys(task.inputs, "") | dict(zip(task.inputs, words, strict=False))
    return Spelled(name, inputs, options, typed.references, typed.model)


def unclear(line: str, registry: Registry) -> str:
    """What a form has to ask before the task of a line can run, as a sentence; empty where all is there.

    A file that is not there or a model that is unknown is no such thing: the answer says that.
    """
    from palaver.command import scan

    name = line[1:].split(maxsplit=1)[0] if line[1:].strip() else ""
    if not line.startswith("/") or line.startswith("//") or name not in registry.tasks():
        return ""
    task = registry.task(name)
    try:
        _check(task, scan(task, line[1 + len(name) :]), registry)
    except UsageError as error:
        return error.message
    except PalaverError:
        return ""
    return ""


def missing(spelled: Spelled, registry: Registry) -> str:
    """The same of values: what is not given yet, or cannot be meant."""
    task = registry.task(spelled.task)
    needed = [one.name for one in task.schema() if one.default is None and one.name not in spelled.options]
    if needed:
        return f"{task.name} needs {' and '.join(needed)}."
    return unclear(spelled.line, registry)


def _check(task: type[Task], typed: Typed, registry: Registry) -> None:
    from palaver.command import build

    plain = type(typed)(tuple(word.lstrip("@") for word in typed.words), typed.options, (), typed.model)
    ask = build(task, plain)  # without reading the files
    registry.config(ask.task, ask.config)
    missing = [name for name in task.inputs if not ask.example.inputs.get(name, "").strip()]
    if missing:
        raise UsageError(f"{task.name} needs {' and '.join(missing)}: a text or @file.")


_NAME = re.compile(r'"((?:[^"\\]|\\.)*)"|([^\s,]+)')


def names_in(text: str) -> list[str]:
    """The names in a line, with blanks or commas between them; one with blanks inside stands in quotes."""
    return [re.sub(r"\\(.)", r"\1", one[1]) if one[1] is not None else one[2] for one in _NAME.finditer(text)]


def name_in(text: str) -> str:
    """The one name that a line is, in quotes or as it stands."""
    return names_in(text)[0] if text[:1] == '"' and len(names_in(text)) == 1 else text


def names_line(names: Iterable[str]) -> str:
    """The line that gives these names back."""
    return " ".join(_quoted(one) for one in names)


def _quoted(text: str, *, always: bool = False) -> str:
    """In quotes where the words would fall apart, as the chat reads them."""
    if text and not always and not any(char.isspace() or char == '"' for char in text):
        return text
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
