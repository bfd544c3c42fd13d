"""A form: labelled boxes one below the other, each with a hint; enter runs, tab goes on."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

from textual import events, on
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Horizontal, VerticalScroll
from textual.message import Message
from textual.widgets import TextArea

from palaver.terminal import safe_text
from palaver_tui.places import Keys
from palaver_tui.widgets.text import Text, plain, styled


@dataclass(frozen=True, slots=True)
class FormField:
    """One row of a form."""

    name: str
    label: str
    value: str = ""
    placeholder: str = ""
    """What stands for an empty value."""
    hint: str = ""
    """What the field is, in a few words."""
    choices: tuple[str, ...] = ()
    is_more: bool = False
    """Shown only when more is asked for."""


class Box(TextArea):
    """The text of one field."""

    BINDINGS: ClassVar = [
        Binding("enter", "run", "run", show=False, id="form.run"),
        Binding("ctrl+j,shift+enter", "newline", "new line", show=False, id="form.newline"),
        Binding("tab", "go_on(1)", "next field", show=False, id="form.next"),
        Binding("shift+tab", "go_on(-1)", "field before", show=False, id="form.before"),
        Binding("up", "step(-1)", "choice or field before", show=False, id="form.up"),
        Binding("down", "step(1)", "next choice or field", show=False, id="form.down"),
    ]

    @dataclass
    class Asked(Message):
        """A key that is the form's: `run`, `1` and `-1` for the fields after and before."""

        box: Box
        what: str

    def __init__(self, field: FormField) -> None:
        super().__init__(
            safe_text(field.value), compact=True, soft_wrap=True, highlight_cursor_line=False,
            placeholder=plain(field.placeholder),
        )  # fmt: skip
        self.field = field
        self.completion: Callable[[str], str] = lambda text: ""
        """The whole text that a text can be completed to; empty if it is whole."""
        self.move_cursor(self.document.end)

    def action_run(self) -> None:
        """Run what the form says."""
        self.post_message(self.Asked(self, "run"))

    def action_newline(self) -> None:
        """Break the line."""
        self.insert("\n")

    def action_go_on(self, step: int) -> None:
        """Complete the name of a file, else go to the field after or before."""
        whole = self.completion(self.text) if step > 0 else ""
        if whole:
            self.put(whole)
        else:
            self.post_message(self.Asked(self, str(step)))

    def action_step(self, step: int) -> None:
        """The choice before or after; in a text the line, from its edge the field."""
        if self.field.choices:
            at = self.field.choices.index(self.text) if self.text in self.field.choices else -1 if step > 0 else 0
            self.put(self.field.choices[(at + step) % len(self.field.choices)])
        elif (step < 0 and self.cursor_at_first_line) or (step > 0 and self.cursor_at_last_line):
            self.post_message(self.Asked(self, str(step)))
        elif step < 0:
            self.action_cursor_up()
        else:
            self.action_cursor_down()

    def put(self, text: str) -> None:
        """Replace the text."""
        self.replace(text, self.document.start, self.document.end)
        self.move_cursor(self.document.end)

    async def _on_key(self, event: events.Key) -> None:
        if event.key == "enter":  # TextArea's own handler would insert a newline
            event.prevent_default()
            event.stop()
            self.action_run()
        else:
            await super()._on_key(event)

    async def _on_paste(self, event: events.Paste) -> None:
        event.stop()
        event.prevent_default()
        self.insert(safe_text(event.text.replace("\r\n", "\n").replace("\r", "\n")))


class More(Text, can_focus=True):
    """The row that stands for the fields that are seldom needed."""

    BINDINGS: ClassVar = [
        Binding("enter,right,space", "open", "show more fields", show=False, id="form.more"),
        Binding("tab,down", "go_on(1)", "next field", show=False),
        Binding("shift+tab,up", "go_on(-1)", "field before", show=False),
    ]

    class Opened(Message):
        """The fields are to be shown."""

    @dataclass
    class Asked(Message):
        """A step to another field."""

        what: str

    def action_open(self) -> None:
        """Show them."""
        self.post_message(self.Opened())

    def action_go_on(self, step: int) -> None:
        """Go to the field after or before."""
        self.post_message(self.Asked(str(step)))

    def on_click(self) -> None:
        self.action_open()


class Form(VerticalScroll, can_focus=False):
    """Fields; says when one changes and when it is to be run."""

    HELP_KEYS: ClassVar[Keys] = (
        ("enter", "run"),
        ("tab", "next field; completes the name of a file behind @"),
        ("↑ ↓", "another choice, or the field above and below"),
        ("ctrl+j", "new line"),
        ("ctrl+t", "copy the command line"),
        ("esc", "back to a line of text, with what is filled in"),
    )

    class Changed(Message):
        """A field has another text."""

    class Run(Message):
        """Enter was pressed."""

    def __init__(self, fields: Sequence[FormField], *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._boxes = [Box(field) for field in fields]
        self._hints = {field.name: Text(field.hint, classes="hint") for field in fields}
        hidden = [field.label for field in fields if field.is_more and not field.value]
        self._hidden = hidden
        self._more = More(styled((f"more ({len(hidden)})    ", "$muted"), ", ".join(hidden), (" ▸", "$accent")))

    def compose(self) -> ComposeResult:
        for box in self._boxes:
            row = Horizontal(classes="field")
            row.display = box.field.label not in self._hidden
            with row:
                yield Text(box.field.label, classes="label")
                yield box
                yield self._hints[box.field.name]
        if self._hidden:
            yield self._more

    @property
    def values(self) -> Mapping[str, str]:
        """The texts by the names of their fields."""
        return {box.field.name: box.text for box in self._boxes}

    def hint(self, name: str, text: str, *, is_wrong: bool = False) -> None:
        """Say something beside a field."""
        self._hints[name].show(styled((text, "$error" if is_wrong else "$muted")))

    def complete_by(self, completion: Callable[[str], str]) -> None:
        """What tab completes texts with."""
        for box in self._boxes:
            box.completion = completion

    def focus_field(self, name: str) -> None:
        """Begin with this field."""
        next(box for box in self._boxes if box.field.name == name).focus()

    @on(TextArea.Changed)
    def _changed(self, event: TextArea.Changed) -> None:
        event.stop()
        self.post_message(self.Changed())

    @on(Box.Asked)
    def _asked(self, event: Box.Asked) -> None:
        event.stop()
        if event.what == "run":
            self.post_message(self.Run())
        else:
            self._go_on(event.box, int(event.what))

    @on(More.Asked)
    def _asked_of_more(self, event: More.Asked) -> None:
        event.stop()
        self._go_on(self._more, int(event.what))

    @on(More.Opened)
    def _open(self, event: More.Opened) -> None:
        event.stop()
        first = next(box for box in self._boxes if box.field.label in self._hidden)
        for box in self._boxes:
            if box.parent is not None:
                box.parent.display = True
        self._more.remove()
        self._hidden = []
        first.focus()

    def _go_on(self, at: Box | More, step: int) -> None:
        shown: list[Box | More] = [box for box in self._boxes if box.field.label not in self._hidden]
        shown += [self._more] if self._hidden else []
        shown[(shown.index(at) + step) % len(shown)].focus()
