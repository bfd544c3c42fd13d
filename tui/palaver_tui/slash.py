"""The chat's own commands beside the tasks, what the menu offers, and what Enter would do."""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from palaver import streams
from palaver.errors import NotFound, PalaverError
from palaver.present import format_size
from palaver_tui.entries import Entry
from palaver_tui.places import PLACES
from palaver_tui.spelled import name_in

if TYPE_CHECKING:
    from palaver.registry import Registry
    from palaver.session import Session
    from palaver.task import Task

MOST_TITLES = 4
"""Metrics that the row above the prompt names."""


@dataclass(frozen=True, slots=True)
class Command:
    """A command of the chat itself."""

    name: str
    summary: str
    usage: str = ""
    needs_more: bool = False
    is_about_turn: bool = False
    """`#12` may stand before the rest; without it the last answer is meant."""


COMMANDS = (
    Command("ref", "score the last answer against a reference", "[#N] TEXT|@FILE", needs_more=True, is_about_turn=True),
    Command("again", "answer once more, with another seed", "[#N]", is_about_turn=True),
    Command("rate", "rate an answer, 1 to 5; 0 takes it back", "[#N] 1–5", needs_more=True, is_about_turn=True),
    Command("note", "note something about an answer", "[#N] TEXT", is_about_turn=True),
    Command("tag", "tag an answer; with a minus untag it", "[#N] WORD…", needs_more=True, is_about_turn=True),
    Command("keep", "keep an answer as an example of a data set", "[#N] NAME", needs_more=True, is_about_turn=True),
    Command("model", "list the models, or answer with this one", "[NAME]"),
    Command("pull", "download a model", "NAME", needs_more=True),
    Command("unload", "free the memory of a model", "[NAME]"),
    Command("new", "begin a new conversation"),
    Command("resume", "go on with the last conversation, or with the one of a turn", "[#N]"),
    Command("demo", "score three ready translations, no model"),
    Command("details", "where the last answer came from, and its signatures"),
    *(Command(place.command, place.summary, place.usage) for place in PLACES if place.source),
    Command("help", "keys and commands"),
    Command("quit", "leave"),
)
PLACE_NAMES = frozenset(place.command for place in PLACES if place.source)
NAMES = frozenset(command.name for command in COMMANDS)
NO_ANSWER = "there is no answer to score yet"
WAIT_TO_REFER = "still writing; /ref when it is done"
_TURN = re.compile(r"#(\d+)(?:\s+|$)")


def split(line: str) -> tuple[str, str]:
    """Name and rest of a line that is a command of the chat itself; an empty name for everything else."""
    if not line.startswith("/") or line.startswith("//"):
        return "", line
    name, _, rest = line[1:].strip().partition(" ")
    return (name, rest.strip()) if name in NAMES else ("", line)


def referred(rest: str) -> tuple[int | None, str]:
    """Number and text of what follows a command about a turn: `#12 TEXT`, or TEXT alone for the last answer."""
    match = _TURN.match(rest)
    return (int(match.group(1)), rest[match.end() :]) if match else (None, rest)


def entries(registry: Registry | None) -> list[Entry]:
    """Everything that can follow `/`: the tasks of all plugins, then the chat's own commands."""
    found: list[Entry] = []
    if registry is not None:
        from palaver.command import usage

        for name, task in registry.tasks().items():
            plugin, version = registry.origin(name)
            rest = usage(task).removeprefix(f"/{name}").strip()
            summary = task.summary() if name != "chat" else "ask one question by another model: -m NAME"
            found.append(Entry(f"/{name}", summary, rest, f"plugin {plugin} {version}".strip(), True))
        found = [*found[1:], *found[:1]]  # what is typed without a slash anyway comes last
    found += [Entry(f"/{one.name}", one.summary, one.usage, "the chat", one.needs_more) for one in COMMANDS]
    return found


def will_do(line: str, session: Session | None) -> str:
    """What Enter does with `line`, in one row: the task, the model, how it decodes, what it is scored by."""
    text = line.strip()
    name, rest = split(text)
    if name:
        return _command_will_do(name, rest, session)
    if session is None:
        return "starting…"
    try:
        return _task_will_do(text, session)
    except PalaverError as error:
        return error.message


def _command_will_do(name: str, rest: str, session: Session | None) -> str:
    command = next(one for one in COMMANDS if one.name == name)
    if command.needs_more and not rest:
        return f"/{name} {command.usage}"
    if name == "pull" and session is not None:
        return pull_line(session.registry, rest)
    if name == "model" and rest and session is not None:
        return _model_line(session.registry, rest)
    if command.is_about_turn:
        turn = referred(rest)[0] or (session.last_turn if session else None)
        return _about(name, turn, referred(rest)[1]) if turn else NO_ANSWER
    return command.summary


def _about(name: str, turn: int, text: str) -> str:
    """What a command does to a turn."""
    return {
        "ref": f"scores #{turn} against this reference",
        "again": f"answers #{turn} once more, with another seed; both stay",
        "rate": f"rates #{turn}",
        "note": f"keeps this note on #{turn}" if text else f"removes the note on #{turn}",
        "tag": f"tags #{turn}",
        "keep": f"keeps #{turn} as an example of {text or 'a data set'}",
    }[name]


def pull_line(registry: Registry, name: str) -> str:
    """Size, licence and place of a download, in one line."""
    from palaver import paths

    try:
        info = registry.info(name)
    except PalaverError as error:
        return error.message
    if registry.is_installed(info):
        return f"{info.name} is here already"
    where = str(paths.models_dir()).replace(str(Path.home()), "~", 1)
    return f"downloads {info.name} · {format_size(info.download_size)} · {info.licence} · to {where}"


def _model_line(registry: Registry, name: str) -> str:
    try:
        info = registry.info(name_in(name))
    except NotFound:
        return f"no model named {name}"
    except PalaverError as error:
        return error.message
    if not registry.is_installed(info):
        return f"not downloaded: /pull {info.name}"
    return f"answers with {info.name} from now on"


def _task_will_do(text: str, session: Session) -> str:
    from palaver.choice import ANY
    from palaver.command import languages_typed, scan, usage
    from palaver.task import Chat

    registry = session.registry
    task: type[Task] = Chat
    name, references, wanted = "chat", 0, ""
    options: dict[str, str] = {}
    languages = ANY
    if text.startswith("/") and not text.startswith("//"):
        name = text[1:].split(maxsplit=1)[0] if text[1:].strip() else ""
        if not name or name not in registry.tasks():
            return "tab completes a command"
        task = registry.task(name)
        typed = scan(task, text[1 + len(name) :])
        if not typed.words:
            return usage(task)
        options, references, wanted = dict(typed.options), len(typed.references), typed.model
        languages = languages_typed(task, typed)
    info = streams.choose(registry, name, wanted or session.model, languages=languages)
    temperature = options.get("temperature", f"{task.defaults.temperature:g}")
    parts = [name, streams.named(info)]
    parts += [f"{key} {value}" for key, value in options.items() if key != "temperature"]
    if not info.is_baseline:
        parts.append(f"temp {temperature}")
    titles = " ".join(one.title for one in registry.metrics_for(name, True, session.metrics)[:MOST_TITLES])
    given = f"{references} reference{'s' * (references > 1)}: {titles}"
    parts.append("no reference" if not references else given)
    return " · ".join(parts)


def slash_fix(fix: str) -> str:
    """The line to type for a fix that the chat can do itself: `palaver models pull x` is `/pull x`; else nothing."""
    words = fix.split()
    if words[:3] == ["palaver", "models", "pull"] and len(words) == 4:
        return f"/pull {words[3]}"
    if words == ["palaver", "models", "list"]:
        return "/model"
    return fix if fix.startswith("/") else ""


def meant(line: str, registry: Registry) -> str:
    """The line with its unknown command put right: `/sumarize x` is `/summarize x`; `/help` where nothing is near."""
    typed = line[1:].split(maxsplit=1)[0] if line[1:].strip() else ""
    near = difflib.get_close_matches(typed, [*registry.tasks(), *NAMES], n=1, cutoff=0.55)
    return f"/{near[0]}{line[1:].lstrip()[len(typed) :]}" if near else "/help"
