"""`--tui`: hand a run over to the terminal UI, which runs it as a process of its own and shows how it goes."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Mapping
from typing import Any

import click

from palaver import UsageError


def words(kind: str, given: str | None, out: str, flags: Mapping[str, Any]) -> list[str]:
    """The words behind `palaver train` that begin the same run."""
    found = [kind, *([given] if given else []), "--out", out]
    for name, value in flags.items():
        flag = f"--{name.replace('_', '-')}"
        if value is True:
            found.append(flag)
        elif value is False:
            found.append(f"--no-{flag[2:]}")
        elif value is not None:
            found += [flag, str(value)]
    return found


def watch(parts: list[str]) -> None:
    """Open the chat at the Train screen, which begins the run.

    Raises:
        UsageError: there is no terminal, or no terminal UI.
    """
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise UsageError(
            "--tui needs a terminal.", fix="leave it out: each interval is a line then", code="no_terminal"
        )
    context = click.get_current_context().find_root()
    chat = context.command.get_command(context, "chat") if isinstance(context.command, click.Group) else None
    if chat is None:
        raise UsageError("The terminal UI is switched off.", fix="palaver plugins enable tui")
    with chat.make_context("chat", ["--train", shlex.join(parts)], parent=context) as inner:
        chat.invoke(inner)
