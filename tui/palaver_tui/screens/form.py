"""The task form: what a task still needs, its options, the model; with the command line that says the same."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from textual import events, on
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Vertical
from textual.screen import ModalScreen

from palaver import streams
from palaver.command import Typed, languages_typed
from palaver.errors import PalaverError
from palaver.window import CHARACTERS_A_TOKEN
from palaver_tui.clipboard import copy_text
from palaver_tui.completions import file_entries
from palaver_tui.spelled import Spelled, missing
from palaver_tui.widgets.footer import Footer, Hint
from palaver_tui.widgets.form import Form, FormField
from palaver_tui.widgets.text import Text, styled

if TYPE_CHECKING:
    from palaver.choice import Languages
    from palaver.model import ModelInfo
    from palaver.session import Session
    from palaver.task import Option, Task

HINTS = (
    Hint("enter", "run", 1, "form.run"),
    Hint("tab", "next field", 2, "form.next"),
    Hint("ctrl+t", "copy command", 4, "form.copy_command"),
    Hint("esc", "back to text", 3, "form.back"),
    Hint("F1", "help", 5),
)
DECODING = {
    "temperature": "0: the likeliest token",
    "max_new_tokens": "then the answer is cut off",
    "seed": "another one, another answer",
    "top_p": "likeliest tokens of this share",
    "top_k": "so many likeliest; 0: all",
}
AROUND = 9
"""Rows of the screen that the fields leave free: a head, a command line, a warning, keys, and some of the chat."""
INPUT, OPTION, MODEL, REFERENCE = "input ", "option ", "model", "reference"
"""Beginnings and names of fields: a task may have an input that is called like one of its options."""


@dataclass(frozen=True, slots=True)
class Filled:
    """A form that was left."""

    line: str
    runs: bool
    """Else the line goes back into the prompt."""


class FormScreen(ModalScreen[Filled]):
    """Stands over the prompt; the transcript stays in view above it."""

    CSS_PATH = "form.tcss"
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (72, "-normal"), (104, "-wide")]
    BINDINGS: ClassVar = [
        Binding("escape", "back", "back to text", show=False, id="form.back"),
        Binding("ctrl+t", "copy_command", "copy command", show=False, id="form.copy_command"),
    ]

    def __init__(self, session: Session, spelled: Spelled, problem: str = "") -> None:
        super().__init__()
        self._session = session
        self._kind: type[Task] = session.registry.task(spelled.task)
        self._before = spelled
        self._problem = problem
        self._fields = form_fields(session, self._kind, spelled)

    def compose(self) -> ComposeResult:
        plugin, version = self._session.registry.origin(self._kind.name)
        with Vertical(id="sheet"):
            head = (f"  {self._kind.summary()}  {plugin} {version}".rstrip(), "$muted")
            yield Text(styled((f" {self._kind.name}", "bold"), head), id="form-head")
            yield Form(self._fields, id="form")
            yield Text(id="form-command")
            yield Text(id="form-warning")
            yield Footer(HINTS)

    def on_mount(self) -> None:
        form = self.query_one(Form)
        form.complete_by(_completed)
        empty = [one.name for one in self._fields if not one.value and not one.placeholder]
        form.focus_field(empty[0] if empty else self._fields[0].name)
        self._check()

    def on_resize(self, event: events.Resize) -> None:
        # The command line, what is wrong and the keys stay in view, whatever is filled in.
        self.query_one(Form).styles.max_height = max(3, event.size.height - AROUND)

    @property
    def spelled(self) -> Spelled:
        """What is filled in."""
        values = self.query_one(Form).values
        given = {name: text for name, text in values.items() if text.strip()}
        references = (values[REFERENCE],) if values[REFERENCE].strip() else ()
        return Spelled(
            self._kind.name,
            {name: values[INPUT + name] for name in self._kind.inputs},
            {name.removeprefix(OPTION): text.strip() for name, text in given.items() if name.startswith(OPTION)},
            references + self._before.references[1:],
            values[MODEL].strip(),
        )

    @on(Form.Changed)
    def _check(self) -> None:
        """Say anew what each field comes to, and what would run."""
        spelled, form = self.spelled, self.query_one(Form)
        self._problem = missing(spelled, self._session.registry)
        info, state = _model_state(self._session, spelled)
        form.hint(MODEL, state, is_wrong=info is None)
        size = 0
        for name in self._kind.inputs:
            text = spelled.inputs[name]
            size, said, is_wrong = size + _size(text), _text_hint(text), text.startswith("@") and _size(text) < 0
            form.hint(INPUT + name, said, is_wrong=is_wrong)
        titles = " ".join(one.title for one in self._session.registry.metrics_for(self._kind.name, True)[:3])
        form.hint(REFERENCE, f"scored by {titles}" if spelled.references else f"for {titles}")
        self.query_one("#form-command", Text).show(styled((f" $ {spelled.command}", "$muted")))
        warning = self._problem or _window_warning(self._session, self._kind, spelled, info, size)
        self.query_one("#form-warning", Text).show(styled((f" ! {warning}", "$worse")) if warning else "")

    @on(Form.Run)
    def _run(self) -> None:
        if not self._problem:
            self.dismiss(Filled(self.spelled.line, runs=True))

    def action_back(self) -> None:
        """Leave the form; what is filled in becomes a line of text."""
        self.dismiss(Filled(self.spelled.line, runs=False))

    def action_copy_command(self) -> None:
        """Copy the command line that does the same."""
        copy_text(self.app, self.spelled.command)


def form_fields(session: Session, task: type[Task], spelled: Spelled) -> list[FormField]:
    """The rows of a task's form: inputs, options, model, reference, and the decoding parameters as more."""
    fields = [FormField(INPUT + name, name, spelled.inputs.get(name, "")) for name in task.inputs]
    fields += [_option_field(option, spelled.options.get(option.name, "")) for option in task.schema()]
    wanted = spelled.model or session.model
    try:
        chosen = streams.choose(session.registry, task.name, wanted, languages=_languages(task, spelled)).name
    except PalaverError:
        chosen = ""
    names = tuple(one.name for one in session.registry.models() if session.registry.is_installed(one))
    fields.append(FormField(MODEL, "model", spelled.model, chosen or "none on this machine", choices=names))
    given = spelled.references[0] if spelled.references else ""
    fields.append(FormField(REFERENCE, "reference", given, "none: a text, @file, or leave empty"))
    for name, does in DECODING.items():
        default = f"{getattr(task.defaults, name):g}"
        given = spelled.options.get(name, "")
        fields.append(FormField(OPTION + name, name.replace("_", " "), given, default, does, is_more=True))
    return fields


def _option_field(option: Option, given: str) -> FormField:
    choices = ("yes", "no") if option.type is bool else option.choices
    default = "none" if option.default == "" else "" if option.default is None else str(option.default)
    does = option.help.partition(". ")[0].rstrip(".")
    return FormField(OPTION + option.name, option.name.replace("_", " "), given, default, does, choices)


def _model_state(session: Session, spelled: Spelled) -> tuple[ModelInfo | None, str]:
    try:
        task = session.registry.task(spelled.task)
        wanted = spelled.model or session.model
        info = streams.choose(session.registry, spelled.task, wanted, languages=_languages(task, spelled))
    except PalaverError as error:
        return None, error.message
    if info.is_baseline:
        return info, "no weights"
    return info, "loaded" if session.registry.is_ready(info) else "ready"


def _languages(task: type[Task], spelled: Spelled) -> Languages:
    """What is translated into what, as far as the form is filled in."""
    return languages_typed(task, Typed(tuple(spelled.inputs.values()) or ("",), spelled.options))


def _size(text: str) -> int:
    """Characters of a text, or of the file that it names; negative where there is no such file."""
    if not text.startswith("@") or text.startswith("@@") or len(text.split()) > 1:
        return len(text)
    try:
        return Path(text[1:]).expanduser().stat().st_size
    except OSError:
        return -1


def _text_hint(text: str) -> str:
    size = _size(text)
    if size < 0:
        return f"tab: {whole}" if (whole := _completed(text)) else "no such file"
    return f"about {round(size / CHARACTERS_A_TOKEN):,} tokens" if size > 200 else ""


def _window_warning(
    session: Session, task: type[Task], spelled: Spelled, info: ModelInfo | None, size: int
) -> str:  # fmt: skip
    """What happens to a text that is longer than the model's window."""
    from palaver.task import Task

    tokens = round(size / CHARACTERS_A_TOKEN)
    if info is None or info.context is None or tokens <= info.context:
        return ""
    parts = "it will be read in parts" if task.chunks is not Task.chunks else f"{task.name} cannot split it"
    return f"about {tokens:,} tokens is over the {info.context:,} token window of {info.name}; {parts}"


def _completed(text: str) -> str:
    """The first file that a text beginning with @ can be completed to; empty if it is whole."""
    if not text.startswith("@") or any(char.isspace() for char in text):
        return ""
    found = file_entries(text)
    return found[0].text if found and found[0].text != text and _size(text) < 0 else ""
