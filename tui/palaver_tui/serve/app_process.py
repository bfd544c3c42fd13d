"""The program behind one browser tab: `python -m palaver_tui.serve.app_process [MODEL]`, started by the server."""

from __future__ import annotations

import sys

from palaver.cli.output import report
from palaver.errors import PalaverError


def main(model: str) -> int:
    """Run the app with the pipes of the server for a terminal, and return the exit code."""
    from palaver_tui.app import run_chat

    try:
        return run_chat(model)
    except PalaverError as error:
        report(error, as_json=False)
        return error.exit_code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1] if len(sys.argv) > 1 else ""))
