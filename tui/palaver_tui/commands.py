"""The command palette's entries, with names and descriptions from plugins shown as they are."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from textual.command import DiscoveryHit, Hit, Hits, Provider
from textual.content import Content
from textual.style import Style

from palaver.terminal import safe_line
from palaver_tui.entries import PaletteCommand
from palaver_tui.widgets.text import styled

if TYPE_CHECKING:
    from palaver_tui.app import PalaverApp


class PaletteCommands(Provider):
    """Offers the app's commands as Content: of a plain string Textual would read title and help as markup."""

    async def discover(self) -> Hits:
        """All of them, by name."""
        for one in sorted(self._commands(), key=lambda one: one.title):
            yield DiscoveryHit(_shown(one), one.run, text=safe_line(one.title))

    async def search(self, query: str) -> Hits:
        """Those whose name holds the letters of `query` in order."""
        matcher = self.matcher(query)
        for one in self._commands():
            title = safe_line(one.title)
            score, places = matcher.fuzzy_search.match(query, title)
            if score > 0:
                yield Hit(score, _shown(one, places, matcher.match_style), one.run, text=title)

    def _commands(self) -> Iterable[PaletteCommand]:
        app: PalaverApp = self.app  # type: ignore[assignment]
        return app.palette_commands()


def _shown(command: PaletteCommand, places: Iterable[int] = (), style: Style | str = "") -> Content:
    """Title and help on a line each."""
    title = styled(safe_line(command.title))
    for place in places:
        title = title.stylize(style, place, place + 1)
    described = safe_line(command.help)
    return title + styled((f"\n{described}", "$text-muted not bold")) if described else title
