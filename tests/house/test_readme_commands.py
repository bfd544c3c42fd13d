"""The README begins with exactly two commands, one line each, and CI runs both as they stand there."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text("utf-8")
MARKED = re.compile(r"^<!-- (command \w+: [^>]*) -->\n```sh\n(.*?)```$", re.MULTILINE | re.DOTALL)
SCREENFUL = 40
"""Lines that a reader sees before scrolling."""


def marked() -> dict[str, list[str]]:
    """The commands between the markers, each as the lines of its block."""
    return {title: body.splitlines() for title, body in MARKED.findall(README)}


def test_the_first_screenful_has_both_commands_one_line_each() -> None:
    assert {title: len(lines) for title, lines in marked().items()} == {
        "command one: set up and start": 1,
        "command two: set up and test": 1,
    }
    first_screenful = "\n".join(README.splitlines()[:SCREENFUL])
    for lines in marked().values():
        assert lines[0] in first_screenful


def test_both_work_in_one_environment_in_either_order() -> None:
    for lines in marked().values():
        assert lines[0].startswith("python3 -m venv .venv && .venv/bin/pip install -q -e ")


def test_ci_reads_both_from_the_readme() -> None:
    script = (ROOT / ".ci/run").read_text("utf-8")
    body = script[script.index("readme_command() {") : script.index("set_up_and_test() {")]
    for title, lines in marked().items():
        assert f'readme_command "{title}"' in script
        done = subprocess.run(
            ["bash", "-c", f'here=$1\n{body}\nreadme_command "{title}"', "-", str(ROOT)], capture_output=True, text=True
        )
        assert done.stdout.splitlines() == lines, done.stderr
