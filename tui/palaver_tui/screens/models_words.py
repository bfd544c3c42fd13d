"""What the Models screen says of a model: its row, and all about it."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from palaver import streams
from palaver.choice import spoken
from palaver.model import ModelInfo
from palaver.present import format_score, format_size
from palaver.session import Session
from palaver.stock import Stocked
from palaver.store import parse_filter
from palaver_tui.places import Keys
from palaver_tui.screens.shelf import Entry
from palaver_tui.widgets.footer import Hint
from palaver_tui.widgets.sheet import Fact, Sheet
from palaver_tui.widgets.table import Column
from palaver_tui.widgets.window import Cell, Tone

HINTS = (
    Hint("enter", "load, unload", 1, "table.open"),
    Hint("p", "pull, stop", 2, "models.pull"),
    Hint("f", "default", 5, "models.default"),
    Hint("d", "delete files", 6, "models.delete"),
    Hint("i", "all about it", 8, "models.info"),
    Hint("/", "filter", 4, "shelf.filter"),
    Hint("esc", "back", 3, "shelf.back"),
    Hint("F1", "help", 7, "app.help"),
)
KEYS: Keys = (
    ("enter", "load the model into memory, or free it again"),
    ("p", "download it, go on with a stopped download, or stop the one that runs; what has arrived is kept"),
    ("f", "have it answer every task, or one, when no model is named"),
    ("d", "twice: delete its files; p brings them back"),
    ("i", "all about it, on the whole screen"),
    ("/", "filter by words, as: disk, translate"),
    ("↑ ↓ g G", "move"),
    ("ctrl+t", "copy the command line that does what enter would"),
    ("esc", "close; back to the chat"),
)
LAYOUTS = (
    (104, (Column("model", "  model", 25), Column("tasks", "tasks", 23), Column("size", "    size", 8),
           Column("memory", "  memory", 8), Column("state", "state"))),
    (72, (Column("model", "  model", 25), Column("size", "    size", 8), Column("memory", "  memory", 8),
          Column("brief", "state"))),
    (0, (Column("model", "  model", 22), Column("memory", " memory", 7), Column("brief", "state"))),
)  # fmt: skip
ORDER = ("loaded", "installed", "server", "broken", "absent", "baseline")
"""What can answer now comes first."""
SIGNS = {"loaded": "●", "installed": "○", "absent": "↓", "broken": "!", "baseline": "·", "server": "○"}
ENTER = {"loaded": "unload", "installed": "load", "absent": "pull", "broken": "pull", "baseline": "info"}
"""What the enter key would run."""
SHOWN_DIGEST = 19
NAMED_TASKS = 2
"""Of the tasks that a model answers, in its row."""


def entry(one: Stocked, is_busy: bool) -> Entry:
    """The row of a model."""
    info = one.info
    sign = "◐" if is_busy else SIGNS[one.state]
    memory = one.memory_bytes or info.memory
    tone: Tone = "error" if one.state == "broken" else "muted" if one.state == "baseline" else ""
    cells = {
        "model": Cell(f"{sign} {info.name}"),
        "tasks": Cell(" ".join(info.good_at or info.tasks).replace("*", "any"), "muted"),
        "size": Cell("", number=format_size(info.download_size or one.disk_bytes) if _has_size(one) else "–"),
        "memory": Cell("", number=format_size(memory) if memory > 1 else "–"),
        "state": Cell(state_words(one), tone),
        "brief": Cell(_brief(one), tone),
    }
    return Entry(info.name, cells, f"palaver models {ENTER.get(one.state, 'info')} {info.name}", info.description)


def _has_size(one: Stocked) -> bool:
    return bool(one.info.download_size or one.disk_bytes)


def state_words(one: Stocked) -> str:
    """`ready · cpu · default for chat`."""
    tasks = ", ".join(one.answers) if len(one.answers) <= NAMED_TASKS else f"{len(one.answers)} tasks"
    answers = [f"default for {tasks}"] if tasks else []
    if one.state == "loaded":
        where = " · shared engine" if one.engine == "warm" else ""
        return " · ".join([f"ready · {one.info.device}{where}", *answers])
    if one.state == "broken":
        return one.reason
    if one.state == "absent":
        return f"{format_size(one.arrived_bytes)} are here" if one.arrived_bytes else "not downloaded"
    words = {"installed": "on disk", "baseline": "no weights", "server": "on a server"}[one.state]
    return " · ".join([words, *answers])


def _brief(one: Stocked) -> str:
    """The same where there is little room: `ready · default`."""
    words = {"loaded": "ready", "installed": "on disk", "broken": f"broken: {one.reason}"}.get(one.state)
    return " · ".join([words or state_words(one), *(["default"] if words and one.answers else [])])


def about(session: Session, one: Stocked) -> Sheet:
    """All about a model, with what history knows of it."""
    info = one.info
    window = f"{info.context:,} token window" if info.context else ""
    head = " · ".join(filter(None, (info.backend, info.dtype, info.licence, window)))
    return Sheet(info.name, head, [*_broken(one), *_facts(one), *_engines(session, one), *_past(session, info)])


def _broken(one: Stocked) -> Iterator[Fact]:
    if one.state == "broken":
        yield Fact("broken", one.reason, "$error")
        yield Fact("fix", one.fix, "bold")


def _facts(one: Stocked) -> Iterator[Fact]:
    info = one.info
    tasks = ", ".join("any task" if name == "*" else name for name in info.tasks) or "any task"
    yield Fact("about", info.description)
    yield Fact("tasks", ", ".join(filter(None, (tasks, spoken(info)))))
    yield Fact("answers", ", ".join(one.answers))
    if one.state == "absent":
        arrived = f", {format_size(one.arrived_bytes)} of it are here" if one.arrived_bytes else ""
        yield Fact("download", f"{format_size(info.download_size)}{arrived}: {one.fix}")
    needs = f"about {format_size(info.memory)}" if info.memory > 1 else ""
    yield Fact("memory", f"{format_size(one.memory_bytes)} now" if one.memory_bytes else needs)
    if info.path:
        digest = f" · {info.digest[:SHOWN_DIGEST]}…" if info.digest.startswith("sha256:") else ""
        size = f" · {format_size(one.disk_bytes)}" if one.disk_bytes else ""
        yield Fact("files", f"{str(info.path).replace(str(Path.home()), '~', 1)}{size}{digest}")


def _engines(session: Session, one: Stocked) -> Iterator[Fact]:
    if one.state in ("installed", "loaded"):
        yield Fact("streams", streams.told(session.registry, one.info))


def _past(session: Session, info: ModelInfo) -> Iterator[Fact]:
    """How often it was asked, when last, and what it scored."""
    named = f'model:"{info.name}"' if " " in info.name else f"model:{info.name}"
    mine = parse_filter(named)
    turns = session.store.count(mine)
    last = session.store.page(mine, limit=1)
    if not last:
        return
    yield Fact("turns", f"{turns:,}, the last one {_ago(time.time() - last[0].created)}")
    scores = list(_scores(session, named, info.good_at or info.tasks))
    yield Fact("scores", " · ".join(scores))


def _scores(session: Session, named: str, tasks: Sequence[str]) -> Iterator[str]:
    for task in tasks:
        for metric in session.registry.metrics_for(task, True)[:1]:
            found = session.store.corpus(parse_filter(f"{named} task:{task} has:ref"), metric.name)
            for signature, stats, n in found:
                yield f"{task} {format_score(metric.corpus(stats, n, signature))} (n={n})"


def _ago(seconds: float) -> str:
    """`2 min ago`."""
    for unit, size in (("days", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * size or (unit != "days" and seconds >= size):
            return f"{seconds / size:.0f} {unit} ago"
    return "just now"
