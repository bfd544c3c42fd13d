"""What the Train screen says: a row a run, how far the open one is, its alarm, its checkpoints and its samples."""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path

from textual.content import Content

from palaver.terminal import safe_line
from palaver_tui.places import Keys
from palaver_tui.training import TUNED, Checkpoint, RunView, Values
from palaver_tui.widgets.footer import Hint
from palaver_tui.widgets.header import fold
from palaver_tui.widgets.table import Column, Layout
from palaver_tui.widgets.text import plain, styled
from palaver_tui.widgets.window import Cell, Row

LIST_HINTS = (
    Hint("n", "new", 1, "train.new"),
    Hint("enter", "open", 2),
    Hint("ctrl+t", "copy command", 5, "train.copy_command"),
    Hint("esc", "back", 3, "train.back"),
    Hint("F1", "help", 4),
)
OPEN_HINTS = (
    Hint("space", "go on", 2, "train.pause"),
    Hint("enter", "chat", 1, "train.chat"),
    Hint("c", "compare", 3, "train.compare"),
    Hint("x", "mark", 6, "train.mark"),
    Hint("n", "new", 7, "train.new"),
    Hint("ctrl+t", "copy", 8, "train.copy_command"),
    Hint("esc", "back", 4, "train.back"),
    Hint("F1", "help", 5),
)
RUNNING_HINTS = (
    Hint("space", "pause", 1, "train.pause"),
    Hint("l", "lower rate", 3, "train.lower"),
    Hint("s", "stop and keep", 2, "train.stop"),
    Hint("enter", "chat", 5, "train.chat"),
    Hint("c", "compare", 7, "train.compare"),
    Hint("x", "mark", 8, "train.mark"),
    Hint("esc", "back", 4, "train.back"),
    Hint("F1", "help", 6),
)
KEYS: Keys = (
    ("n", "a new run: what kind, from which text, into which folder"),
    ("enter", "open a run; in an open one, chat with the chosen checkpoint"),
    ("↑ ↓", "move through the runs; in an open one, choose a checkpoint, as j k do"),
    ("space", "pause, and go on; a run that has stopped is resumed"),
    ("l", "halve the learning rate"),
    ("s", "stop after this step and keep what is there"),
    ("x", "mark a checkpoint"),
    ("c", "compare two checkpoints: the marked ones, else the chosen and the last one"),
    ("ctrl+t", "copy the command line"),
    ("esc", "back to the list, then to the chat; the run goes on, even when the window is closed"),
)
LAYOUTS: Sequence[Layout] = (
    (0, (Column("folder", "run"), Column("state", "", 9), Column("loss", "best", 7))),
    (
        72,
        (Column("folder", "run"), Column("state", "", 9), Column("step", "step", 9), Column("loss", "best", 7)),
    ),
    (
        104,
        (
            Column("folder", "run"),
            Column("architecture", "architecture", 24),
            Column("state", "", 9),
            Column("step", "step", 9),
            Column("loss", "best", 7),
            Column("note", "", 12),
        ),
    ),
)
NOTHING_YET = (
    "No run yet. n begins one: a language model from a text, an autoencoder from a text a line, a model that turns one "
    "text into another from pairs, or a model of others that goes on learning from your examples (finetune).\n\n"
    "A first one: kind lm, any text file of some hundred thousand characters. On two cores the small settings take "
    "minutes. palaver train --help tells all."
)
_WHY = {"finished": "done", "patience": "done", "minutes": "done", "stopped": "stopped"}


def named(folder: Path) -> str:
    """A folder as short as it can be typed: `./checkpoint`, `~/runs/a`."""
    text = str(folder)
    for base, sign in ((str(Path.cwd()), "."), (str(Path.home()), "~")):
        if text == base or text.startswith(base + os.sep):
            return sign + text[len(base) :]
    return text


def state(view: RunView) -> str:
    """One word."""
    if not view.begun:
        return "begins"
    if view.ended:
        return _WHY.get(str(view.ended.get("reason")), "ended")
    return "paused" if view.is_paused else "silent" if view.is_silent else "running"


def row(number: int, view: RunView) -> Row:
    """A run in the list."""
    best = view.best
    return Row(
        number,
        {
            "folder": Cell(named(view.folder)),
            "architecture": Cell(str(view.begun.get("architecture", "")), "muted"),
            "state": Cell(state(view), "" if view.is_running else "muted"),
            "step": Cell("", number=f"{_step(view):,}"),
            "loss": Cell("", number=f"{best[1]:.4f}" if best else ""),
            "note": Cell("! over-fits" if view.alarm else ""),
        },
    )


def header_line(view: RunView) -> str:
    """What stands at the right of the first row."""
    if not view.begun:
        return "○ begins"
    sign = "●" if view.is_running and not view.is_paused else "○"
    return f"{sign} {state(view)} · step {_step(view):,} of {int(view.begun['steps']):,}"


def head(view: RunView, width: int) -> Content:
    """What is trained, where, on what."""
    begun = view.begun
    parts = [named(view.folder)]
    if begun:
        parts += [
            str(begun["architecture"]),
            f"{begun['parameters'] / 1e6:.2f} million weights",
            f"{begun['device']}, {begun['precision']}",
            f"vocabulary {begun['vocabulary']:,}",
            f"{begun['train_tokens']:,} tokens",
        ]
    return styled((" " + fold(" · ".join(parts), width - 2), "$muted"))


def now(view: RunView, width: int) -> Content:
    """Where it is: losses first, what can be spared last."""
    last, steps = view.last, int(view.begun.get("steps", 0))
    if not last:
        return styled(" the data are read…" if not view.begun else f" step 0 of {steps:,}")
    parts = [f"train {last['train_loss']:.4f}"]
    if view.valid:
        parts.append(f"validation {view.valid[-1][1]:.4f}")
    lowered = f" (lowered, times {view.scale:g})" if view.scale < 1 else ""
    parts += [
        f"epoch {last['epoch']:.2f}",
        f"{last['tokens_per_second']:,.0f} tokens/s",
        f"rate {last['learning_rate']:.1e}{lowered}",
        _time(float(last["seconds"])),
    ]
    return styled(" " + fold(" · ".join(parts), width - 2))


def alarm(view: RunView, width: int) -> Content:
    """Since when it over-fits; nothing where it does not."""
    found = view.alarm
    if not found:
        return Content("")
    said = f"! over-fits: validation turned up since epoch {found['since_epoch']:.2f}"
    more = f": best was {found['best_loss']:.4f} at step {found['since_step']:,}, {found['loss']:.4f} when it was seen"
    whole = safe_line(said + more)
    return styled((" " + (whole if len(whole) < width - 1 else safe_line(said, width - 2)), "bold $worse"))


def checkpoints(found: Sequence[Checkpoint], chosen: int, marked: frozenset[str], room: int) -> Content:
    """A line a checkpoint, the chosen one among those that are shown."""
    if not found:
        return styled((" no checkpoint yet: the first comes with the first evaluation", "$muted"))
    top = max(0, min(chosen - room // 2, len(found) - room))
    rows = []
    for at, one in enumerate(found[top : top + room], start=top):
        signs = (" ❯ " if at == chosen else "   ") + ("x " if one.name in marked else "  ")
        epoch = f"  epoch {one.epoch:>6.2f}" if one.epoch is not None else ""
        loss = f"  {one.validation_loss:.4f}" if one.validation_loss is not None else ""
        told = "  best" * one.is_best + "  last" * one.is_last
        rows.append(
            styled((signs, "$accent"), (f"step {one.step:>7,}", "bold" if at == chosen else ""), epoch, loss, told)
        )
    return Content("\n").join(rows)


def samples(view: RunView, copied: Mapping[str, Sequence[tuple[int, int]]] | None, width: int, most: int) -> Content:
    """What the network wrote at the last evaluation; what stands word for word in the training text is underlined."""
    pairs = [(str(one[0]), str(one[1])) for one in view.samples.get("samples", ()) if len(one) == 2]
    if not pairs:
        return Content("")
    title = f" samples at step {int(view.samples['step']):,}"
    if copied is not None:
        whole = sum(len(text) for _, text in pairs)
        taken = sum(end - start for _, text in pairs for start, end in copied.get(text, ()))
        title += f" · {100 * taken / max(whole, 1):.0f} % copied verbatim" + (", underlined" if taken else "")
    rows = [styled((" " + safe_line(title, width - 2), "$muted"))]
    for prompt, text in pairs:
        body = _underlined(text, (copied or {}).get(text, ()))
        lead = [(f"{safe_line(prompt, 60)} → ", "$muted")] if prompt.strip() else []
        rows += [styled("   ") + line for line in (styled(*lead) + body).wrap(max(20, width - 6))]
    return Content("\n").join(rows[:most])


def _underlined(text: str, spans: Sequence[tuple[int, int]]) -> Content:
    """The text on one line, some of it underlined."""
    pieces: list[Content] = []
    at = 0
    for start, end in (*spans, (len(text), len(text))):
        pieces += [plain(text[at:start].replace("\n", " ")), styled((text[start:end].replace("\n", " "), "underline"))]
        at = end
    return Content("").join(pieces)


def command(view: RunView) -> str:
    """The command line that does what the screen does now."""
    folder = shlex.quote(named(view.folder))
    if view.is_running:
        return f"palaver train tell {folder} {'go' if view.is_paused else 'pause'}"
    if (view.folder / TUNED).exists():
        return f"palaver chat -m {folder}"
    # A run without a checkpoint, as fine-tuning that did not come to its end, cannot go on.
    return f"palaver train resume {folder}" if view.checkpoints else "palaver train --help"


def task_of(settings: Values) -> str:
    """What a checkpoint of a run with these settings is asked for."""
    data = settings.get("data")
    kind = str(settings.get("kind", "lm"))
    named = str(data.get("task") or "") if isinstance(data, dict) else ""
    return "reconstruct" if kind == "autoencoder" else named if kind == "seq2seq" and named else "generate"


def hints(view: RunView | None) -> Sequence[Hint]:
    """The keys of the last row."""
    if view is None:
        return LIST_HINTS
    if not view.is_running:
        is_done = view.ended and view.ended.get("reason") != "stopped"
        return [one for one in OPEN_HINTS if not (is_done and one.key == "space")]
    first = Hint("space", "go on" if view.is_paused else "pause", 1, "train.pause")
    return (first, *RUNNING_HINTS[1:])


def _step(view: RunView) -> int:
    return int(view.last.get("step", view.begun.get("step", 0)))


def _time(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes} min {rest:02} s" if minutes else f"{rest} s"
