"""A task: a pure function from an example to a request, whose dataclass fields are its options."""

from __future__ import annotations

import dataclasses
import inspect
import itertools
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import Any, ClassVar, Literal, Self, Union, get_args, get_origin, get_type_hints, overload

from palaver.errors import BadInput, UsageError
from palaver.example import Example
from palaver.model import GenerationConfig, Message, Request


@dataclass(frozen=True, slots=True)
class Option:
    """One option of a task, as forms, flags and completion need it."""

    name: str
    type: type
    """`str`, `int`, `float` or `bool`."""
    default: object
    help: str
    choices: tuple[str, ...] = ()
    aliases: tuple[str, ...] = ()
    """Other names that it can be typed by: a field's `metadata={"aliases": ("from",)}`, for words that Python keeps."""


@dataclass(frozen=True)
class Task:
    """A kind of work. Subclass it as a frozen dataclass; each field becomes an option: a flag, a form row, a record.

    A task is pure: it builds requests and reads answers, and never talks to a model, a file or the network.
    """

    name: ClassVar[str] = ""
    """What the user types: `/name`, `palaver name`."""
    metrics: ClassVar[tuple[str, ...]] = ("chrf",)
    """Metrics or families (`rouge`) that score it, the main one first."""
    inputs: ClassVar[tuple[str, ...]] = ("text",)
    """Names of the inputs, in the order they are typed. The last one takes the rest of the line."""
    arguments: ClassVar[tuple[str, ...]] = ()
    """Options that may be typed before the inputs without their name: `/translate fr text`."""
    baseline: ClassVar[str] = ""
    """A model without weights to set beside the scores: `lead-3`, `copy`."""
    defaults: ClassVar[GenerationConfig] = GenerationConfig()

    def request(self, example: Example) -> Request:
        """What to ask a model for this example."""
        raise NotImplementedError(f"{type(self).__name__} has no request()")

    def parse(self, output: str, example: Example) -> str:
        """The answer inside the model's raw output. Total: any text gives a text."""
        return output.strip()

    def prepare(self, example: Example) -> Example:
        """The example with what the options say about it, such as the language of the output."""
        return example

    def chunks(self, example: Example, limit: int) -> Sequence[Example]:
        """The example in parts of at most `limit` characters, for a model whose window is too short for the whole.

        Fewer than two: this task cannot be split, and the user hears that the input is too long. `palaver.split_text`
        cuts a text between its paragraphs, sentences or words.
        """
        return ()

    def merge(self, answers: Sequence[str], example: Example) -> str | Example:
        """What the answers to all chunks come to, in their order: the answer itself, or an example to ask about."""
        return "\n\n".join(answers)

    def ask(self, instruction: str, text: str, *, example: Example | None = None) -> Request:
        """A request with the instruction as the system message and the text as the user's."""
        messages = (Message("system", instruction), Message("user", text))
        return Request(messages, self.name, example or Example(inputs={"text": text}), self.options())

    def options(self) -> dict[str, object]:
        """The options of this task, as recorded in history."""
        return dataclasses.asdict(self)

    @classmethod
    def summary(cls) -> str:
        """The first line of the docstring."""
        return (cls.__doc__ or "").strip().partition("\n")[0]

    @classmethod
    def schema(cls) -> tuple[Option, ...]:
        """The options, in order, with the docstring below each field as its help."""
        hints = get_type_hints(cls)
        helps = _field_docstrings(cls)
        found: list[Option] = []
        for field in dataclasses.fields(cls):
            kind, choices = _plain_type(hints[field.name])
            default = None if field.default is dataclasses.MISSING else field.default
            aliases = tuple(field.metadata.get("aliases", ()))
            found.append(Option(field.name, kind, default, helps.get(field.name, ""), choices, aliases))
        return tuple(found)

    @classmethod
    def from_strings(cls, values: Mapping[str, str]) -> Self:
        """The task with options given as text, as `-o KEY=VALUE` and the chat give them.

        Raises:
            UsageError: an unknown option or a value of the wrong type.
        """
        known = {name: option for option in cls.schema() for name in (*option.aliases, option.name)}
        parsed: dict[str, Any] = {}
        for key, value in values.items():
            option = known.get(key)
            if option is None:
                names = ", ".join(dict.fromkeys(one.name for one in known.values())) or "none"
                raise UsageError(f"{cls.name} has no option '{key}'. Its options are: {names}.", code="unknown_option")
            parsed[option.name] = _parse(cls.name, option, value)
        try:
            return cls(**parsed)
        except (TypeError, ValueError) as error:
            raise UsageError(f"{cls.name}: {error}") from error


def check_inputs(task: Task, example: Example) -> None:
    """
    Raises:
        BadInput: an input is empty, or a reference that is to be more than nothing.
    """
    for name in task.inputs:
        if not example.inputs.get(name, "").strip():
            raise BadInput(
                f"There is no {name} to {task.name if task.name != 'qa' else 'answer from'}: it is empty.",
                fix="give a text, @FILE, or pipe one in",
                code="empty_input",
            )
    if task.name != "qa" and any(not reference.strip() for reference in example.references):
        raise BadInput("A reference is a text: the answer you would have wanted.", code="empty_reference")


@dataclass(frozen=True)
class Chat(Task):
    """Talk with a model; what came before in the conversation goes along."""

    name = "chat"
    metrics = ("rouge", "chrf")
    defaults = GenerationConfig(temperature=0.7, top_p=0.9, max_new_tokens=1024)

    def request(self, example: Example) -> Request:
        return Request((Message("user", example["text"]),), self.name, example, self.options())


@overload
def task(function: Callable[..., str], /) -> type[Task]:
    """`@task`: the name is the function's."""


@overload
def task(
    *, name: str = "", metrics: tuple[str, ...] = ..., baseline: str = "", defaults: GenerationConfig = ...
) -> Callable[[Callable[..., str]], type[Task]]:
    """`@task(metrics=...)`: with what else a task says of itself."""


def task(
    function: Callable[..., str] | None = None,
    /,
    *,
    name: str = "",
    metrics: tuple[str, ...] = ("chrf",),
    baseline: str = "",
    defaults: GenerationConfig = GenerationConfig(),  # noqa: B008 - a frozen value
) -> type[Task] | Callable[[Callable[..., str]], type[Task]]:
    """Make a Task of a function that returns the prompt.

    Parameters without a default are inputs, those with one are options. A line `words: At most this many.` in the
    docstring is the help of the option `words`.

    Raises:
        TypeError: a parameter that can be neither.
    """
    if function is None:
        return lambda given: _made(given, name, metrics, baseline, defaults)
    return _made(function, name, metrics, baseline, defaults)


def _made(
    function: Callable[..., str], name: str, metrics: tuple[str, ...], baseline: str, defaults: GenerationConfig
) -> type[Task]:
    word = getattr(function, "__name__", "")
    hints, inputs = get_type_hints(function), []
    fields: list[tuple[str, Any, Any]] = []
    for parameter in inspect.signature(function).parameters.values():
        hint = hints.get(parameter.name, str)
        if hasattr(Task, parameter.name):
            raise TypeError(f"@task {word}: a parameter cannot be called '{parameter.name}', which every task has.")
        if parameter.kind not in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY):
            raise TypeError(f"@task {word}: {parameter} is neither an input nor an option.")
        if parameter.default is not parameter.empty:
            _plain_type(hint)
            fields.append((parameter.name, hint, dataclasses.field(default=parameter.default)))
        elif hint is str:
            inputs.append(parameter.name)
        else:
            raise TypeError(f"@task {word}: the input '{parameter.name}' is a str; an option has a default.")
    if not inputs:
        raise TypeError(f"@task {word}: at least one parameter has no default: the input.")

    def request(self: Task, example: Example) -> Request:
        prompt = function(**{one: example[one] for one in inputs}, **self.options())
        return Request((Message("user", prompt),), self.name, example, self.options())

    told = inspect.getdoc(function) or ""
    body = {
        "name": name or word.replace("_", "-"), "metrics": metrics, "inputs": tuple(inputs), "baseline": baseline,
        "defaults": defaults, "request": request, "__doc__": told, "__module__": function.__module__,
        "_option_help": dict(re.findall(r"^(\w+): (.+)$", told, re.MULTILINE)),
    }  # fmt: skip
    made: type[Task] = dataclasses.make_dataclass(word, fields, bases=(Task,), namespace=body, frozen=True)
    made.__module__ = function.__module__  # where it is found again by whoever unpickles it
    return made


def _parse(task: str, option: Option, value: str) -> object:
    if option.choices and value not in option.choices:
        raise UsageError(f"{task}: {option.name} is one of {', '.join(option.choices)}, not '{value}'.")
    if option.type is bool:
        if value.lower() in ("1", "true", "yes", "on"):
            return True
        if value.lower() in ("0", "false", "no", "off"):
            return False
        raise UsageError(f"{task}: {option.name} is yes or no, not '{value}'.")
    if option.type is str:
        return value
    try:
        number: object = option.type(value)
    except ValueError as error:
        kind = "a whole number" if option.type is int else "a number"
        raise UsageError(f"{task}: {option.name} is {kind}, not '{value}'.") from error
    return number


def _plain_type(hint: object) -> tuple[type, tuple[str, ...]]:
    """The scalar type behind a field's annotation, and its choices if it is a Literal."""
    if get_origin(hint) is Literal:
        return str, tuple(str(one) for one in get_args(hint))
    if get_origin(hint) is Union or type(hint).__name__ == "UnionType":
        return _plain_type(next(one for one in get_args(hint) if one is not type(None)))
    if isinstance(hint, type) and hint in (str, int, float, bool):
        return hint, ()
    raise TypeError(f"An option is a str, int, float, bool or Literal, not {hint!r}.")


def _field_docstrings(cls: type) -> dict[str, str]:
    """The string literal under each field, which Python itself throws away."""
    import ast
    import textwrap

    found: dict[str, str] = dict(getattr(cls, "_option_help", {}))
    for base in reversed(cls.__mro__):
        if base in (object, Task) or not issubclass(base, Task):
            continue
        try:
            tree = ast.parse(textwrap.dedent(inspect.getsource(base)))
        except (OSError, TypeError, SyntaxError):  # typed at a prompt, or shipped without source
            continue
        body = tree.body[0].body if isinstance(tree.body[0], ast.ClassDef) else []
        for statement, following in itertools.pairwise(body):
            if (
                isinstance(statement, ast.AnnAssign)
                and isinstance(statement.target, ast.Name)
                and isinstance(following, ast.Expr)
                and isinstance(following.value, ast.Constant)
                and isinstance(following.value.value, str)
            ):
                found[statement.target.id] = re.sub(r"\s+", " ", following.value.value).strip()
    return found


class _Decorator(ModuleType):
    """`from palaver import task` finds this module, which the import system binds to the package: so it is callable."""

    def __call__(self, *arguments: Any, **options: Any) -> Any:
        return task(*arguments, **options)


sys.modules[__name__].__class__ = _Decorator
