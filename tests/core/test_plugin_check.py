"""The contract kit passes what keeps the contract, and names what breaks it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from palaver.plugins import Found, find
from palaver.testing.check import Check
from palaver.testing.contract import check_plugin

HEAD = """
import copy, random
from dataclasses import dataclass
from palaver import Delta, Example, Message, ModelInfo, Request, Score, Task
"""
TASK = '''
@dataclass(frozen=True)
class Mine(Task):
    """Do mine."""
    name = "mine"
    {fields}
    def request(self, example):
        {request}
    def parse(self, output, example):
        {parse}
'''
METRIC = """
class Mine:
    name = title = "mine"
    maximum, higher_is_better, needs_references = 1.0, True, True
    def score(self, output, example):
        {score}
    def corpus(self, stats, n, signature):
        {corpus}
def palaver_metrics(): return [Mine()]
"""
BACKEND = """
class Model:
    info = ModelInfo("mine", "mine", tasks=("generate",))
    def stream(self, requests, config, cancel):
        {stream}
    def close(self): pass
class Backend:
    name, isolated = "mine", False
    def resolve(self, name): return {resolve}
    def load(self, info): return Model()
def palaver_backends(): return [Backend()]
def palaver_models(): return [Model.info]
"""
SCORE = (
    "if not example.references: return Score('mine', 'mine', None, 's', error='no reference')\n"
    "        v = float(output in example.references); return Score('mine', 'mine', v, 's', 1, (v,), 'c')"
)


def task(*, fields: str = "", request: str = "return self.ask('Do.', example['text'])", parse: str = "") -> str:
    return HEAD + TASK.format(fields=fields, request=request, parse=parse or "return output.strip()")


def metric(*, score: str = SCORE, corpus: str = "return Score('mine', 'mine', sum(stats) / n, signature, n)") -> str:
    return HEAD + METRIC.format(score=score, corpus=corpus)


def backend(*, stream: str, resolve: str = "None") -> str:
    return HEAD + BACKEND.format(stream=stream, resolve=resolve)


ENDS = "yield from (Delta('x', i, finish_reason='stop') for i, _ in enumerate(requests))"
KEEPS = {"task": task(), "metric": metric(), "backend": backend(stream=ENDS)}
DATASET = """
class Mine:
    name, summary, tasks = "mine", "Mine.", ("summarize",)
    def examples(self): {examples}
def palaver_datasets(): return [Mine()]
"""
SCREEN = """
class Mine:
    name, summary = "Mine", "Mine."
    def open(self, desk): {open}
def palaver_screens(): return [Mine()]
"""
EXECUTOR = """
class Mine:
    name, summary = "mine", "Mine."
    def open(self, argument): {open}
def palaver_executors(): return [Mine()]
"""
NEW_SCREEN = "from textual.screen import Screen; return Screen()"
KEEPS |= {
    "dataset": HEAD + DATASET.format(examples="yield Example({'text': 'One.'}, ('One.',), 'a')"),
    "screen": HEAD + SCREEN.format(open=NEW_SCREEN),
    "executor": HEAD + EXECUTOR.format(open="import palaver; raise palaver.UsageError('There is no such place.')"),
}
BREAKS = {
    "textless": (
        HEAD + DATASET.format(examples="yield Example({'body': 'One.'}, (), 'a')"),
        "datasets",
        "mine:1: has no text",
    ),
    "shuffled": (
        HEAD + DATASET.format(examples="yield Example({'text': str(random.random())})"),
        "datasets",
        "the second time",
    ),
    "screenless": (HEAD + SCREEN.format(open="return 'mine'"), "screens", "no textual.screen.Screen"),
    "kept": (
        HEAD
        + SCREEN.format(
            open="\n        global KEPT\n        if 'KEPT' not in globals():"
            " from textual.screen import Screen; KEPT = Screen()\n        return KEPT"
        ),
        "screens",
        "the same screen twice",
    ),
    "drawn": ("import textual.app" + SCREEN.format(open=NEW_SCREEN), "import", "textual: import inside"),
    "careless": (HEAD + EXECUTOR.format(open="return int(argument)"), "executors", "ValueError"),
    "heavy": ("import numpy" + task(), "import", "numpy: import inside"),
    "talkative": ("print('hello')" + task(), "import", "it printed 6 bytes"),
    "online": (
        "import socket\ntry: socket.getaddrinfo('localhost', 80)\nexcept OSError: pass" + task(),
        "import",
        "socket.getaddrinfo",
    ),
    "slow": ("import time\nwhile time.process_time() < 2: pass" + task(), "import", "import inside the function"),
    "empty": (HEAD, "metadata", "it provides nothing"),
    "random": (task(request="return self.ask(str(random.random()), 'x')"), "purity", "differs from call to call"),
    "writing": (
        task(request="example.inputs['text'] = 'x'; return self.ask('Do.', 'x')"),
        "purity",
        "changed its example",
    ),
    "picky": (task(request="assert '[' not in example['text']; return self.ask('', '')"), "hostile text", "'[/'"),
    "partial": (task(parse="return output.split()[0]"), "parse", "any text gives a text"),
    "nothing": (task(parse="return None if not output else output"), "parse", "parse() returned NoneType"),
    "silent": (task(fields="words: int = 3"), "docs", "the option 'words' has no help"),
    "ascii": (
        metric(score=SCORE.replace("output in example.references", "output.isascii()")),
        "metrics",
        "identical Greek texts score 0.0, not 1",
    ),
    "first": (
        metric(score=SCORE.replace("in example.references", "== example.references[0]")),
        "metrics",
        "equal to one of 2 references scores 0.0",
    ),
    "zero": (
        metric(score=SCORE.replace("None, 's', error='no reference'", "0.0, 's'")),
        "metrics",
        "without a reference it scores 0",
    ),
    "unsummed": (
        metric(corpus="return Score('mine', 'mine', sum(stats), signature, n)"),
        "metrics",
        "the same three times over",
    ),
    "nan": (
        metric(score="if output.startswith('nul'): return Score('mine', 'mine', float('nan'), 's')\n        " + SCORE),
        "metrics",
        "None says that there is none",
    ),
    "endless": (
        backend(stream="yield from (Delta('x', i) for i, _ in enumerate(requests))"),
        "backends",
        "ended 0 times",
    ),
    "greedy": (backend(stream=ENDS.replace("'stop'", "'stop', output_tokens=9")), "backends", "it wrote 9 tokens"),
    "mixed": (backend(stream=ENDS.replace("'x'", "str(len(requests))")), "batch", "'3' in a batch and '1' alone"),
    "sure": (backend(stream=ENDS, resolve="Model.info"), "backends", "a name that nobody has"),
    "dying": (task(request="import os; os._exit(5)"), "purity", "it ended the process (exit code 5)"),
}


def results(folder: Path, source: str, kind: str) -> Iterator[Check]:
    (folder / f"checked_{kind}.py").write_text(source, "utf-8")
    return check_plugin(Found(kind, f"checked_{kind}", "fixture", "1"), project=folder)


@pytest.mark.parametrize("name", [one.name for one in find() if one.is_built_in])
def test_what_comes_with_palaver_keeps_the_contract(name: str) -> None:
    found = next(one for one in find() if one.name == name)
    checks = list(check_plugin(found))
    assert [check for check in checks if check.status == "failed"] == []
    assert {"import", "metadata"} <= {check.group for check in checks}


@pytest.mark.parametrize("kind", KEEPS)
def test_the_smallest_plugin_of_each_kind_keeps_the_contract(tmp_path: Path, kind: str) -> None:
    checks = list(results(tmp_path, KEEPS[kind], kind))
    assert [check for check in checks if check.status == "failed"] == []
    assert len(checks) >= 9


@pytest.mark.parametrize("kind", BREAKS)
def test_what_breaks_the_contract_is_named(tmp_path: Path, kind: str) -> None:
    source, group, message = BREAKS[kind]
    failed = [check for check in results(tmp_path, source, kind) if check.status == "failed"]
    assert any(check.group == group and message in check.message for check in failed), failed
