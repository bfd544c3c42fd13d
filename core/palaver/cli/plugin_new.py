"""`palaver plugins new`: a project that passes its own checks before a line of it is changed."""

from __future__ import annotations

import re
from pathlib import Path
from string import Template

from palaver.cli.plugin_kinds import DATASET, DATASET_TEST, SCREEN, SCREEN_TEST, VIEW
from palaver.errors import BadInput, UsageError

_PYPROJECT = """[build-system]
requires = ["hatchling>=1.27"]
build-backend = "hatchling.build"

[project]
name = "palaver-$name"
version = "0.1.0"
description = "A $kind for Palaver: $name."
readme = "README.md"
requires-python = ">=3.11"
dependencies = ["palaver>=0.1,<1"]

[project.entry-points.palaver]  # this line makes it a plugin: a name, and the module to import
$name = "$module"

[project.optional-dependencies]
test = ["pytest>=8,<9"]

[tool.hatch.build.targets.wheel]
only-include = [$files]

[tool.pytest.ini_options]
testpaths = ["tests"]
pythonpath = ["."]
"""

_README = """# palaver-$name

A $kind for [Palaver](https://pypi.org/project/palaver/).

```sh
pip install -e '.[test]'      # into the environment that has Palaver
palaver plugins check .       # the contract
pytest                        # its own tests
$use
```
"""

_CONFTEST = '''"""The fixtures of Palaver's test kit: a scripted model, an empty history, and no network."""

pytest_plugins = ["palaver.testing.fixtures"]
'''

_TASK = '''"""The task `$name`."""

from __future__ import annotations

from dataclasses import dataclass

from palaver import Example, Request, Task


@dataclass(frozen=True)
class $title(Task):
    """Say what a text is about, in a few words."""

    name = "$name"
    metrics = ("rouge", "chrf")
    words: int = 12
    """At most this many words."""

    def request(self, example: Example) -> Request:
        return self.ask(f"Say in at most {self.words} words what the text is about.", example["text"])

    def parse(self, output: str, example: Example) -> str:
        return output.strip().strip('"')
'''

_TASK_TEST = '''"""The task is a pure function, and what a model answers reaches history through it."""

from __future__ import annotations

from palaver import Example
from palaver.testing import Ask, Scripted

from $module import $title


def test_the_model_is_told_how_many_words_and_then_given_the_text() -> None:
    request = $title(words=5).request(Example({"text": "A storm came."}))
    assert "at most 5 words" in request.messages[0].content
    assert request.messages[-1].content == "A storm came."


def test_quotes_around_the_answer_are_no_part_of_it() -> None:
    assert $title().parse(' "A storm."\\n', Example({"text": ""})) == "A storm."


def test_the_answer_is_in_history(scripted: Scripted, ask: Ask) -> None:
    scripted.script = lambda request: '"A storm."'
    turn = ask($title(), Example({"text": "A storm came."}))
    assert (turn.status, turn.output) == ("complete", "A storm.")
'''

_METRIC = '''"""The metric `$name`."""

from __future__ import annotations

from collections.abc import Sequence

from palaver import Example, Metric, Score, hookimpl

ONE = "$name|one:output|words:whitespace|version:0.1.0"
ALL = "$name|corpus:sums|words:whitespace|version:0.1.0"
"""Numbers of different signatures are never compared."""


class $title:
    """Share of a reference's words that the output has, 0 to 1."""

    name: str = "$name"
    title: str = "$title"
    maximum: float = 1.0
    higher_is_better: bool = True
    needs_references: bool = True

    def score(self, output: str, example: Example) -> Score:
        """Against the reference that it fits best."""
        words = set(output.split())
        wanted = [set(text.split()) for text in example.references]
        counts = [(len(words & one), len(one)) for one in wanted if one]
        if not counts:
            return Score(self.name, self.title, None, ONE, error="there is no reference with words")
        found, there = max(counts, key=lambda count: count[0] / count[1])
        return Score(self.name, self.title, found / there, ONE, 1, (found, there), ALL)

    def corpus(self, stats: Sequence[float], n: int, signature: str) -> Score:
        """Of all words of all references, the share that was found: a sum of counts, not a mean of scores."""
        found, there = stats
        return Score(self.name, self.title, found / there, signature, n, tuple(stats))


@hookimpl
def palaver_metrics() -> list[Metric]:
    return [$title()]
'''

_METRIC_TEST = '''"""The numbers can be counted by hand."""

from __future__ import annotations

import pytest

from palaver import Example

from $module import $title


def score(output: str, *references: str) -> float | None:
    return $title().score(output, Example({"text": ""}, references)).value


def test_it_is_the_share_of_the_references_words() -> None:
    assert score("a storm", "a storm came late") == pytest.approx(2 / 4)


def test_the_reference_that_fits_best_counts() -> None:
    assert score("a storm", "snow fell", "a storm") == pytest.approx(1.0)


def test_what_cannot_be_scored_has_no_number() -> None:
    assert score("a storm") is None


def test_a_corpus_is_a_sum_of_counts() -> None:
    # 2 of 4 words and 1 of 1: together 3 of 5.
    assert $title().corpus((3, 5), 2, "s").value == pytest.approx(3 / 5)
'''

_BACKEND = '''"""The backend `$name`, with one model of that name."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence

from palaver import Backend, Delta, FinishReason, GenerationConfig, Model, ModelInfo, Request, hookimpl

INFO = ModelInfo(
    "$name",
    "$name",
    tasks=("generate",),
    description="repeats what it is told",
    is_baseline=True,
    digest="1",
)


class $title:
    """A model that repeats the last message, word by word. Put yours here."""

    def __init__(self, info: ModelInfo) -> None:
        self.info = info

    def stream(self, requests: Sequence[Request], config: GenerationConfig, cancel: threading.Event) -> Iterator[Delta]:
        """Each request ends with one `finish_reason`; a cancel is seen between two words."""
        for index, request in enumerate(requests):
            words = request.messages[-1].content.split(" ") if request.messages else []
            reason: FinishReason = "stop" if len(words) <= config.max_new_tokens else "length"
            said = words[: config.max_new_tokens]
            for number, word in enumerate(said):
                if cancel.is_set():
                    reason = "cancelled"
                    break
                yield Delta(word if number == 0 else f" {word}", index)
            yield Delta(request=index, finish_reason=reason, output_tokens=len(said))

    def close(self) -> None:
        """It holds nothing."""


class $title@Backend:
    """What loads it."""

    name: str = "$name"
    isolated: bool = False
    """True for all that runs native code or holds weights: it is then loaded in a process of its own."""

    def resolve(self, name: str) -> ModelInfo | None:
        return None

    def load(self, info: ModelInfo) -> Model:
        return $title(info)


@hookimpl
def palaver_backends() -> list[Backend]:
    return [$title@Backend()]


@hookimpl
def palaver_models() -> list[ModelInfo]:
    return [INFO]
'''

_BACKEND_TEST = '''"""Every request ends once, and says why."""

from __future__ import annotations

import threading

from palaver import GenerationConfig, Message, Request

from $module import INFO, $title


def answers(*texts: str, limit: int = 100, cancel: threading.Event | None = None) -> list[tuple[str, str | None]]:
    requests = [Request((Message("user", text),)) for text in texts]
    deltas = list($title(INFO).stream(requests, GenerationConfig(limit), cancel or threading.Event()))
    return [
        (
            "".join(delta.text for delta in deltas if delta.request == index),
            next(delta.finish_reason for delta in deltas if delta.request == index and delta.finish_reason),
        )
        for index in range(len(texts))
    ]


def test_a_batch_answers_each_request() -> None:
    assert answers("a storm came", "snow") == [("a storm came", "stop"), ("snow", "stop")]


def test_the_limit_holds_and_is_told() -> None:
    assert answers("a storm came", limit=2) == [("a storm", "length")]


def test_a_cancel_ends_every_request() -> None:
    cancel = threading.Event()
    cancel.set()
    assert answers("a storm came", "snow", cancel=cancel) == [("", "cancelled"), ("", "cancelled")]
'''

_KINDS: dict[str, tuple[str, str, str]] = {
    "task": (_TASK, _TASK_TEST, 'palaver $name "A storm came over the bay."'),
    "metric": (_METRIC, _METRIC_TEST, 'palaver summarize -m lead-3 --metric $name "One. Two." --ref "One."'),
    "backend": (_BACKEND, _BACKEND_TEST, 'palaver generate -m $name "A storm came over the bay."'),
    "dataset": (DATASET, DATASET_TEST, "palaver eval summarize $name -m lead-3"),
    "screen": (SCREEN, SCREEN_TEST, "palaver chat                  # then ctrl+g, or ctrl+p and its name"),
}
KINDS = tuple(_KINDS)


def write_project(name: str, kind: str, parent: Path) -> Path:
    """The folder of the new project, `palaver-NAME` in `parent`.

    Raises:
        UsageError: a kind without a hook, or a name that cannot be a command. BadInput: the folder is there.
    """
    if kind not in _KINDS:
        raise UsageError(
            f"There is no hook for a {kind} yet. A plugin is a {', a '.join(_KINDS)}.", fix="palaver plugins new --help"
        )
    name = name.removeprefix("palaver-")
    if not re.fullmatch(r"[a-z][a-z0-9]*(-[a-z0-9]+)*", name):
        raise UsageError(f"'{name}' is no name for a plugin: small letters, digits and hyphens between them.")
    folder = parent / f"palaver-{name}"
    if folder.exists():
        raise BadInput(f"{folder} is there already.", fix="choose another name", code="file_exists")
    source, test, use = _KINDS[kind]
    title = "".join(part.capitalize() for part in name.split("-"))
    words = {"name": name, "kind": kind, "title": title, "module": f"palaver_{name.replace('-', '_')}"}
    words["view"] = f"{words['module']}_view"
    modules = {words["module"]: source} | ({words["view"]: VIEW} if kind == "screen" else {})
    words["files"] = ", ".join(f'"{one}.py"' for one in modules)
    words["use"] = Template(use).substitute(words)
    for path, template in (
        ("pyproject.toml", _PYPROJECT),
        ("README.md", _README),
        *((f"{module}.py", text.replace("$title@", "${title}")) for module, text in modules.items()),
        ("tests/conftest.py", _CONFTEST),
        (f"tests/test_{words['module']}.py", test),
    ):
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(Template(template).substitute(words), "utf-8")
    return folder
