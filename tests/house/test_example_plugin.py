"""A plugin that others wrote installs, runs, is scored and kept, and leaves without a trace of trouble."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "docs/examples"
EXAMPLE = EXAMPLES / "palaver-shout"
TYPED = """
import json, sys
from palaver.command import parse_line
from palaver.plugins import Plugins
from palaver.registry import Registry
ask = parse_line("/shout --marks 2 hello there", Registry(Plugins()))
print(json.dumps([ask.task.name, ask.task.options(), dict(ask.example.inputs)]))
"""


class Environment:
    """A clean virtual environment with Palaver in it, and a home of its own."""

    def __init__(self, folder: Path) -> None:
        self.bin = folder / "venv/bin"
        self.env = {key: value for key, value in os.environ.items() if key not in ("PYTHONPATH", "VIRTUAL_ENV")}
        self.env |= {
            "PALAVER_HOME": str(folder / "home"),
            "PIP_DISABLE_PIP_VERSION_CHECK": "1",
            "NO_COLOR": "1",
            "PALAVER_NO_DAEMON": "1",
        }
        subprocess.run([sys.executable, "-m", "venv", folder / "venv"], check=True, timeout=120)
        self.folder = folder

    def run(self, program: str, *arguments: str, typed: str = "") -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [self.bin / program, *arguments],
            capture_output=True,
            text=True,
            input=typed,
            env=self.env,
            cwd=self.folder,
            timeout=300,
        )
        done.stderr = f"$ {program} {' '.join(arguments)}\n{done.stderr}"  # so that a failure names its command
        return done

    def out(self, program: str, *arguments: str) -> str:
        """What a command that must succeed prints."""
        done = self.run(program, *arguments)
        assert done.returncode == 0, done.stderr + done.stdout
        return done.stdout


@pytest.fixture(scope="module")
def clean(tmp_path_factory: pytest.TempPathFactory) -> Environment:
    made = Environment(tmp_path_factory.mktemp("clean"))
    made.out("pip", "install", "-q", "-e", str(ROOT))
    made.out("pip", "install", "-q", *map(str, sorted(EXAMPLES.glob("palaver-*"))))
    return made


pytestmark = pytest.mark.install


def test_it_is_listed_with_what_it_adds(clean: Environment) -> None:
    assert "palaver-shout" in clean.out("palaver", "plugins", "list")
    listed = json.loads(clean.out("palaver", "plugins", "list", "--check", "--json"))
    shout = next(plugin for plugin in listed["plugins"] if plugin["name"] == "shout")
    assert shout["adds"] == ["task shout: Say a text louder.", "model upper", "backend shout"]


def test_its_task_is_a_command_that_answers_and_is_scored(clean: Environment) -> None:
    assert clean.out("palaver", "shout", "-m", "upper", "hello") == "HELLO\n"
    printed = clean.out("palaver", "shout", "-m", "upper", "--marks", "2", "hello", "--ref", "HELLO!!", "--json")
    answer = json.loads(printed)
    assert answer["output"] == "HELLO!!"
    # Identical to the reference: chrF is at its maximum.
    assert {score["name"]: score["value"] for score in answer["scores"]}["chrF"] == pytest.approx(100.0)


def test_its_options_come_from_its_fields_and_are_checked(clean: Environment) -> None:
    assert "Exclamation marks at the end." in clean.out("palaver", "shout", "--help")
    wrong = clean.run("palaver", "shout", "-m", "upper", "--marks", "many", "hello")
    assert wrong.returncode == 2
    assert "whole number" in wrong.stderr or "integer" in wrong.stderr


def test_it_is_a_slash_command_in_the_chat(clean: Environment) -> None:
    assert json.loads(clean.out("python", "-c", TYPED)) == ["shout", {"marks": 2}, {"text": "hello there"}]


def test_all_three_are_used_from_the_chat(clean: Environment) -> None:
    typed = (
        "/shout -m upper --marks 1 hello there\n"
        "/generate -m reverse one two three\n"
        "/shout -m upper good morning --ref GOOD EVENING\n"
    )
    chat = clean.run("palaver", "chat", "--plain", typed=typed)
    assert chat.returncode == 0, chat.stderr
    assert "HELLO THERE!" in chat.stdout
    assert "three two one" in chat.stdout
    assert "GOOD MORNING" in chat.stdout
    rescored = clean.out("palaver", "rescore", "good", "--metric", "overlap")
    assert "Overlap" in rescored


def test_all_three_are_used_from_the_command_line_and_an_evaluation(clean: Environment) -> None:
    assert "three two one" in clean.out("palaver", "generate", "-m", "reverse", "one two three")
    said = clean.out(
        "palaver", "shout", "-m", "upper", "good day", "--ref", "GOOD NIGHT", "--metric", "overlap", "--json"
    )
    assert [(one["name"], one["value"]) for one in json.loads(said)["scores"]] == [("Overlap", 0.5)]
    evaluated = ("palaver", "eval", "--metric", "overlap", "--json")
    data = clean.folder / "data.jsonl"
    data.write_text('{"text": "good day", "reference": "GOOD NIGHT"}\n{"text": "hi", "reference": "HI"}\n', "utf-8")
    [loud] = json.loads(clean.out(*evaluated, "shout", str(data), "-m", "upper"))["runs"]
    assert loud["ended"] == {"complete": 2}
    assert [one["value"] for one in loud["scores"]] == [pytest.approx(2 / 3)]  # two of three words: no mean of scores
    [backwards] = json.loads(clean.out(*evaluated, "generate", str(data), "-m", "reverse"))["runs"]
    assert (backwards["ended"], [one["value"] for one in backwards["scores"]]) == ({"complete": 2}, [0.0])


def test_a_folder_that_is_installed_already_is_installed_once_more(clean: Environment) -> None:
    done = clean.run("palaver", "plugins", "install", str(EXAMPLE))
    assert (done.returncode, done.stdout) == (0, "~ palaver-shout 0.1.0, once more\n"), done.stderr
    assert "shout works: task shout" in done.stderr


def test_its_own_tests_pass(clean: Environment) -> None:
    clean.out("pip", "install", "-q", "pytest>=8,<9")
    assert "3 passed" in clean.out("pytest", "-q", "-p", "no:cacheprovider", str(EXAMPLE))


def test_after_pip_uninstall_everything_else_works_and_history_still_has_its_turns(clean: Environment) -> None:
    clean.out("palaver", "shout", "-m", "upper", "goodbye")
    clean.out("pip", "uninstall", "-q", "-y", "palaver-shout")
    assert "palaver-shout" not in clean.out("palaver", "plugins", "list")
    gone = clean.run("palaver", "shout", "hello")
    assert gone.returncode in (2, 3)
    said = clean.out("palaver", "summarize", "-m", "lead-3", "One. Two. Three. Four.")
    assert said == "One. Two. Three.\n"
    assert "GOODBYE" in clean.out("palaver", "history", "list", "--json")
