"""The terminal UI, which joins Palaver as a plugin with the commands `palaver chat` and `palaver serve`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from palaver.hookspecs import hookimpl

if TYPE_CHECKING:
    import click

NEWEST = -1
"""Stands for the turn that was answered last."""


def _turn(typed: str) -> int | None:
    """The number of a turn, NEWEST, or None where nothing was typed."""
    from palaver.errors import UsageError

    digits = typed.removeprefix("#")
    if typed and typed != "last" and not (digits.isascii() and digits.isdigit() and len(digits) < 19):
        raise UsageError(f"A turn has a number, such as 12, not '{typed}'.", fix="palaver history")
    return None if not typed else NEWEST if typed == "last" else int(digits)


@hookimpl
def palaver_commands(group: click.Group) -> None:
    """Add `palaver chat` and `palaver serve`."""
    import click

    @group.command("chat")
    @click.option("-m", "--model", default="", help="Model that answers; by default the best one installed.")
    @click.option(
        "--plain",
        is_flag=True,
        envvar="PALAVER_PLAIN",
        help="Lines instead of a screen, for screen readers; also where TERM is dumb.",
    )
    @click.option(
        "--resume", default="", metavar="ID", help="Go on with the conversation of this turn; `last` is the newest."
    )
    @click.option(
        "--train", default="", metavar="FOLDER", help="Open the Train screen first, on the run in this folder."
    )
    @click.pass_context
    def chat(context: click.Context, model: str, plain: bool, resume: str, train: str) -> None:
        """Talk with a model in the terminal, score its answers, keep them.

        A GGUF model reads what you type before you send it; PALAVER_READ_AHEAD=0 keeps it from that.
        """
        import os
        import sys

        from palaver.errors import UsageError

        # On a dumb terminal the screen would be drawn as one long line of escape sequences.
        if plain or os.environ.get("TERM") == "dumb":
            from palaver_tui.plain.loop import run_plain

            context.exit(run_plain(model, resume=_turn(resume)))
        # Textual draws on stderr, so that `palaver chat > file` still opens.
        if not (sys.stdin.isatty() and sys.stderr.isatty()):
            raise UsageError(
                "The chat needs a terminal.", fix="palaver chat --plain, or palaver run TASK TEXT", code="no_terminal"
            )
        from palaver_tui.app import run_chat  # pulls Textual: paid by whoever opens it

        context.exit(run_chat(model, resume=_turn(resume), first=("Train", train) if train else None))

    @group.command("serve")
    @click.option("-m", "--model", default="", help="Model that answers; by default the best one installed.")
    @click.option("--port", type=click.IntRange(0, 65535), default=0, help="Port to listen on; by default a free one.")
    @click.pass_context
    def serve(context: click.Context, model: str, port: int) -> None:
        """Show the chat in a browser on this machine, at an address with a secret token."""
        from palaver.cli.program import Program
        from palaver.errors import PalaverError

        try:
            from palaver_tui.serve.server import serve as serve_pages
        except ModuleNotFoundError as error:
            if (error.name or "").partition(".")[0] not in ("aiohttp", "aiohttp_jinja2", "jinja2", "textual_serve"):
                raise
            raise PalaverError(
                "The browser needs textual-serve, which is not installed.", fix="pip install 'palaver[serve]'"
            ) from error
        context.exit(serve_pages(model, port, context.ensure_object(Program).output.talk))
