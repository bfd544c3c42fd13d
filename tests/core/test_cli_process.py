"""The command line as the shell sees it: pipes, signals, terminals, start-up, and plugins that are broken."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from tests.core.terminals import on_terminal, piped

from palaver.store import Store

TEXT = "One cat sat. Two dogs ran. Three birds flew. Four fish swam."
LEAD = "One cat sat. Two dogs ran. Three birds flew."
PALAVER = f"{sys.executable} -m palaver"


def shell(line: str, *, given: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(["bash", "-o", "pipefail", "-c", line], input=given, capture_output=True, timeout=60)


def test_a_reader_that_leaves_early_costs_nothing(palaver_home: Path) -> None:
    given = "".join(f"line {number}\n" for number in range(20)).encode()
    done = shell(f"{PALAVER} translate de --lines -m copy --quiet | head -1", given=given)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"line 0\n", b"")
    with Store.open(palaver_home / "history.db") as store:
        assert {line.status for line in store.page()} == {"complete"}


def test_an_answer_nobody_reads_is_in_history(palaver_home: Path) -> None:
    done = shell(f"{PALAVER} summarize '{TEXT}' -m lead-3 --quiet | true")
    assert (done.returncode, done.stderr) == (0, b"")
    with Store.open(palaver_home / "history.db") as store:
        assert store.turn(1).output == LEAD


def test_json_goes_into_other_programs() -> None:
    done = shell(f"{PALAVER} summarize '{TEXT}' -m lead-3 --json | {sys.executable} -m json.tool")
    assert done.returncode == 0
    assert json.loads(done.stdout)["output"] == LEAD


def test_empty_stdin_is_bad_input() -> None:
    assert shell(f"{PALAVER} summarize -m lead-3 < /dev/null").returncode == 4


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_behind_stdout_is_an_error() -> None:
    done = shell(f"{PALAVER} summarize '{TEXT}' -m lead-3 --quiet > /dev/full")
    assert done.returncode == 1
    assert done.stderr.startswith(b"palaver: ")


def test_into_a_pipe_the_answer_goes_as_it_is() -> None:
    text = "red \x1b[31m and more"
    assert piped("translate", "de", text, "-m", "copy").out == text + "\n"


def without_styles(raw: str) -> str:
    """The text without our own bold, dim and underline."""
    return re.sub(r"\x1b\[(0|1|2|4|1;4)m", "", raw)


def foreign(raw: str) -> list[str]:
    """Controls and overrides on the wire that are not ours."""
    return re.findall(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202e]", without_styles(raw))


def test_nothing_that_a_model_writes_reaches_the_terminal_as_a_command() -> None:
    evil = "a\x1b]0;title\x07b\x1b[2Jc\x9b31md\u202ee [red]f[/]"
    seen = on_terminal("translate", "de", evil, "-m", "copy", "-r", evil)
    listed = on_terminal("history", "list")
    shown = on_terminal("history", "show", "1")
    missing = on_terminal("translate", "de", "x", "-m", evil)
    for one in (seen, listed, shown, missing):
        assert foreign(one.out) == []
        assert "[red]f[/]" in without_styles(one.out)


def test_marks_are_typography_on_a_terminal_and_nowhere_else() -> None:
    arguments = ("translate", "de", "the cat sat on a mat", "-m", "copy", "-r", "the cat sat on the mat")
    # `the cat sat on` is a 4-gram of the reference; `a` is not in it; `mat` is a single word of it.
    assert "\x1b[1;4mthe cat sat on\x1b[0m \x1b[2ma\x1b[0m mat" in on_terminal(*arguments).out
    assert "\x1b[1;4m" in on_terminal(*arguments, environment={"NO_COLOR": "1"}).out
    assert "\x1b" not in on_terminal(*arguments, environment={"TERM": "dumb"}).out
    assert "\x1b" not in on_terminal(*arguments, "--color", "never").out
    assert "\x1b" not in piped(*arguments).out
    assert "\x1b[1;4m" in piped(*arguments, "--color", "always").out


SLOW = """
import time
from pathlib import Path
from palaver import Delta, ModelInfo, hookimpl


class Slow:
    name, isolated = "slow", False

    def resolve(self, name):
        return None

    def load(self, info):
        self.info = info
        return self

    def stream(self, requests, config, cancel):
        while not Path(__file__).with_name("go").exists():
            time.sleep(0.02)
        yield Delta("At last.")
        yield Delta(finish_reason="stop")

    def close(self):
        pass


@hookimpl
def palaver_backends():
    return [Slow()]


@hookimpl
def palaver_models():
    return [ModelInfo("late", "slow", tasks=("generate",), path=__file__)]
"""


def test_a_slow_first_word_is_waited_for_with_signs_of_life(palaver_home: Path) -> None:
    folder = palaver_home / "plugins"
    folder.mkdir()
    (folder / "slow.py").write_text(SLOW)

    def go(process: subprocess.Popen[bytes], seen: bytes) -> None:
        if "waiting for the first word · 1 s".encode() in seen:
            (folder / "go").touch()

    ended = on_terminal("generate", "Go on.", "-m", "late", "--no-daemon", when_it_writes=go)
    assert ended.code == 0
    assert "\rlate · waiting for the first word · 1 s" in ended.out
    assert " \rAt last." in ended.out, "the line is gone before the answer begins"


def test_ctrl_c_keeps_the_text_so_far(palaver_home: Path) -> None:
    sent: list[bool] = []

    def interrupt(process: subprocess.Popen[bytes], seen: bytes) -> None:
        if not sent and len(seen) > 50:
            sent.append(True)
            process.send_signal(signal.SIGINT)

    text = "the cat sat on the mat and the dog sat on the log and the cat ran"
    ended = on_terminal("generate", text, "-m", "ngram", "--max-new-tokens", "1000000", when_it_writes=interrupt)
    assert ended.code == 130
    with Store.open(palaver_home / "history.db") as store:
        turn = store.turn(1)
    assert turn.status == "cancelled"
    assert len(turn.output) > 50
    assert "warning: stopped before the end" in ended.out


def test_a_stopped_batch_has_whole_lines_only(palaver_home: Path) -> None:
    sent: list[bool] = []

    def interrupt(process: subprocess.Popen[bytes], seen: bytes) -> None:
        if not sent and b"\n" in seen:
            sent.append(True)
            process.send_signal(signal.SIGINT)

    lines = palaver_home / "lines.txt"
    lines.write_text("the cat sat on the mat and the dog sat on the log and the cat ran\n" * 100)
    arguments = ("generate", f"@{lines}", "--lines", "-m", "ngram", "--max-new-tokens", "20000", "--quiet")
    ended = on_terminal(*arguments, when_it_writes=interrupt)
    with Store.open(palaver_home / "history.db") as store:
        statuses = [line.status for line in store.page(limit=100)]
    assert ended.code == 130
    assert len(statuses) < 100
    printed = ended.out.replace("\r\nstopping; ctrl+c again leaves at once\r\n", "").splitlines()
    assert len(printed) == statuses.count("truncated")


LOADED = """
import sys
from palaver.cli import main
code = main({arguments!r})
bad = [name for name in sys.modules if name.startswith("palaver_") or name in
       ("torch", "transformers", "numpy", "sacrebleu", "textual", "xllamacpp", "rouge_score")]
print(code, bad, file=sys.stderr)
"""


@pytest.mark.parametrize(
    "arguments",
    [["--version"], ["--help"], ["history"], ["history", "search", "x"], ["plugins", "list"], ["doctor"]],
    ids=" ".join,
)
def test_what_needs_no_plugin_imports_none(arguments: list[str]) -> None:
    piped("summarize", TEXT, "-m", "lead-3")  # so that there is an index and a history
    done = subprocess.run(
        [sys.executable, "-c", LOADED.format(arguments=arguments)], capture_output=True, text=True, timeout=60
    )
    assert done.stderr.splitlines()[-1] == "0 []"


def test_help_names_the_tasks_with_what_each_does() -> None:
    assert re.search(r"Tasks:\n(.*\n)*?  summarize +Shorten", piped("--help").out)


BROKEN = {
    "importing": "import a_module_that_is_not_there",
    "exiting": "import sys; sys.exit(3)",
    "printing": "print('noise')\nraise ValueError('no licence \\x1b[31m')",
    "commands": "def palaver_commands(group): raise KeyError('boom')",
}


def installed(folder: Path) -> dict[str, str]:
    """The environment of a process for which `folder` holds the package `their-package` with the plugin `theirs`."""
    metadata = folder / "their_package-2.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: their-package\nVersion: 2.0\n")
    (metadata / "entry_points.txt").write_text("[palaver]\ntheirs = their_plugin\n")
    return {"PYTHONPATH": os.pathsep.join(filter(None, (str(folder), os.environ.get("PYTHONPATH"))))}


@pytest.fixture(params=BROKEN)
def third_party(request: pytest.FixtureRequest, tmp_path: Path) -> dict[str, str]:
    """An installed package with a plugin that does not work, as the environment of a process."""
    (tmp_path / "their_plugin.py").write_text(BROKEN[request.param], "utf-8")
    return installed(tmp_path)


def test_a_broken_plugin_stops_nothing_and_is_told(third_party: dict[str, str]) -> None:
    for arguments in (["--version"], ["--help"], ["history"], ["plugins", "list"], ["doctor"], ["models", "list"]):
        assert piped(*arguments, environment=third_party).code == 0
    assert piped("summarize", TEXT, "-m", "lead-3", environment=third_party).out == LEAD + "\n"
    told = piped("plugins", "list", "--check", "--json", environment=third_party)
    plugins = {one["name"]: one for one in json.loads(told.out)["plugins"]}
    assert told.code == 1
    assert (plugins["theirs"]["health"], plugins["theirs"]["package"]) == ("broken", "their-package")
    assert plugins["theirs"]["reason"]
    assert plugins["summarize"]["health"] == "ok"
    assert piped("doctor", "--check", environment=third_party).code == 1


def test_a_command_of_a_plugin_is_a_command(tmp_path: Path) -> None:
    (tmp_path / "their_plugin.py").write_text(
        "import click\n"
        "def palaver_commands(group):\n"
        "    @group.command()\n"
        "    def hello():\n"
        "        click.echo('hello from a plugin')\n"
    )
    environment = installed(tmp_path)
    assert piped("hello", environment=environment).out == "hello from a plugin\n"
    assert "hello" in piped("--help", environment=environment).out


def test_without_a_command_a_terminal_gets_the_chat_command_of_a_plugin(palaver_home: Path, tmp_path: Path) -> None:
    (palaver_home / "config.toml").write_text('plugins_off = ["tui"]\n')
    without = on_terminal()
    assert without.code == 1
    assert "No plugin provides the terminal UI" in without.out
    (tmp_path / "their_plugin.py").write_text(
        "import click\n"
        "def palaver_commands(group):\n"
        "    @group.command()\n"
        "    def chat():\n"
        "        click.echo('a window opens')\n"
    )
    assert on_terminal(environment=installed(tmp_path)).out == "a window opens\r\n"


def test_the_shell_can_complete_commands_and_models() -> None:
    def completed(line: str) -> list[str]:
        words = line.split(" ")
        asked = {"_PALAVER_COMPLETE": "bash_complete", "COMP_WORDS": line, "COMP_CWORD": str(len(words) - 1)}
        return [one.partition(",")[2] for one in piped(environment=asked).out.splitlines()]

    piped("summarize", TEXT, "-m", "lead-3")
    assert completed("palaver s") == ["score", "serve", "summarize"]
    assert completed("palaver summarize -m le") == ["lead-3", "lexrank"]
    assert completed("palaver models pull smol") == ["smollm2"]


def test_the_version_is_told_at_once() -> None:
    done = subprocess.run(
        [sys.executable, "-c", "import resource, palaver.cli; palaver.cli.main(['--version']);"
         "print(resource.getrusage(resource.RUSAGE_SELF).ru_utime)"],
        capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    told, seconds = done.stdout.split("\n")[:2]
    assert told == "palaver 0.1.0"
    assert float(seconds) < 0.15


@pytest.mark.parametrize("wrong", [("-o", "foo=1"), ("--ref", "@nofile"), ("-m", "nope")])
def test_a_piped_text_is_not_lost_when_an_option_is_wrong(wrong: tuple[str, ...]) -> None:
    assert piped("summarize", *wrong, given=b"A text to keep.").code != 0
    shown = piped("history", "show", "1").out
    assert "A text to keep." in shown
    assert "failed" in shown


def test_a_piped_text_that_is_no_utf8_is_kept_as_far_as_it_can_be_read() -> None:
    assert piped("summarize", given="Gr\u00fc\u00dfe aus Ulm".encode("latin-1")).code == 4
    assert "e aus Ulm" in piped("history", "show", "1").out
