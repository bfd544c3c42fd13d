"""`palaver doctor`: what is missing or broken on this machine, and the command that fixes it."""

from __future__ import annotations

from pathlib import Path

import click

from palaver.cli.program import Program, color_option, json_option
from palaver.errors import BadInput
from palaver.paths import history_file


@click.command("doctor")
@click.option("--check", "is_checked", is_flag=True, help="Import the plugins too, and hash the models.")
@click.option("--recover", "is_recovering", is_flag=True, help="Set a damaged history aside; nothing is deleted.")
@click.option("--backup", default="", metavar="FILE", help="Write a whole copy of the history to FILE.")
@json_option
@color_option
@click.pass_context
def command(context: click.Context, is_checked: bool, is_recovering: bool, backup: str, as_json: bool) -> None:
    """Say what is missing or broken, and the command that fixes it. Exits with 1 if something is a problem."""
    from palaver.cli.findings import everything

    program = context.ensure_object(Program)
    if is_recovering:
        _recover(program)
        return
    if backup:
        _back_up(program, Path(backup).expanduser())
        return
    findings = list(everything(is_checked=is_checked))
    problems = sum(one.level == "problem" for one in findings)
    if as_json:
        records = [
            {"subject": one.subject, "level": one.level, "message": one.message, "fix": one.fix} for one in findings
        ]
        program.output.record({"schema": "palaver.doctor/1", "problems": problems, "findings": records})
    else:
        for one in findings:
            program.output.show(f"{one.level:<8} {one.subject:<9} {one.message}")
            if one.fix:
                program.output.show(f"{'':<18} fix: {one.fix}")
    context.exit(1 if problems else 0)


def _back_up(program: Program, target: Path) -> None:
    if target.exists():
        raise BadInput(f"{target} is there already.", fix="name a file that is not", code="file_exists")
    with program.history() as store:
        program.output.talk(f"The history is copied to {store.backup(target)}.")


def _recover(program: Program) -> None:
    from palaver.cli.findings import is_damaged
    from palaver.store import Store

    path = history_file()
    if not path.exists():
        raise BadInput(f"There is no history at {path}.", code="no_file")
    if not is_damaged(path):
        raise BadInput(f"The history {path} is not damaged: it stays where it is.", fix="palaver doctor")
    aside = Store.set_aside(path)
    Store.open(path).close()
    program.output.talk(f"The damaged file is now {aside}; a new history begins in {path}.")
