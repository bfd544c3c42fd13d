"""The tutorial for plugin writers does what it says, and the three examples install and run in a clean environment."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from tests.docs.hook_reference import page
from tests.docs.test_transcripts import check
from tests.docs.transcript import commands

from palaver.plugins.environment import make_environment

ROOT = Path(__file__).parents[2]
TUTORIAL = ROOT / "docs/first-plugin.md"
WRITTEN = re.compile(r"[Pp]ut\s+this\s+into\s+`([^`]+)`.*?^```(?:python|py)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
"""The code that a reader is told to put into a file."""
TYPED = """
import json
from palaver.command import parse_line
from palaver.plugins import Plugins
from palaver.registry import Registry
registry = Registry(Plugins())
ask = parse_line({line!r}, registry)
print(json.dumps([ask.task.name, registry.model(ask.model).info.name, sorted(registry.metrics())]))
"""


def test_the_hook_reference_is_what_the_contract_says() -> None:
    told = (ROOT / "docs/hooks.md").read_text("utf-8")
    assert told == page(), "python -m tests.docs.hook_reference > docs/hooks.md"


@pytest.fixture
def environment(tmp_path: Path, palaver_home: Path) -> dict[str, str]:
    """Variables of a shell in a clean environment, whose `palaver`, `pip` and `pytest` are its own."""
    python = make_environment(tmp_path / "venv")
    for name in ("palaver", "pip", "pytest"):
        script = python.with_name(name)
        script.write_text(f'#!/bin/sh\nexec "{python}" -m {name} "$@"\n', "utf-8")
        script.chmod(0o755)
    kept = {key: value for key, value in os.environ.items() if key not in ("PYTHONPATH", "VIRTUAL_ENV")}
    return kept | {
        "PATH": f"{python.parent}{os.pathsep}{os.environ['PATH']}",
        "PALAVER_HOME": str(palaver_home),
        "PYTHONDONTWRITEBYTECODE": "1",
        "COLUMNS": "100",
        "NO_COLOR": "1",
    }


@pytest.mark.install
@pytest.mark.model
@pytest.mark.usefixtures("smollm2")
def test_the_tutorial_leads_from_nothing_to_a_plugin_in_use(tmp_path: Path, environment: dict[str, str]) -> None:
    text = TUTORIAL.read_text("utf-8")
    files = [(text.count("\n", 0, one.start(2)), one[1], one[2]) for one in WRITTEN.finditer(text)]
    assert [path for _, path, _ in files] == [
        "palaver-headline/palaver_headline.py",
        "palaver-headline/tests/test_palaver_headline.py",
    ]
    here = tmp_path / "work"
    here.mkdir()
    for command in commands(text):
        while files and files[0][0] < command.line:
            _, path, source = files.pop(0)
            (here / path).write_text(source, "utf-8")
        check(TUTORIAL, command, here, environment)


@pytest.mark.install
def test_the_examples_install_and_run_from_command_line_chat_and_evaluation(
    tmp_path: Path, environment: dict[str, str]
) -> None:
    def out(*command: str) -> str:
        done = subprocess.run(
            command, capture_output=True, text=True, env=environment, cwd=tmp_path, timeout=300, check=False
        )
        assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
        return done.stdout

    examples = sorted(str(path) for path in (ROOT / "docs/examples").iterdir())
    assert [Path(path).name for path in examples] == ["palaver-overlap", "palaver-reverse", "palaver-shout"]
    python = str(tmp_path / ("venv/Scripts/python.exe" if sys.platform == "win32" else "venv/bin/python"))
    out(python, "-m", "pip", "install", "--quiet", "--no-deps", *examples)
    # On the command line: "One." has one word of two.
    told = json.loads(
        out("palaver", "summarize", "-m", "lead-3", "--metric", "overlap", "One.", "--ref", "One. Two.", "--json")
    )
    assert {score["name"]: score["value"] for score in told["scores"]} == {"Overlap": pytest.approx(1 / 2)}
    assert out("palaver", "generate", "-m", "reverse", "one two three") == "three two one\n"
    # In the chat.
    task, model, metrics = json.loads(out(python, "-c", TYPED.format(line="/shout -m upper --marks 2 hello")))
    assert (task, model) == ("shout", "upper")
    assert "overlap" in metrics
    # Over a data set: 1 of 2 words and 1 of 1 are 2 of 3 together.
    data = tmp_path / "data.jsonl"
    rows = [{"text": "One.", "reference": "One. Two."}, {"text": "Two.", "reference": "Two."}]
    data.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    evaluated = out("palaver", "eval", "summarize", str(data), "-m", "lead-3", "--metric", "overlap", "--json")
    assert "0.666" in evaluated
