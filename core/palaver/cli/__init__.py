"""The command line: answers on stdout, talk on stderr, and exit codes that a script can trust.

Exit codes, but for `palaver gate`, which has its own:

    0    done; also when the reader of a pipe has gone (`palaver ... | head -1`): the run is in history all the same
    1    the task, the model or the history file failed; `palaver doctor` found a problem
    2    the command line is wrong
    3    no such command, task, model, metric, run or turn
    4    the input cannot be used; `eval`: some records of the data set could not be
    5    finished, some lines of `--lines` or examples of `eval` failed
    6    finished, and a score is below `--fail-under`
    7    the model has to be downloaded first
    130  ctrl+c; what was written until then is in history
"""

from __future__ import annotations

import sys
from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command line, `sys.argv` by default, and return its exit code."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    if given == ["--version"]:
        from palaver import __version__

        print(f"palaver {__version__}")
        return 0
    from palaver.cli.app import run  # pulls click: paid by every command but the one above

    return run(given)
