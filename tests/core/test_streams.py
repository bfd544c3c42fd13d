"""Which engine streams an answer: measured in real processes, remembered, kept to, and said."""

from __future__ import annotations

import json
import os
import threading
from dataclasses import replace
from pathlib import Path

import pytest
from tests.core.called import Palaver, palaver

from palaver import streams
from palaver.config import read_settings
from palaver.errors import ModelFailed
from palaver.plans import MANY, Wanted, make_plans
from palaver.plugins import Plugins
from palaver.registry import Registry
from palaver.store import Store
from palaver.timing import Timing, fastest, forget, known, overtakes_after, remember

__all__ = ["palaver"]

PLUGIN = """
import dataclasses, time
from dataclasses import replace
from pathlib import Path
from palaver import Delta, ModelInfo, hookimpl

SECONDS = {"steady": 0.006, "swift": 0.001}  # a token


class Model:
    def __init__(self, info):
        self.info = info

    def stream(self, requests, config, cancel):
        for index, request in enumerate(requests):
            for number in range(config.max_new_tokens):
                time.sleep(SECONDS[self.info.backend])
                yield Delta(f"{number} ", request=index)
            yield Delta(request=index, finish_reason="length", output_tokens=config.max_new_tokens)

    def close(self):
        pass


class Engine:
    isolated = True

    def __init__(self, name):
        self.name = name

    def resolve(self, name):
        return None

    def load(self, info):
        return Model(info)


class Swift(Engine):
    def take_over(self, info, form):
        return self.for_streams(info) if form == "swift" else None

    def for_batches(self, info):
        return None

    def for_streams(self, info):
        return dataclasses.replace(info, name=f"{info.name}@swift", backend="swift", digest="")


@hookimpl
def palaver_backends():
    return [Engine("steady"), Swift("swift")]


@hookimpl
def palaver_models():
    path = str(Path(__file__).with_name("weights.bin"))
    return [ModelInfo("small", "steady", tasks=("generate", "chat"), good_at=("generate", "chat"), path=path)]
"""


@pytest.fixture
def weights(palaver_home: Path) -> Path:
    """A model that two engines can compute, from a plugin of a single file; its weights."""
    folder = palaver_home / "plugins"
    folder.mkdir()
    (folder / f"two_{palaver_home.name.replace('-', '_')}.py").write_text(PLUGIN)
    (folder / "weights.bin").write_bytes(b"weights")
    return folder / "weights.bin"


def timing(model: str, start: float, rate: float) -> Timing:
    return Timing(model, "torch" if "@" in model else "llamacpp", start, 0.1, rate, 10**8)


def test_the_fastest_engine_ends_an_answer_first_with_its_loading_counted() -> None:
    small = [timing("small", 1.0, 50.0), timing("small@4bit", 6.0, 60.0)]
    large = [timing("large", 2.0, 5.0), timing("large@4bit", 8.0, 6.0)]
    assert fastest(small).model == "small"  # 1 + 512/50 = 11.2 s, 6 + 512/60 = 14.5 s
    assert fastest(large).model == "large@4bit"  # 2 + 512/5 = 104 s, 8 + 512/6 = 93 s
    # 5 seconds more at the start, 1/50 - 1/60 = 1/300 of a second less a token
    assert overtakes_after(*small) == 1500
    assert overtakes_after(small[1], small[0]) is None


def test_what_was_measured_belongs_to_the_file_and_the_processor(
    weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PALAVER_THREADS", "2")
    found = [timing("small", 1.0, 50.0)]
    remember(str(weights), found)
    assert known(str(weights)) == found
    monkeypatch.setenv("PALAVER_THREADS", "3")
    assert known(str(weights)) == []
    monkeypatch.setenv("PALAVER_THREADS", "2")
    os.utime(weights, (1, 1))
    assert known(str(weights)) == []
    remember(str(weights), found)
    forget(str(weights))
    assert known(str(weights)) == []
    assert known(str(weights / "nowhere")) == []


def test_an_answer_comes_from_the_engine_that_was_measured_as_the_fastest_and_says_so(
    palaver: Palaver, weights: Path, palaver_home: Path
) -> None:
    ask = ("generate", "-m", "small", "-o", "max_new_tokens=2", "--no-cache", "--no-daemon", "hello")
    assert palaver(*ask).err.startswith("small · ")
    assert (
        "steady, not timed beside small@swift with swift: palaver models time small"
        in palaver("models", "info", "small").out
    )
    timed = palaver("models", "time", "small", "--json")
    found = json.loads(timed.out)
    assert (found["schema"], found["streams"]) == ("palaver.timing/1", "small@swift")
    steady, swift = found["engines"]
    # A token of 6 ms and one of 1 ms, each with its way through the process
    assert steady["tokens_per_second"] < 1 / 0.006 < swift["tokens_per_second"] < 1 / 0.001
    assert steady["memory_bytes"] > 5e6
    assert palaver(*ask).err.startswith("small@swift by swift · ")
    said = palaver("models", "info", "small").out
    assert "swift in swift: an answer of 512 tokens in" in said
    assert json.loads(palaver("models", "info", "small", "--json").out)["timings"][1]["model"] == "small@swift"
    kept = (*ask[:2], "steady:small", *ask[3:])
    assert palaver(*kept).err.startswith("small by steady · ")
    with Store.open(palaver_home / "history.db") as store:
        assert [turn.model for turn in store.page(limit=3)] == ["small", "small@swift", "small"]
    palaver("models", "time", "small", "--forget")
    assert palaver(*ask).err.startswith("small · ")


def test_an_evaluation_keeps_to_its_own_choice(weights: Path, palaver_home: Path, tmp_path: Path) -> None:
    slow, quick = timing("small", 1.0, 50.0), timing("small@swift", 1.0, 60.0)
    registry = Registry(Plugins())
    info = registry.info("small")
    remember(info.path, [replace(slow, backend="steady"), quick])
    assert streams.choose(registry, "generate", "small").name == "small@swift"
    assert streams.choose(registry, "generate", "small@swift").name == "small@swift"
    rows = tmp_path / "rows.jsonl"
    rows.write_text("".join(f'{{"text": "{n}"}}\n' for n in range(MANY)), "utf-8")
    with Store.open(palaver_home / "history.db") as store:
        plans = make_plans(registry, store, Wanted(task="generate", dataset=str(rows), models=("small",)))[1]
    assert [plan.model for plan in plans] == ["small"]


def test_a_model_without_weights_has_nothing_to_time(palaver: Palaver) -> None:
    said = palaver("models", "time", "lead-3")
    assert said.code == 4 and "lead-3 has no weights here to be timed." in said.err


def test_an_engine_that_cannot_be_used_here_says_why_it_is_not_timed(
    weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry = Registry(Plugins())
    broken = ModelFailed("small needs an engine.", fix="install it")
    monkeypatch.setattr(registry, "examine", lambda info: broken)
    with pytest.raises(ModelFailed, match="small needs an engine"):
        streams.measure(registry, registry.info("small"), threading.Event())


def test_long_answers_are_told_in_minutes() -> None:
    words = streams.verdict([timing("small", 1.0, 100), timing("small@4bit", 2.0, 1)])
    assert words.startswith("llamacpp: an answer of 512 tokens in 6.12 s, loading included; torch in 4bit in 8:34")


def test_a_default_keeps_the_engine_that_was_named_and_a_path_means_the_same_from_any_folder(
    palaver: Palaver, weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert palaver("models", "default", "generate", "small@swift").code == 0
    assert read_settings().models == {"generate": "small@swift"}
    (tmp_path / "mine.gguf").write_bytes(b"weights")
    monkeypatch.chdir(tmp_path)
    assert palaver("models", "default", "chat", "mine.gguf").code == 0
    assert read_settings().models["chat"] == str(tmp_path / "mine.gguf")
