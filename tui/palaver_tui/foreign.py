"""Screens that plugins add: what they may use, and how one that breaks is closed while the app goes on."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from textual._context import active_message_pump  # what Textual asks itself; it has no public name
from textual.dom import DOMNode
from textual.screen import Screen
from textual.worker import NoActiveWorker, get_current_worker

from palaver.errors import PluginFailed

if TYPE_CHECKING:
    from textual.css.stylesheet import Stylesheet

    from palaver.screen import ScreenKind
    from palaver.session import Session
    from palaver_tui.places import Place


class SessionDesk:
    """What a plugin's screen may use of the session and the chat. See `palaver.Desk`."""

    def __init__(self, session: Session, type_line: Callable[[str], None]) -> None:
        self._session, self._type_line = session, type_line

    def turns(self, filter: str = "", limit: int = 100) -> Sequence[Mapping[str, object]]:
        """The newest turns that match."""
        from palaver.store import parse_filter, turn_record

        store = self._session.store
        return [turn_record(store.turn(number)) for number in store.ids(parse_filter(filter), limit=limit)]

    def say(self, line: str) -> None:
        """Send a line in the chat."""
        self._type_line(line)


class Foreign:
    """The open screens of plugins, by name."""

    def __init__(self) -> None:
        self._open: dict[str, tuple[Screen[object], ScreenKind]] = {}

    def screen(self, place: Place, desk: SessionDesk) -> Screen[object]:
        """The screen of a place, made at the first visit.

        Raises:
            PluginFailed: it cannot be made, with the reason.
        """
        if place.name in self._open:
            return self._open[place.name][0]
        assert place.kind is not None
        made = place.kind.open(desk)
        if not isinstance(made, Screen):
            raise PluginFailed(f"open() gave {type(made).__name__}, which is no textual.screen.Screen")
        self._open[place.name] = (made, place.kind)
        return made

    def is_open(self, screen: object) -> bool:
        """Whether it is a plugin's."""
        return any(screen is one for one, _ in self._open.values())

    def forget(self, name: str) -> None:
        """Make it anew at the next visit."""
        self._open.pop(name, None)

    def culprit(self, error: BaseException, running: object) -> str:
        """The name of the screen that an error came from: its widgets were running, or its code is in the traceback."""
        chain = list(running.ancestors_with_self) if isinstance(running, DOMNode) else []
        for name, (screen, kind) in self._open.items():
            if screen in chain or type(kind).__module__ in _modules(error):
                return name
        return ""


def running_node() -> object:
    """The widget whose worker or handler is running."""
    try:
        return get_current_worker().node
    except NoActiveWorker:
        return active_message_pump.get(None)


def _modules(error: BaseException) -> set[str]:
    found: set[str] = set()
    step = error.__traceback__
    while step is not None:
        found.add(str(step.tb_frame.f_globals.get("__name__", "")))
        step = step.tb_next
    return found


def drop_styles(stylesheet: Stylesheet, kind: ScreenKind) -> None:
    """Forget the styles of a screen's module: Textual reads them all again with every new screen, wrong ones too."""
    home = getattr(sys.modules.get(type(kind).__module__), "__file__", None)
    for place in [one for one in stylesheet.source if home and one[0] == home]:
        del stylesheet.source[place]
    getattr(stylesheet, "_invalid_css", set()).clear()  # else they are passed over once, and raise at another's visit
    stylesheet.reparse()


def told(name: str, error: BaseException) -> str:
    """What the user hears of a screen that broke."""
    from palaver.plugins import describe  # the first frame need not wait for it

    return f"the screen {name} broke and was closed: {describe(error)}"
