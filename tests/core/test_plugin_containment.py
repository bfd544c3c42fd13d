"""Eleven broken plugins, each beside a good one: every command of the core works, and the reason can be read."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.core.installed import Site

SHOUT = Path(__file__).parents[2] / "docs/examples/palaver-shout/palaver_shout.py"
GOOD = SHOUT.read_text("utf-8").replace('tasks=("shout",)', 'tasks=("*",)')
HEAD = "from palaver import Task, hookimpl\nfrom dataclasses import dataclass\n"
TASK = '''
@dataclass(frozen=True)
class Mine(Task):
    """Mine."""
    name = "{name}"
    def request(self, example):
        return self.ask("Mine.", example["text"])
'''
BROKEN = {
    "importing": ("import a_module_that_is_not_there", "ModuleNotFoundError"),
    "syntax": ("def broken(:", "SyntaxError"),
    "exiting": ("import sys; sys.exit(9)", "SystemExit: 9"),
    "vanishing": ("import os; os._exit(7)", "it ended the process (exit code 7)"),
    "hanging": ("import threading; threading.Event().wait()", "it took more than 3 s"),
    "raising": (HEAD + "@hookimpl\ndef palaver_tasks(): raise KeyError('boom')", "KeyError: 'boom'"),
    "typo": ("def palaver_taskz(): return []", "there is no hook 'palaver_taskz'"),
    "signature": (HEAD + "@hookimpl\ndef palaver_tasks(config): return []", "palaver_tasks"),
    "wrong": ("def palaver_metrics(): return ['bleu']", "palaver_metrics returns metrics"),
    "newer": ("PALAVER_API = 99", "it wants plugin API 99"),
    "crashing": ("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)", "SIGSEGV"),
}
"""Name of the fixture to its source and what its reason says."""
STRANGE = {
    "slow": "import time; time.sleep(1)",
    "noisy": "import os, subprocess, sys\nprint('NOISE')\nos.write(1, b'NOISE'); os.write(2, b'NOISE')\n"
    "subprocess.run([sys.executable, '-c', 'print(\"NOISE\")'])\nsys.__stdout__.write('NOISE')",
    "clashing": HEAD + TASK.format(name="summarize"),
}
"""They work, in a way that must harm nobody."""


@pytest.fixture
def site(tmp_path: Path) -> Site:
    made = Site(tmp_path / "site", tmp_path / "home", {"PALAVER_PLUGIN_SECONDS": "3"})
    made.install("shout", GOOD)
    return made


DATA = '{"text": "One. Two. Three. Four.", "reference": "One. Two. Three."}\n'


def check_every_core_command(site: Site) -> None:
    """Each command of the core does what it does without the broken plugin beside it."""
    check_what_asks_nothing(site)
    assert site.out("history", "list") == ""
    assert site.out("summarize", "-m", "lead-3", "One. Two. Three. Four.") == "One. Two. Three.\n"
    assert site.out("shout", "-m", "upper", "hello") == "HELLO\n"
    assert site.out("run", "summarize", "-m", "lead-3", "One. Two. Three. Four.") == "One. Two. Three.\n"
    check_history(site)
    check_evaluations(site)
    assert site.out("--safe-mode", "summarize", "-m", "lead-3", "One.") == "One.\n"


def check_what_asks_nothing(site: Site) -> None:
    assert site.out("--version").startswith("palaver ")
    helped = site.out("--help")
    assert "summarize" in helped
    assert "shout" in helped
    assert "palaver-shout" in site.out("plugins", "list")
    assert "task shout" in site.out("plugins", "info", "shout")
    assert "palaver-shout" in site.palaver("plugins", "list", "--check").stdout  # its exit code tells of the broken one
    assert "lead-3" in site.out("models", "list")
    assert "shout" in site.out("doctor")
    site.out("plugins", "disable", "shout")
    assert "HELLO" not in site.palaver("shout", "--no-log", "-m", "upper", "hello").stdout
    site.out("plugins", "enable", "shout")


def check_history(site: Site) -> None:
    for arguments, told in (
        (("list",), "HELLO"),
        (("search", "Three"), "One. Two."),
        (("show", "1"), "lead-3"),
        (("rate", "1", "5"), ""),
        (("export",), '"rating":5'),
    ):
        assert told in site.out("history", *arguments).replace(": ", ":")


def check_evaluations(site: Site) -> None:
    """What takes a data set, a run or a turn."""
    data = site.home.parent / "data.jsonl"
    data.write_text(DATA, "utf-8")
    run = json.loads(site.out("eval", "summarize", str(data), "-m", "lead-3", "--json"))["runs"][0]
    other = json.loads(site.out("eval", "summarize", str(data), "-m", "lexrank", "--json"))["runs"][0]
    assert run["ended"] == {"complete": 1}
    pair = (str(run["id"]), str(other["id"]))
    site.out("compare", *pair)
    assert site.palaver("gate", *pair, "--metric", "rouge1", "--margin", "0.1").returncode in (0, 1, 3)
    assert "BLEU" in site.out("rescore", f"run:{run['id']}", "--metric", "bleu")
    site.out("dataset", "add", "kept", f"run:{run['id']}")
    assert "kept" in site.out("dataset", "list")
    outputs = site.home.parent / "outputs"
    outputs.write_text("One.\n", "utf-8")
    site.out("score", str(outputs), str(outputs))


def states(site: Site, *flags: str) -> dict[str, tuple[str, str]]:
    listed = json.loads(site.palaver("plugins", "list", "--json", *flags).stdout)
    return {one["name"]: (one["health"], one["reason"]) for one in listed["plugins"]}


@pytest.mark.fault
@pytest.mark.parametrize("kind", BROKEN)
def test_a_broken_plugin_takes_nothing_down_and_is_listed_with_its_reason(site: Site, kind: str) -> None:
    source, reason = BROKEN[kind]
    site.install(kind, source)
    assert site.out("summarize", "-m", "lead-3", "--no-log", "One.") == "One.\n"  # it is new to this command
    with site.sitting() as sitting:
        check_every_core_command(sitting)
    told = states(site)
    assert told[kind][0] == "broken"
    assert reason in told[kind][1]
    assert told["shout"] == ("unloaded", "")
    done = site.palaver("doctor", "--check")
    assert done.returncode == 1
    assert f"palaver plugins remove {kind}" in done.stdout
    check_what_tests_it(site, kind, source)


def check_what_tests_it(site: Site, kind: str, source: str) -> None:
    """`plugins check` and `plugins dev` say what is wrong with it, and end."""
    done = site.palaver("plugins", "check", kind, "--no-packaging", "--json")
    assert done.returncode == 1, done.stderr
    failed = [one for one in json.loads(done.stdout)["plugins"][0]["checks"] if one["status"] == "failed"]
    assert failed
    assert all(one["message"] for one in failed)
    work = site.home.parent / "work"
    work.mkdir()
    (work / f"dev_{kind}.py").write_text(source, "utf-8")
    done = site.palaver("plugins", "dev", "--once", str(work))
    assert (done.returncode, f"dev_{kind}: broken: " in done.stdout) == (1, True), done.stdout + done.stderr


@pytest.mark.fault
@pytest.mark.parametrize("kind", STRANGE)
def test_a_slow_noisy_or_greedy_plugin_harms_nobody(site: Site, kind: str) -> None:
    site.install(kind, STRANGE[kind])
    with site.sitting() as sitting:
        check_every_core_command(sitting)
    assert states(site, "--check")[kind] == ("ok", "")


@pytest.mark.fault
def test_all_of_them_at_once_harm_nobody(site: Site) -> None:
    for kind, (source, _) in BROKEN.items():
        site.install(kind, source)
    for kind, source in STRANGE.items():
        site.install(kind, source)
    assert site.out("summarize", "-m", "lead-3", "--no-log", "One.") == "One.\n"
    assert "shout" in site.out("--help")
    with site.sitting() as sitting:
        check_every_core_command(sitting)
    health = {name: health for name, (health, _) in states(site).items()}
    assert {name for name, one in health.items() if one == "broken"} == set(BROKEN)


def test_noise_at_import_is_in_the_log(site: Site) -> None:
    site.install("noisy", STRANGE["noisy"])
    done = site.palaver("summarize", "-m", "lead-3", "One. Two.")
    assert "NOISE" not in done.stdout + done.stderr
    # print, two descriptors, a child process and the stream below sys.stdout; once in our own process.
    log = (site.home / "state/plugins.log").read_text("utf-8")
    assert log.count("NOISE") >= 5
    assert "printed by the plugin noisy" in log


def test_what_ends_the_process_is_imported_once_only(site: Site) -> None:
    trace = site.home.parent / "trace"
    site.install("vanishing", f"import os\nopen({str(trace)!r}, 'a').write('x')\nos._exit(7)")
    for _ in range(3):
        site.out("summarize", "-m", "lead-3", "One.")
        site.out("--help")
    assert trace.read_text() == "x"
    # Mended: a file with another time is looked at anew.
    (site.folder / "fixture_vanishing.py").write_text(HEAD + TASK.format(name="mended"), "utf-8")
    assert "mended" in site.out("--help")


def test_a_name_taken_twice_stays_with_what_came_with_palaver(site: Site) -> None:
    # Sorted by name alone this plugin and its distribution would come first.
    site.install("aa", HEAD + TASK.format(name="summarize"), point="summarize", distribution="aa")
    site.install("ab", HEAD + TASK.format(name="summarize"))
    assert "--length" in site.out("summarize", "--help")
    assert {"summarize", "aa/summarize", "ab"} <= set(states(site))
    assert "Mine." in site.out("ab/summarize", "--help")
    assert "ab/summarize" in site.out("--help")


def test_metadata_that_does_not_parse_is_one_broken_plugin(site: Site) -> None:
    site.install("garbled", "")
    (site.folder / "palaver_garbled-1.0.dist-info/entry_points.txt").write_text("[palaver]\ngarbled\n", "utf-8")
    with site.sitting() as sitting:
        check_every_core_command(sitting)
    assert states(site)["palaver-garbled"][0] == "broken"


def test_safe_mode_imports_nothing_that_others_wrote(site: Site) -> None:
    trace = site.home.parent / "trace"
    site.install("curious", f"open({str(trace)!r}, 'a').write('x')")
    assert "shout" not in site.out("--safe-mode", "--help")
    assert site.out("--safe-mode", "summarize", "-m", "lead-3", "One.") == "One.\n"
    assert site.palaver("--safe-mode", "shout", "-m", "upper", "hello").returncode != 0
    assert not trace.exists()
    assert states(site)["curious"] == ("unloaded", "")


FLAKY = '''
from dataclasses import dataclass
from palaver import Task

@dataclass(frozen=True)
class Flaky(Task):
    """Fails on demand."""
    name = "flaky"
    def request(self, example):
        if example["text"] == "fail":
            raise RuntimeError("on demand")
        return self.ask("Copy.", example["text"])
'''


def test_three_failures_in_a_row_set_a_plugin_aside_until_it_is_enabled(site: Site) -> None:
    site.install("flaky", FLAKY)
    for text in ("fail", "fail", "works", "fail", "fail"):
        site.palaver("flaky", "-m", "upper", text)
    assert states(site)["flaky"][0] == "unloaded"  # two in a row: the success between began the count anew
    site.palaver("flaky", "-m", "upper", "fail")
    health, reason = states(site)["flaky"]
    assert health == "quarantined"
    assert "RuntimeError: on demand (fixture_flaky.py line 11)" in reason
    assert site.palaver("flaky", "-m", "upper", "works").returncode != 0
    assert site.out("shout", "-m", "upper", "hello") == "HELLO\n"
    site.out("plugins", "enable", "flaky")
    assert site.palaver("flaky", "-m", "upper", "works").returncode == 0


def test_disabling_survives_an_upgrade_and_keeps_the_settings_as_written(site: Site) -> None:
    settings = site.home / "config.toml"
    settings.parent.mkdir()
    settings.write_text('# mine\nmodel = "lead-3"  # the best\n\n[models]\nqa = "bm25"\n', "utf-8")
    site.out("plugins", "disable", "shout")
    assert settings.read_text("utf-8").endswith('# mine\nmodel = "lead-3"  # the best\n\n[models]\nqa = "bm25"\n')
    assert states(site)["shout"][0] == "off"
    old = site.folder / "palaver_shout-1.0.dist-info"
    (old / "METADATA").write_text("Metadata-Version: 2.1\nName: palaver-shout\nVersion: 2.0\n", "utf-8")
    old.rename(site.folder / "palaver_shout-2.0.dist-info")
    assert states(site)["shout"][0] == "off"
    assert "shout" not in site.out("--help")
    site.out("plugins", "enable", "shout")
    assert site.out("shout", "-m", "upper", "hello") == "HELLO\n"
    assert site.palaver("plugins", "disable", "shoot").returncode == 3
