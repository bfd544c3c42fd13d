"""The terminal UI, which joins Palaver as a plugin with the command `palaver chat`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from palaver.hookspecs import hookimpl

if TYPE_CHECKING:
    import click


@hookimpl
def palaver_commands(group: click.Group) -> None:
    """Add `palaver chat`."""
    import click

    @group.command("chat")
    @click.option("-m", "--model", default="", help="Model that answers; by default the best one installed.")
    @click.pass_context
    def chat(context: click.Context, model: str) -> None:
        """Talk with a model in the terminal, score its answers, keep them."""
        import os
        import sys

        from palaver.errors import UsageError

        # Textual draws on stderr, so that `palaver chat > file` still opens.
        if not (sys.stdin.isatty() and sys.stderr.isatty()):
            raise UsageError("The chat needs a terminal.", fix="palaver run TASK TEXT", code="no_terminal")
        if os.environ.get("TERM") == "dumb":  # it would be drawn as one long line of escape sequences
            raise UsageError(
                "The chat cannot be drawn where TERM is dumb.", fix="palaver run TASK TEXT", code="no_terminal"
            )
        from palaver_tui.app import run_chat  # pulls Textual: paid by whoever opens it

        context.exit(run_chat(model))
