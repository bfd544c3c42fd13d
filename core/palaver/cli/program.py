"""What the commands of one invocation share: the output, the plugins and the history, each opened when first used."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Callable, Iterator
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast

import click

from palaver.errors import PalaverError
from palaver.paths import history_file

if TYPE_CHECKING:
    from palaver.cli.output import Color, Output
    from palaver.registry import Registry
    from palaver.store import Store

F = TypeVar("F", bound=Callable[..., Any])


class Program:
    """One run of `palaver`."""

    @cached_property
    def output(self) -> Output:
        """The streams."""
        from palaver.cli.output import Output

        return Output()

    @cached_property
    def registry(self) -> Registry:
        """Tasks, models and metrics; the plugins are imported at the first question.

        Raises:
            UsageError: the settings cannot be read.
        """
        from palaver.config import read_settings
        from palaver.plugins import Plugins
        from palaver.registry import Registry

        settings = read_settings()
        return Registry(Plugins(off=settings.plugins_off), settings)

    @contextlib.contextmanager
    def history(self, *, is_kept: bool = True) -> Iterator[Store]:
        """The history file, open; with `is_kept=False` one that is gone afterwards.

        Raises:
            StoreError: it cannot be used.
        """
        from palaver.store import Store, telling  # 30 ms: paid by what records or shows a turn

        with contextlib.ExitStack() as stack:
            path = history_file()
            if not is_kept:
                path = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="palaver-"))) / "history.db"
            with telling(self.output.talk):
                store = stack.enter_context(Store.open(path))
            store.mark_orphans()
            yield store

    def record_failure(self, task: str, text: str, error: PalaverError, *, is_kept: bool = True) -> None:
        """Leave a failed turn in history for what could not even be asked; the error itself is not told here."""
        if not is_kept:
            return
        from palaver.session import Session

        # What the user is to hear is the first error, not that its record could not be written.
        with contextlib.suppress(PalaverError), self.history() as store:
            Session(self.registry, store, kind="task").record_failure(task, text, error)


def pass_program(command: F) -> F:
    """Gives a command the Program as its first argument."""
    return cast(F, click.make_pass_decorator(Program, ensure=True)(command))


def color_option(command: F) -> F:
    """`--color auto|always|never`, which may stand before or after the name of a command."""

    def choose(context: click.Context, parameter: click.Parameter, value: Color | None) -> None:
        if value is not None:
            context.ensure_object(Program).output.color = value

    option = click.option(
        "--color",
        type=click.Choice(["auto", "always", "never"]),
        callback=choose,
        expose_value=False,
        help="Bold and underline: auto is for terminals only.",
    )
    return option(command)


def complete_models(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[str]:
    """Names of models for the shell to complete."""
    with contextlib.suppress(PalaverError):
        names = [info.name for info in context.ensure_object(Program).registry.models()]
        return sorted(name for name in names if name.startswith(incomplete))
    return []


def complete_metrics(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[str]:
    """Names of metrics for the shell to complete, after the last comma."""
    before, comma, begun = incomplete.rpartition(",")
    with contextlib.suppress(PalaverError):
        names = context.ensure_object(Program).registry.metrics()
        return sorted(before + comma + name for name in names if name.startswith(begun))
    return []


json_option = click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")
