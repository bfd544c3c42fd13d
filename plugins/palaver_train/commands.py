"""`palaver train`: a command a kind of model, and those that go on with a run, steer it, and ask what it has learnt."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from types import FrameType
from typing import Any

import click

from palaver import UsageError, safe_text
from palaver_train.config import DEFAULTS, Kind, fields, make_run, read_config
from palaver_train.control import ORDERS, Control, tell
from palaver_train.events import Begun, Ended, Event, to_json
from palaver_train.finetuning.command import make_command
from palaver_train.report import lines
from palaver_train.watch import watch, words

_KINDS: dict[Kind, str] = {
    "lm": "Train a language model on a text: it learns to go on with it.",
    "autoencoder": "Train an autoencoder on texts: it learns a vector for each, and to give it back.",
    "seq2seq": "Train a model on pairs: it learns to turn one text into another.",
}
_OUT = "checkpoint"
_TRY = "Train a run for each of these values, and for each combination with other --try; then a table of them."


def add_to(group: click.Group) -> click.Group:
    """Add `palaver train` to the command line, and return it."""
    train = click.Group("train", help="Train a model on text of yours; what comes out is a model like any other.")
    for kind, told in _KINDS.items():
        train.add_command(_kind_command(kind, told))
    train.add_command(make_command(_perform))
    train.add_command(_resume)
    train.add_command(_tell)
    group.add_command(train)
    return train


def _kind_command(kind: Kind, told: str) -> click.Command:
    what = "CONFIG.toml" if kind == "seq2seq" else "TEXT | CONFIG.toml"
    parameters: list[click.Parameter] = [
        click.Argument(["given"], required=False, metavar=f"[{what}]"),
        click.Option(["--out"], default=_OUT, show_default=True, metavar="FOLDER", help="Where checkpoints go."),
        *(_flag(kind, *one) for one in fields() if one[1].name not in _unused(kind)),
        click.Option(["--try", "tries"], multiple=True, metavar="NAME=A,B | LEAST..MOST", help=_TRY),
        click.Option(["--random", "draws"], type=click.IntRange(1), metavar="N", help="Try so many by chance."),
        click.Option(["--tui", "is_watched"], is_flag=True, help="Watch it on the Train screen of the terminal UI."),
        click.Option(["--json", "is_json"], is_flag=True, help="How it ended, as one JSON object."),
        click.Option(["--quiet", "is_quiet"], is_flag=True, help="Nothing on stderr but errors."),
    ]

    def perform(
        given: str | None,
        out: str,
        tries: tuple[str, ...],
        draws: int | None,
        is_json: bool,
        is_quiet: bool,
        is_watched: bool,
        **flags: Any,
    ) -> None:
        from palaver_train.session import begin

        folder = Path(out).expanduser()
        settings = _settings(kind, given, {name: value for name, value in flags.items() if value is not None})
        if is_watched and (tries or draws):
            raise UsageError("--tui shows one run, and --try makes several.", fix="leave one of them out")
        if tries or draws:
            _search(kind, settings, tries, draws or 0, folder, is_json=is_json, is_quiet=is_quiet)
            return
        run = make_run(kind, settings)
        if is_watched:
            watch(words(kind, given, out, flags))
            return
        _perform(folder, lambda **told: begin(run, folder, **told), is_json=is_json, is_quiet=is_quiet)

    return click.Command(kind, params=parameters, callback=perform, help=told)


@click.command("resume")
@click.argument("folder", metavar="FOLDER")
@click.option("--steps", type=int, help="Train up to this step.")
@click.option("--epochs", type=float, help="Train up to this epoch, where the run has no --steps.")
@click.option("--minutes", type=float, help="End after this much more time.")
@click.option("--json", "is_json", is_flag=True, help="How it ended, as one JSON object.")
@click.option("--quiet", "is_quiet", is_flag=True, help="Nothing on stderr but errors.")
def _resume(
    folder: str, steps: int | None, epochs: float | None, minutes: float | None, is_json: bool, is_quiet: bool
) -> None:
    """Go on with a run from its last checkpoint, as if it had never stopped."""
    from palaver_train.session import resume

    given = {"steps": steps, "epochs": epochs, "minutes": minutes}
    changes: dict[str, object] = {name: value for name, value in given.items() if value is not None}
    path = Path(folder).expanduser()
    _perform(path, lambda **told: resume(path, changes, **told), is_json=is_json, is_quiet=is_quiet)


@click.command("tell")
@click.argument("folder", metavar="FOLDER")
@click.argument("order", type=click.Choice(ORDERS))
def _tell(folder: str, order: str) -> None:
    """Tell a run that is going on to pause, go on, halve its learning rate, or stop and keep what it has."""
    path = Path(folder).expanduser()
    if not path.is_dir():
        raise UsageError(f"There is no run in {folder}.", fix="give the folder that --out named")
    tell(path, order)


def _settings(kind: Kind, given: str | None, flags: dict[str, Any]) -> dict[str, Any]:
    """What a configuration file and the flags say; a flag stands above the file."""
    values: dict[str, Any] = {}
    if given and given.endswith((".toml", ".json")):
        values = read_config(Path(given).expanduser())
    elif given and kind == "seq2seq":
        values = {"source": given}
    elif given:
        values = {"text": given}
    return values | flags


def _search(
    kind: Kind,
    settings: dict[str, Any],
    tries: tuple[str, ...],
    draws: int,
    folder: Path,
    *,
    is_json: bool,
    is_quiet: bool,
) -> None:
    from palaver_train.search import Trial, combinations, read_tries, search, table

    if not tries:
        raise UsageError("--random needs something to try.", fix="--try learning_rate=1e-4..1e-2")
    found = combinations(read_tries(kind, tries), draws, int(settings.get("seed", 1)))

    def told(trial: Trial) -> None:
        if not is_quiet:
            said = f"validation loss {trial.validation_loss:.4f}" if trial.validation_loss is not None else trial.error
            values = ", ".join(f"{name}={value}" for name, value in trial.settings.items())
            click.echo(safe_text(f"trial {trial.number} of {len(found)} · {values} · {said}"), err=True)

    control = Control()
    with _stoppable(control):
        trials = search(kind, settings, found, folder, on_trial=told, control=control)
    if is_json:
        click.echo(json.dumps({"schema": "palaver.search/1", "trials": [asdict(one) for one in trials]}))
    else:
        for line in table(trials):
            click.echo(safe_text(line))
        if trials and trials[0].validation_loss is not None and not is_quiet:
            click.echo(safe_text(f"the best one: {trials[0].folder}"), err=True)
    if control.is_stopped:
        raise click.exceptions.Exit(130)
    if all(one.error for one in trials):
        raise click.exceptions.Exit(1)


def _perform(folder: Path, work: Callable[..., Ended], *, is_json: bool, is_quiet: bool) -> None:
    """Run it with its lines on stderr, and ctrl+c as the order to stop."""
    control, steps = Control(folder), [0]
    is_first = os.environ.get("RANK", "0") == "0"  # of the processes that torchrun starts, one talks

    def show(event: Event) -> None:
        if isinstance(event, Begun):
            steps[0] = event.steps
        if not is_quiet:
            for line in lines(event, steps=steps[0]):
                click.echo(safe_text(line), err=True)

    with _stoppable(control):
        ended = work(on_event=show, control=control)
    if is_first:
        told = {"schema": "palaver.trained/1", **json.loads(to_json(ended))}
        click.echo(json.dumps(told, ensure_ascii=False) if is_json else safe_text(str(folder)))


@contextmanager
def _stoppable(control: Control) -> Iterator[None]:
    """While it is entered, the first ctrl+c stops and keeps; the second one leaves."""

    def stop(number: int, frame: FrameType | None) -> None:
        if control.is_stopped:
            os._exit(130)
        control.order("stop")
        os.write(2, b"\nstopping after this step; ctrl+c again leaves at once\n")

    before = signal.signal(signal.SIGINT, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _unused(kind: Kind) -> set[str]:
    """Settings that mean nothing for a kind, and are left out of its help."""
    pairs = {"source", "target", "source_column", "target_column", "valid_source", "valid_target"}
    pairs |= {"source_language", "target_language", "task", "guided_attention", "batch_tokens"}
    return {
        "lm": pairs | {"noise"},
        "autoencoder": pairs - {"batch_tokens"},
        "seq2seq": {"text", "valid", "noise"},
    }[kind]


def _flag(kind: Kind, section: str, field: Any, scalar: type, choices: tuple[str, ...]) -> click.Option:
    default = DEFAULTS[kind].get(field.name, field.default)
    shown = f"  [default: {default}]" if default not in ("", False) else ""
    flag = f"--{field.name.replace('_', '-')}"
    kinds: dict[type, Any] = {int: int, float: float}
    if scalar is bool:
        return click.Option([f"{flag}/--no-{flag[2:]}", field.name], default=None, help=field.metadata["help"])
    return click.Option(
        [flag, field.name],
        type=click.Choice(choices) if choices else kinds.get(scalar, str),
        default=None,
        help=field.metadata["help"] + shown,
    )
