"""The only doors through which foreign text reaches a widget: made safe, and never read as markup."""

from __future__ import annotations

from textual.content import Content
from textual.widgets import Static

from palaver.terminal import safe_text


def plain(text: str) -> Content:
    """Foreign text as Content: safe to print, brackets shown as brackets."""
    return Content(safe_text(text))


def styled(*pieces: str | tuple[str, str]) -> Content:
    """Pieces of text, each alone or with a style (`"bold"`, `"$muted"`), as one Content; safe, and never markup."""
    made = [
        Content(safe_text(one)) if isinstance(one, str) else Content.styled(safe_text(one[0]), one[1]) for one in pieces
    ]
    return Content("").join(made)


class Text(Static):
    """A Static for any text at all."""

    def __init__(self, text: str | Content = "", *, id: str | None = None, classes: str | None = None) -> None:
        super().__init__(_content(text), markup=False, id=id, classes=classes)

    def show(self, text: str | Content) -> None:
        """Replace what is shown. The screen is laid out anew only where that can change a size."""
        content, before = _content(text), self.content
        if not (isinstance(before, Content) and content.is_same(before)):
            self.update(content, layout=self.styles.auto_dimensions)


def _content(text: str | Content) -> Content:
    return plain(text) if isinstance(text, str) else text
