"""What the Plugins screen says of a plugin: its row, and all about it."""

from __future__ import annotations

from collections.abc import Iterator

from palaver.plugins import Plugin, remedy
from palaver.plugins.isolation import isolation_of
from palaver_tui.places import Keys
from palaver_tui.screens.shelf import Entry
from palaver_tui.widgets.footer import Hint
from palaver_tui.widgets.sheet import Fact, Sheet
from palaver_tui.widgets.table import Column
from palaver_tui.widgets.window import Cell, Tone

HINTS = (
    Hint("i", "install", 2, "plugins.install"),
    Hint("space", "on, off", 1, "plugins.switch"),
    Hint("p", "update", 5, "plugins.update"),
    Hint("d", "remove", 6, "plugins.remove"),
    Hint("t", "self-test", 7, "plugins.test"),
    Hint("enter", "details", 3, "table.open"),
    Hint("esc", "back", 4, "shelf.back"),
    Hint("F1", "help", 8, "app.help"),
)
KEYS: Keys = (
    ("i", "install a package by its name, a file or a folder; what would change Palaver's own packages is refused"),
    ("space", "use the plugin no more, or again; from the next start on"),
    ("p", "install its newest version"),
    ("d", "twice: uninstall its package; what it wrote into history stays"),
    ("t", "check it against the contract"),
    ("enter", "all about it, on the whole screen"),
    ("/", "filter by words, as: broken, metric"),
    ("↑ ↓ g G", "move"),
    ("ctrl+t", "copy the command line"),
    ("esc", "close; back to the chat"),
)
LAYOUTS = (
    (104, (Column("plugin", "  plugin", 22), Column("version", "version", 9), Column("adds", "adds", 44),
           Column("start", "  start", 7), Column("health", "health"))),
    (72, (Column("plugin", "  plugin", 22), Column("version", "version", 9), Column("start", "  start", 7),
          Column("health", "health"))),
    (0, (Column("plugin", "  plugin", 20), Column("health", "health"))),
)  # fmt: skip
TRUST = "Plugins are Python code and run with your rights. Install only what you trust."
SHOWN_NAMES = 6
"""Of what a plugin adds, a kind."""


def entry(plugin: Plugin, checks: str) -> Entry:
    """The row of a plugin."""
    found = plugin.found
    is_wrong = plugin.health in ("broken", "quarantined")
    tone: Tone = "error" if is_wrong else "muted" if plugin.health == "off" else ""
    seconds = plugin.import_seconds
    words = health(plugin) + (f" · {checks}" if checks else "")
    cells = {
        "plugin": Cell(f"{sign(plugin)} {found.name}"),
        "version": Cell(found.version, "muted"),
        "adds": Cell(adds(plugin), "muted"),
        "start": Cell("", number=f"{1000 * seconds:.0f} ms" if seconds else "–"),
        "health": Cell(words, tone),
    }
    return Entry(found.name, cells, f"palaver plugins info {found.name}", f"{found.distribution} {plugin.health}")


def sign(plugin: Plugin) -> str:
    """● used, ○ not used, ! does not work."""
    return {"off": "○", "broken": "!", "quarantined": "!"}.get(plugin.health, "●")


def health(plugin: Plugin) -> str:
    """`ok`, `off`, or why it does not work."""
    if plugin.health == "unloaded":
        return "ok" if plugin.is_known else "installed, not used yet"
    if plugin.health == "quarantined":
        return "set aside: it failed three times"
    if plugin.health == "broken":
        return "does not load"
    return "off: safe mode" if plugin.health == "off" and plugin.reason else plugin.health


def adds(plugin: Plugin) -> str:
    """`task shout · metrics bleu chrf`."""
    return " · ".join(f"{kind} {' '.join(names)}" for kind, names in _by_kind(plugin))


def _by_kind(plugin: Plugin) -> Iterator[tuple[str, list[str]]]:
    kinds: dict[str, list[str]] = {}
    for words in plugin.adds:
        kind, _, rest = words.partition(" ")
        kinds.setdefault(kind, []).append(rest.partition(":")[0])
    for kind, names in kinds.items():
        more = [f"+{len(names) - SHOWN_NAMES}"] if len(names) > SHOWN_NAMES else []
        yield f"{kind}{'s' * (len(names) > 1)}", [*names[:SHOWN_NAMES], *more]


def about(plugin: Plugin, checks: str) -> Sheet:
    """All about a plugin."""
    found = plugin.found
    whence = "came with Palaver" if found.is_built_in else f"from the package {found.distribution}"
    kept = isolation_of(found).level
    apart = f" · in a {kept} of its own" if kept != "inproc" else "" if found.is_built_in else " · in Palaver's process"
    return Sheet(
        found.name,
        f"{found.version} · {whence} · module {found.module}{apart}",
        (
            Fact("problem", plugin.reason, "$error" if plugin.health in ("broken", "quarantined") else ""),
            Fact("fix", remedy(plugin), "bold"),
            Fact("", "The rest of Palaver is not affected." if plugin.health == "broken" else ""),
            Fact("adds", "\n".join(plugin.adds)),
            Fact("start", f"{1000 * plugin.import_seconds:.0f} ms to import" if plugin.import_seconds else ""),
            Fact("checks", checks),
            Fact("", "" if found.is_built_in else TRUST, "$muted"),
        ),
    )
