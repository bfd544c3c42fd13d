"""One typed line, in the chat or after `palaver run`: which task, which inputs, which options."""

from __future__ import annotations

import itertools
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from palaver.choice import ANY, Languages
from palaver.decoding import DECODING
from palaver.errors import BadInput, UsageError
from palaver.example import Example
from palaver.registry import Registry
from palaver.session import Ask
from palaver.task import Chat, Task

MAX_FILE = 20_000_000
"""Bytes of an @file: more is a data set, not an input."""

_MENTION = re.compile(r"(?<!\S)@(\S+)")
_TOKEN = re.compile(r'\s*("(?:[^"\\]|\\.)*"|\S+)')


@dataclass(frozen=True, slots=True)
class Typed:
    """The words of a command, before they are understood."""

    words: tuple[str, ...]
    """Arguments and inputs in order; the last one verbatim to the end of the line."""
    options: Mapping[str, str] = field(default_factory=dict)
    references: tuple[str, ...] = ()
    model: str = ""


def parse_line(line: str, registry: Registry) -> Ask:
    """What a line typed into the chat asks: `/task ...`, or plain text, which is chat. `//` begins a text with a slash.

    Raises:
        NotFound: no such task. UsageError: an unknown or missing option. BadInput: a file that cannot be read.
    """
    text = line.strip()
    if not text.startswith("/") or text.startswith("//"):
        said = text.removeprefix("/") if text.startswith("//") else text
        return Ask(Chat(), Example({"text": read_text(said)}), typed=text)
    name = text[1:].split(maxsplit=1)[0] if text[1:].strip() else ""
    task = registry.task(name)
    return build(task, scan(task, text[1 + len(name) :]), typed_as=text)


def scan(task: type[Task], line: str) -> Typed:
    """Split what follows `/task`: flags anywhere, then words; the last input keeps its spaces and newlines.

    Flags are `--ref`, `-r`, `--model`, `-m`, `-o KEY=VALUE` and `--OPTION VALUE` for each option of the task. A
    reference that is neither quoted nor an @file goes on to the next flag or the end of the line.
    """
    flags = {name for option in task.schema() for name in (option.name, *option.aliases)} | set(DECODING)
    options: dict[str, str] = {}
    references: list[str] = []
    model = ""
    kept: list[tuple[int, int]] = []
    at = 0
    while match := _TOKEN.match(line, at):
        word, at = match.group(1), match.end()
        name = word.removeprefix("--").replace("-", "_") if word.startswith("--") else ""
        if not _is_flag(word, flags):
            kept.append(match.span(1))
            continue
        value = _TOKEN.match(line, at)
        if value is None:
            raise UsageError(f"{word} needs a value after it.")
        given, at = _unquote(value.group(1)), value.end()
        if word in ("-r", "--ref"):
            if value.group(1)[0] not in '"@':  # a plain reference goes on to the next flag, or to the end
                at = _next_flag(line, at, flags)
                given = line[value.start(1) : at].strip()
            references.append(given)
        elif word in ("-m", "--model"):
            model = given
        elif word == "-o":
            key, _, setting = given.partition("=")
            options[key] = setting
        else:
            options[name] = given
    return Typed(_words(task, line, kept, options), options, tuple(references), model)


def _is_flag(word: str, options: set[str]) -> bool:
    name = word.removeprefix("--").replace("-", "_") if word.startswith("--") else ""
    return word in ("-m", "-r", "-o", "--ref", "--model") or name in options


def _next_flag(line: str, at: int, options: set[str]) -> int:
    """Where the next flag begins, or the end of the line."""
    while match := _TOKEN.match(line, at):
        if _is_flag(match.group(1), options):
            return match.start(1)
        at = match.end()
    return len(line)


def build(task: type[Task], typed: Typed, *, typed_as: str = "") -> Ask:
    """The question that the words of a command ask: options checked, files read.

    Raises:
        UsageError: too many words, an unknown or missing option. BadInput: a file that cannot be read.
    """
    words = list(typed.words)
    options = {key: value for key, value in typed.options.items() if key not in DECODING}
    config = {key: value for key, value in typed.options.items() if key in DECODING}
    for name in task.arguments:
        if name not in options and len(words) > len(task.inputs):
            options[name] = words.pop(0)
    for option in task.schema():
        if option.default is None and option.name not in options and option.name in task.arguments and words:
            options[option.name] = words.pop(0)
    if len(words) > len(task.inputs):
        raise UsageError(f"{usage(task)} takes {len(task.inputs)}, not {len(words)}. Put quotes around a text.")
    missing = [option.name for option in task.schema() if option.default is None and option.name not in options]
    if missing:
        raise UsageError(f"{task.name} needs {' and '.join(missing)}: {usage(task)}", code="missing_option")
    made = task.from_strings(options)
    inputs = {name: read_text(word) for name, word in zip(task.inputs, words, strict=False)}
    references = tuple(read_text(reference) for reference in typed.references)
    return Ask(made, Example(inputs, references), typed.model, config, typed_as)


def languages_typed(task: type[Task], typed: Typed) -> Languages:
    """What a line says so far about what is translated into what; no file is read for it."""
    options = {key: value for key, value in typed.options.items() if key not in DECODING}
    open_ones = [one for one in task.arguments if one not in options]
    options |= dict(zip(open_ones, typed.words, strict=False))
    try:
        return Languages.of(task.from_strings(options).prepare(Example({task.inputs[-1]: typed.words[-1]})))
    except Exception:  # half a line, or a task plugin, which may raise anything at all
        return ANY


def usage(task: type[Task]) -> str:
    """How a task is typed: `/translate TARGET TEXT|@FILE`."""
    words = [name.upper() for name in task.arguments] + [f"{name.upper()}|@FILE" for name in task.inputs]
    return f"/{task.name} " + " ".join(words)


def _words(task: type[Task], line: str, kept: list[tuple[int, int]], options: Mapping[str, str]) -> tuple[str, ...]:
    """The first words one by one, the last input as one stretch; flags inside the stretch are cut out."""
    needed = [name for name in task.arguments if name not in options]
    single = len(needed) + len(task.inputs) - 1
    words = [_unquote(line[start:end]) for start, end in kept[:single]]
    tail = kept[single:]
    if len(tail) == 1:
        words.append(_unquote(line[slice(*tail[0])]))
    elif tail:
        gaps = [line[left[1] : right[0]] for left, right in itertools.pairwise(tail)]
        # Where a flag was cut out, the gap is the flag's text: a space stands for it.
        pieces = [line[start:end] for start, end in tail]
        joined = pieces[0] + "".join(
            (gap if not gap.strip() else " ") + piece for gap, piece in zip(gaps, pieces[1:], strict=True)
        )
        words.append(joined)
    return tuple(words)


def _unquote(word: str) -> str:
    if len(word) >= 2 and word[0] == word[-1] == '"':
        return re.sub(r"\\(.)", r"\1", word[1:-1])
    return word


def read_text(source: str) -> str:
    """The text that `@FILE` names; a longer text with the files it mentions put in; else `source` itself.

    `@@` at the beginning stands for a plain `@`.

    Raises:
        BadInput: no such file, not UTF-8 text, or too large.
    """
    if source.startswith("@@"):
        return source[1:]
    if len(source.split()) > 1:
        return _MENTION.sub(_mentioned, source)
    if not source.startswith("@") or len(source) == 1:
        return source
    return _read(Path(source[1:]).expanduser())


def _mentioned(mention: re.Match[str]) -> str:
    """The text of a file that a longer text mentions; a mention that names no file is a word like any other."""
    path = Path(mention.group(1)).expanduser()
    return f"\n\n{path.name}:\n{_read(path).strip()}\n\n" if path.is_file() else mention.group()


def _read(path: Path) -> str:
    try:
        if path.stat().st_size > MAX_FILE:
            raise BadInput(f"{path} is larger than {MAX_FILE // 1_000_000} MB.", fix="split it", code="file_too_large")
        raw = path.read_bytes()
    except FileNotFoundError:
        raise BadInput(
            f"There is no file {path}.", fix="check the name; @@ starts a text with @", code="no_file"
        ) from None
    except OSError as error:
        raise BadInput(f"{path} cannot be read: {error.strerror or error}.", code="unreadable_file") from error
    return decode(raw, str(path))


def decode(raw: bytes, name: str) -> str:
    """Bytes as UTF-8 text, without a byte order mark, newlines as `\\n`.

    Raises:
        BadInput: they are not UTF-8; says where, and how to convert.
    """
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise BadInput(
            f"{name} is not UTF-8 text: byte {error.start} is 0x{raw[error.start]:02x}.",
            fix=f"iconv -f ISO-8859-1 -t UTF-8 {name}",
            code="not_utf8",
        ) from error
    if "\0" in text:
        raise BadInput(f"{name} is not text: it holds NUL bytes.", code="not_text")
    return text.replace("\r\n", "\n")
