"""A sheet shows what it was given, however early that came."""

from __future__ import annotations

from textual.app import App

from palaver_tui.widgets.sheet import Fact, Sheet, SheetView
from palaver_tui.widgets.text import Text


class Plain(App[None]):
    """Nothing but the colours that the sheet names."""

    def get_css_variables(self) -> dict[str, str]:
        return {**super().get_css_variables(), "hairline": "gray", "muted": "gray"}


async def test_what_is_shown_before_the_rows_are_there_is_shown_when_they_are() -> None:
    app = Plain()
    async with app.run_test() as pilot:
        view = SheetView()
        app.screen.mount(view)
        view.show(Sheet("smollm2", "", [Fact("about", "the first")]))
        view.show(Sheet("smollm2", "", [Fact("about", "the one that is meant")]))
        for _ in range(5):
            await pilot.pause()
        said = [str(one.content) for one in view.query(Text) if one.has_class("sheet-text") and one.parent.display]
        assert said == ["the one that is meant"]
