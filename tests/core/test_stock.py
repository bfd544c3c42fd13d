"""Each model says how it is: loaded, on disk, not downloaded, or broken with the reason and the remedy."""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from palaver import GenerationConfig, Message, ModelInfo, Request, cli, weights
from palaver.config import Settings
from palaver.isolated import IsolatedModel
from palaver.plugins import Plugins
from palaver.registry import Registry
from palaver.stock import Stocked, stock, stocked
from palaver.warm import Warm, WarmModel, engine_status, stop_engine, unload_from_engine
from palaver_llamacpp.catalogue import SMOLLM2

HERE = Path(__file__).parent
CONTENT = b"GGUF and more"


@pytest.fixture
def registry() -> Registry:
    return Registry(Plugins())


@pytest.fixture
def here(registry: Registry, palaver_home: Path) -> ModelInfo:
    """The quick-start model as a small file that is all that the catalogue pins."""
    folder = palaver_home / "models" / "smollm2"
    folder.mkdir(parents=True)
    file = replace(SMOLLM2.files[0], size=len(CONTENT), sha256=hashlib.sha256(CONTENT).hexdigest())
    (folder / file.name).write_bytes(CONTENT)
    registry.models()
    info = registry._models["smollm2"] = replace(SMOLLM2, files=(file,), path=str(folder / file.name))
    return info


def of(found: list[Stocked], name: str) -> Stocked:
    return next(one for one in found if one.info.name == name)


def test_what_is_not_here_says_how_to_get_it_and_what_of_it_has_arrived(registry: Registry, palaver_home: Path) -> None:
    folder = palaver_home / "models" / "qwen2.5-1.5b"
    folder.mkdir(parents=True)
    (folder / f"{registry.info('qwen2.5-1.5b').files[0].name}.partial").write_bytes(b"x" * 1000)
    found = stock(registry)
    smollm2, qwen = of(found, "smollm2"), of(found, "qwen2.5-1.5b")
    assert (smollm2.state, smollm2.fix, smollm2.arrived_bytes) == ("absent", "palaver models pull smollm2", 0)
    assert (qwen.state, qwen.arrived_bytes, qwen.disk_bytes) == ("absent", 1000, 1000)
    assert of(found, "lead-3").state == "baseline"
    assert of(found, "lead-3").answers == ("summarize",)


def test_what_is_on_disk_tells_its_size_and_the_tasks_it_answers(registry: Registry, here: ModelInfo) -> None:
    one = of(stock(registry), "smollm2")
    assert (one.state, one.disk_bytes, one.memory_bytes) == ("installed", len(CONTENT), 0)
    assert {"chat", "generate"} <= set(one.answers)
    assert stocked(registry, here) == one


def test_a_translator_answers_its_pair_and_the_table_of_defaults_says_so(
    registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry.models()
    registry._models["opus-mt-en-fr"] = replace(registry.info("opus-mt-en-fr"), path=str(tmp_path))
    monkeypatch.setattr(registry, "examine", lambda info: None)  # whether PyTorch is here or not
    assert of(stock(registry), "opus-mt-en-fr").answers == ("translate en-fr",)
    assert of(stock(registry), "opus-mt-fr-en").answers == ()


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (CONTENT[:-1], "has 12 bytes instead of 13"),
        (b"HTML page" + b" " * 4, "does not begin like a GGUF file"),
        (b"GGUF and lass", "has changed since it arrived"),
    ],
)
def test_what_is_damaged_is_told_without_loading_it(
    registry: Registry, here: ModelInfo, content: bytes, says: str
) -> None:
    path = Path(here.path)
    path.write_bytes(content)
    weights.remember(path, hashlib.sha256(content).hexdigest())  # as `palaver doctor --check` or a load left it
    one = of(stock(registry), "smollm2")
    assert one.state == "broken"
    assert says in one.reason
    assert one.fix == "palaver models pull smollm2"
    assert registry.is_installed(here)


def test_a_model_of_the_settings_is_listed_though_the_catalogue_has_it_not(tmp_path: Path) -> None:
    mine = tmp_path / "mine.gguf"
    found = stock(Registry(Plugins(), Settings(model=str(mine), models={"chat": "openai:http://127.0.0.1:9/v1#m"})))
    assert of(found, "openai:http://127.0.0.1:9/v1#m").state == "server"
    mine.write_bytes(b"GGUF")
    found = stock(Registry(Plugins(), Settings(model=str(mine))))
    assert (of(found, "mine").state, of(found, "mine").disk_bytes) == ("installed", 4)


def test_a_loaded_model_tells_the_memory_of_its_process(registry: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(HERE))
    registry.models()
    with IsolatedModel(ModelInfo("moody", "faulty"), module="faulty_backend") as model:
        registry._running[model.info.ref] = model
        assert of(stock(registry), "moody").state == "broken"  # no plugin provides its backend
        model.load()
        one = of(stock(registry), "moody")
        assert (one.state, one.engine) == ("loaded", "here")
        assert 5e6 < one.memory_bytes < 5e8


def test_a_loaded_model_tells_where_and_how_it_computes(registry: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    registry.models()
    info = ModelInfo("moody", "faulty")
    told = replace(info, device="cuda:0", dtype="bfloat16", digest="d" * 64, context=77)
    [one] = [stocked(registry, info, [Warm(told, True, 10**6)])]
    assert (one.info.device, one.info.dtype, one.info.context) == ("cuda:0", "bfloat16", 77)
    assert one.info.digest == "d" * 64


def test_what_the_shared_engine_holds_is_loaded_until_it_is_taken_out(
    registry: Registry, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    runtime = Path(tempfile.mkdtemp(prefix="pv"))  # a socket's path has room for about 100 bytes
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(runtime))
    monkeypatch.setenv("PYTHONPATH", str(HERE))
    assert engine_status() == []  # nothing is started to find out
    try:
        model = WarmModel(ModelInfo("moody", "faulty"), module="faulty_backend")
        list(model.stream([Request((Message("user", "hello"),))], GenerationConfig(), threading.Event()))
        one = of(stock(registry), "moody")
        assert (one.state, one.engine, one.memory_bytes > 5e6) == ("loaded", "warm", True)
        assert cli.main(["models", "list", "--json"]) == 0
        listed = json.loads(capsys.readouterr().out)["models"]
        assert next(one for one in listed if one["name"] == "moody")["engine"] == "warm"
        assert not unload_from_engine("faulty:other")
        assert unload_from_engine("faulty:moody")
        assert engine_status() == []
    finally:
        stop_engine()
        shutil.rmtree(runtime)


@pytest.fixture(autouse=True)
def no_engine(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No engine of the user who runs the tests is asked."""
    runtime = Path(tempfile.mkdtemp(prefix="pv"))
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(runtime))
    yield
    shutil.rmtree(runtime, ignore_errors=True)
