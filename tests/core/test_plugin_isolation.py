"""A plugin in a process of its own works as it did, and what it breaks there breaks there."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.core.installed import Site

from palaver.errors import BadInput, PalaverError, PluginFailed
from palaver.example import Example
from palaver.plugins.found import Found
from palaver.plugins.isolation import Isolation, parse
from palaver.plugins.patience import until
from palaver.plugins.remote import Process, Raised
from palaver.plugins.stand_ins import module_of

MINE = '''
import os, time
from dataclasses import dataclass, replace
from typing import Literal
from palaver import BadInput, Delta, Example, ModelInfo, Score, Task, hookimpl, split_text

COUNT = [0]

@dataclass(frozen=True)
class Mine(Task):
    """Do mine."""
    name = "mine"
    metrics = ("share",)
    kind: Literal["short", "long"] = "short"
    """Which kind."""
    words: int = 3
    """How many."""

    def request(self, example):
        text = example["text"]
        if text == "exit": os._exit(7)
        if text == "hang": time.sleep(60)
        if text == "raise": raise KeyError("boom")
        if text == "refuse": raise BadInput("Not this one.", fix="another")
        if text == "memory": bytearray(10**11)
        if text == "print": print("NOISE")
        COUNT[0] += 1
        return self.ask(f"{os.getpid()} {self.kind} {self.words} {COUNT[0]}", text, example=example)

    def parse(self, output, example):
        return output.strip().upper()

    def chunks(self, example, limit):
        return [replace(example, inputs={"text": one}) for one in split_text(example["text"], limit)]

    def merge(self, answers, example):
        return "+".join(answers)

class Share:
    name = title = "share"
    family = "shares"
    maximum, higher_is_better, needs_references = 1, True, True
    def score(self, output, example):
        if output == "EXIT": os._exit(3)
        return Score("share", "share", float(output in example.references), "s", 1, (1, 2), "c")
    def corpus(self, stats, n, signature):
        return Score("share", "share", stats[0] / stats[1], signature, n)

@dataclass(frozen=True)
class Rows:
    name = "rows"
    summary = "Many rows."
    tasks = ("mine",)
    def examples(self):
        for number in range(450):
            yield Example({"text": f"row {number}"}, (str(os.getpid()),), str(number))

class Upper:
    info = ModelInfo("mine-upper", "mine", tasks=("*",), digest="1")
    def stream(self, requests, config, cancel):
        for index, request in enumerate(requests):
            yield Delta(f"{os.getpid()} {request.messages[-1].content}", index)
            yield Delta(request=index, finish_reason="stop")
    def close(self): pass

class Backend:
    name, isolated = "mine", False
    def resolve(self, name): return replace(Upper.info, name=name) if name.startswith("mine:") else None
    def load(self, info): return Upper()

@hookimpl
def palaver_metrics(): return [Share()]
@hookimpl
def palaver_datasets(): return [Rows()]
@hookimpl
def palaver_backends(): return [Backend()]
@hookimpl
def palaver_models(): return [Upper.info]
'''
TEXT = Example({"text": "One."}, ("A",), "1", metadata={"turn": "3"})


@pytest.fixture
def process(tmp_path: Path, palaver_home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Process]:
    folder = tmp_path / "site"
    folder.mkdir()
    (folder / "fixture_mine.py").write_text(MINE, "utf-8")
    monkeypatch.setenv("PYTHONPATH", str(folder))
    made = Process(Found("mine", "fixture_mine", "palaver-mine", "1"), Isolation("process", seconds=5, memory=3000))
    yield made
    made.close()


def test_a_task_there_has_the_same_fields_and_answers_as_here(process: Process) -> None:
    (task,) = module_of(process, process.told()).palaver_tasks()
    assert [(one.name, one.type, one.default, one.help, one.choices) for one in task.schema()] == [
        ("kind", str, "short", "Which kind.", ("short", "long")),
        ("words", int, 3, "How many.", ()),
    ]
    assert (task.summary(), task.metrics, task.inputs) == ("Do mine.", ("share",), ("text",))
    made = task.from_strings({"words": "5", "kind": "long"})
    request = made.request(TEXT)
    assert request.messages[0].content == f"{process.pid} long 5 1"
    assert process.pid != os.getpid()
    assert (request.example, request.options, request.task) == (TEXT, {"kind": "long", "words": 5}, "mine")
    assert made.parse(" a ", TEXT) == "A"
    assert made.prepare(TEXT) is TEXT  # no method of its own: nobody is asked
    assert [one["text"] for one in made.chunks(Example({"text": "One. Two."}), 5)] == ["One. ", "Two."]
    assert made.merge(["a", "b"], TEXT) == "a+b"


def test_metrics_data_sets_and_names_of_models_come_from_there(process: Process) -> None:
    module = module_of(process, process.told())
    (metric,), (rows,), (backend,) = module.palaver_metrics(), module.palaver_datasets(), module.palaver_backends()
    score = metric.score("A", TEXT)
    assert (score.value, score.stats, metric.maximum, metric.family) == (1.0, (1.0, 2.0), 1.0, "shares")
    assert metric.corpus([3, 4], 2, "c").value == 3 / 4
    assert [one.id for one in rows.examples()] == [str(number) for number in range(450)]
    assert (backend.isolated, backend.resolve("nobody")) == (True, None)
    assert backend.resolve("mine:x").ref == "mine:mine:x"


@pytest.mark.parametrize(
    ("text", "kind", "said"),
    [
        ("exit", PluginFailed, "The plugin mine ended with exit code 7"),
        ("hang", PluginFailed, "took more than 1 s and was ended"),
        ("raise", Raised, "KeyError: 'boom' (fixture_mine.py line 23)"),
        ("refuse", BadInput, "Not this one."),
        ("memory", Raised, "more memory than it may have"),
    ],
)
def test_what_goes_wrong_there_is_an_error_here_and_the_next_call_works(
    process: Process, text: str, kind: type[Exception], said: str
) -> None:
    process.isolation = Isolation("process", seconds=1 if text == "hang" else 5, memory=3000)
    (task,) = module_of(process, process.told()).palaver_tasks()
    with pytest.raises(kind, match=said.replace("(", "\\(").replace(")", "\\)")):
        task().request(Example({"text": text}))
    assert task().request(TEXT).messages[-1].content == "One."


def test_a_killed_process_is_told_of_by_its_signal_and_a_data_set_goes_on_where_it_was(process: Process) -> None:
    (rows,) = module_of(process, process.told()).palaver_datasets()
    found = []
    for example in rows.examples():
        found.append(example)
        if len(found) == 200 and process.pid:
            ended = process._running.ended  # type: ignore[union-attr]
            os.kill(process.pid, signal.SIGKILL)
            assert ended.wait(5)
    assert [one.id for one in found] == [str(number) for number in range(450)]
    assert len({one.references for one in found}) == 2


def test_calls_from_many_threads_are_answered_each_with_its_own(process: Process) -> None:
    (task,) = module_of(process, process.told()).palaver_tasks()
    answers: dict[str, str] = {}
    threads = [
        threading.Thread(target=lambda text=str(one): answers.update({text: task().parse(text, TEXT)}))
        for one in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == {str(one): str(one) for one in range(8)}


async def test_the_thread_that_draws_waits_for_a_plugin_once_and_not_long(
    process: Process, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("palaver.plugins.remote.DRAWING_SECONDS", 0.5)
    (task,) = module_of(process, process.told()).palaver_tasks()
    for said in ("took more than 0.5 s", "was too slow before"):
        with pytest.raises(PluginFailed, match=said):
            task().request(Example({"text": "hang"}))
    asked = await asyncio.to_thread(task().request, TEXT)  # a thread that does not draw has its time
    assert asked.messages


def test_what_nobody_waits_for_is_given_up_at_once(process: Process) -> None:
    (task,) = module_of(process, process.told()).palaver_tasks()
    cancel = threading.Event()
    threading.Timer(0.2, cancel.set).start()
    with until(cancel), pytest.raises(PalaverError, match="Stopped while the plugin mine was at it"):
        task().request(Example({"text": "hang"}))  # it may take five seconds
    assert task().request(TEXT).messages


@pytest.mark.parametrize("text", ["process", "venv, 2.5 s", "process, 10 s, 2000 MB", "inproc, 500 MB"])
def test_a_level_is_written_as_it_is_read(text: str) -> None:
    assert str(parse(text)) == text


@pytest.fixture
def site(tmp_path: Path) -> Site:
    made = Site(tmp_path / "site", tmp_path / "home")
    made.install("mine", MINE)
    return made


def test_isolate_changes_where_it_runs_and_nothing_else(site: Site) -> None:
    before = site.out("plugins", "info", "mine")
    done = site.palaver("plugins", "isolate", "mine", "process", "--seconds", "20")
    assert done.returncode == 0, done.stderr
    assert "no security border" in done.stderr
    assert 'mine = "process, 20 s"' in (site.home / "config.toml").read_text("utf-8")
    listed = json.loads(site.out("plugins", "info", "mine", "--json"))
    assert (listed["isolation"], listed["health"]) == ("process", "unloaded")
    assert listed["adds"] == [
        "task mine: Do mine.",
        "model mine-upper",
        "backend mine",
        "metric share",
        "dataset rows: Many rows.",
    ]
    assert "runs     process, 20 s" in site.out("plugins", "info", "mine")
    assert "runs     process\n" in before
    answer = json.loads(site.out("mine", "-m", "mine-upper", "--words", "4", "one", "--ref", "x", "--json"))
    assert answer["output"].endswith(" ONE")
    assert answer["scores"][0]["value"] == 0.0
    told = site.palaver("mine", "-m", "mine-upper", "raise")
    assert "KeyError: 'boom' (fixture_mine.py line 23)" in told.stderr
    assert "ended with exit code 7" in site.palaver("mine", "-m", "mine-upper", "exit").stderr
    assert "NOISE" not in site.out("mine", "-m", "mine-upper", "print")
    evaluated = json.loads(site.out("eval", "mine", "rows", "-m", "mine-upper", "--limit", "3", "--json"))
    assert evaluated["runs"][0]["ended"] == {"complete": 3}
    site.out("plugins", "isolate", "mine", "inproc")
    assert site.out("plugins", "info", "mine").splitlines()[3] == before.splitlines()[3].replace(
        "not used yet", "installed"
    )


def test_a_plugin_that_ends_its_process_at_import_is_broken_by_name_at_every_level(site: Site) -> None:
    site.install("vanishing", "import os; os._exit(7)")
    (site.home).mkdir(exist_ok=True)
    (site.home / "config.toml").write_text('[isolation]\nvanishing = "process"\nmine = "nonsense"\n', "utf-8")
    listed = {
        one["name"]: one for one in json.loads(site.palaver("plugins", "list", "--check", "--json").stdout)["plugins"]
    }
    assert listed["vanishing"]["health"] == "broken"
    assert "ended the process (exit code 7)" in listed["vanishing"]["reason"]
    assert listed["mine"]["health"] == "ok"  # what cannot be read isolates nothing, and stops nothing


def test_one_that_can_no_longer_be_imported_is_told_of_when_it_is_called_and_listed_from_then_on(site: Site) -> None:
    (site.folder / "fixture_needed.py").write_text("", "utf-8")
    site.install("needy", f"import fixture_needed\n{MINE.replace(chr(34) + 'mine', chr(34) + 'needy')}")
    site.out("needy", "-m", "needy-upper", "hello")
    (site.folder / "fixture_needed.py").unlink()
    done = site.palaver("needy", "-m", "needy-upper", "hello")
    assert done.returncode == 1
    assert "The plugin needy can no longer be imported: ModuleNotFoundError: No module named 'fixture_" in done.stderr
    site.palaver("plugins", "list", "--check")
    assert json.loads(site.out("plugins", "info", "needy", "--json"))["health"] == "broken"


def test_a_command_is_brought_by_whoever_runs_it_and_has_no_other_environment(site: Site) -> None:
    trace = site.home.parent / "trace"
    source = "import os\nopen({!r}, 'a').write(f'{{os.getpid()}} ')\ndef palaver_commands(group):\n"
    source += "    @group.command('stumble')\n    def stumble(): raise KeyError('boom')\n"
    source += "    @group.command('greet')\n    def greet():\n        'Say hello.'\n        print('hello', os.getpid())"
    site.install("group", source.format(str(trace)))
    assert "Say hello." in site.out("--help")
    before = trace.read_text("utf-8")
    site.out("summarize", "-m", "lead-3", "One.")
    assert trace.read_text("utf-8") == before  # what asks for something else imports nothing of it
    assert site.out("greet").split()[1] == trace.read_text("utf-8").split()[-1]
    done = site.palaver("stumble")
    assert done.returncode == 1
    assert done.stderr.startswith("palaver: The command 'stumble' of the plugin group broke: KeyError: 'boom' (fixture")
    done = site.palaver("plugins", "isolate", "group", "venv")
    assert (done.returncode, "adds command stumble, command greet, which cannot be used from an" in done.stderr) == (
        2,
        True,
    )
    assert "fix: palaver plugins isolate group process" in done.stderr
    assert site.palaver("plugins", "isolate", "summarize", "process").returncode == 2
    assert site.palaver("plugins", "isolate", "mine", "moon").returncode == 2
