"""What a new run needs, as a form: kind, text, folder and settings; it shows the command line that it runs."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

from textual import on
from textual.suggester import Suggester
from textual.widgets import Input

from palaver_tui.screens.command_form import CommandForm, Files, Words, bindings
from palaver_tui.training import METRICS

KINDS = ("lm", "autoencoder", "seq2seq", "finetune")
TURNS = "turns:"
"""Before a filter: the examples are turns of one's own."""
FIRST = {"kind": "lm", "out": "checkpoint", "settings": "--keep 10"}


class TrainForm(CommandForm[Sequence[str] | None]):
    """Closes with the words behind `palaver train`, or with nothing."""

    HEAD = ("Train", "a new run")
    MEANT: ClassVar = {
        "kind": "lm goes on with a text; autoencoder makes vectors; seq2seq turns a text into another; finetune",
        "model": "for finetune: the model that goes on learning, an installed one or a folder",
        "text": "a file to learn from, or a .toml with all settings; sources, a text a line; or turns:FILTER",
        "target": "for seq2seq and finetune: what the sources become, line by line",
        "out": "a folder for the checkpoints",
        "settings": "--steps 2000 --width 128 --context 64 --keep 10; palaver train lm --help lists all",
    }
    BINDINGS: ClassVar = bindings("train_form")

    def __init__(self, values: dict[str, str], models: Sequence[str] = ()) -> None:
        """`models` can be fine-tuned and are here."""
        super().__init__(values)
        self._models = models
        for name, value in FIRST.items():
            values.setdefault(name, value)

    @property
    def command(self) -> str:
        """The command line that does the same."""
        try:
            return "palaver train " + shlex.join(arguments(self.values))
        except ValueError:
            return "palaver train"

    def offers(self, field: str) -> Suggester | None:
        """What completes a field."""
        if field in ("kind", "model"):
            return Words(KINDS) if field == "kind" else Files(self._models)
        return Files() if field in ("text", "target") else None

    def first(self) -> str:
        """The kind is there already."""
        return "text"

    def look(self) -> None:
        """Say what is missing, and the command line."""
        problem = wrong(self.values)
        self.say(problem or "enter begins; the run goes on when the window is closed", "$muted")
        self.show_command()

    @on(Input.Submitted)
    def _submitted(self) -> None:
        if problem := wrong(self.values):
            self.say(f"! {problem}", "$error")
        else:
            self.dismiss(arguments(self.values))


def arguments(values: dict[str, str]) -> list[str]:
    """The words behind `palaver train`.

    Raises:
        ValueError: a quotation mark in the settings is not closed.
    """
    kind, text, target = (values[name].strip() for name in ("kind", "text", "target"))
    if kind == "finetune":
        return [kind, *_finetuned(values)]
    given = ["--source", text] if kind == "seq2seq" and text and not text.endswith((".toml", ".json")) else [text]
    more = ["--target", target] if target else []
    return [kind, *filter(None, given), *more, "--out", values["out"].strip(), *shlex.split(values["settings"])]


def _finetuned(values: dict[str, str]) -> list[str]:
    """The same behind `finetune`: its model, its examples, and no settings of the other kinds."""
    model, text, target, out = (values[name].strip() for name in ("model", "text", "target", "out"))
    given = ["--source", text] if text else []
    if text.startswith(TURNS):
        given = ["--turns", text.removeprefix(TURNS).strip()]
    settings = "" if values["settings"].strip() == FIRST["settings"] else values["settings"]
    more = ["--target", target] if target else []
    return [*filter(None, [model]), *given, *more, "--out", out, *shlex.split(settings)]


def wrong(values: dict[str, str]) -> str:
    """What is missing or cannot be; nothing where the run can begin."""
    kind, text, out = (values[name].strip() for name in ("kind", "text", "out"))
    if kind not in KINDS:
        return f"the kind is one of {', '.join(KINDS)}"
    if kind == "finetune" and not values["model"].strip():
        return "a model to fine-tune is needed"
    if not text:
        return "a text to learn from is needed"
    for name in ("target",) if kind == "finetune" and text.startswith(TURNS) else ("text", "target"):
        if values[name].strip() and not Path(values[name].strip()).expanduser().is_file():
            return f"there is no file {values[name].strip()}"
    if not out:
        return "a folder for the checkpoints is needed"
    if (Path(out).expanduser() / METRICS).exists():
        return f"{out} holds a run already: name another folder"
    if kind == "finetune" and (Path(out).expanduser() / "config.json").exists():
        return f"{out} holds a model already: name another folder"
    try:
        shlex.split(values["settings"])
    except ValueError:
        return "a quotation mark in the settings is not closed"
    return ""
