"""What the torch backend refuses: code, pickles, damage. A canary file shows whether anything ran."""

from __future__ import annotations

import dataclasses
import json
import os
import pickle
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

from tests.plugins import torch_models as tiny  # noqa: E402

from palaver import GenerationConfig, ModelFailed, ModelInfo, NeedsDownload  # noqa: E402
from palaver.isolated import IsolatedModel  # noqa: E402
from palaver_torch import palaver_models  # noqa: E402
from palaver_torch.backend import Torch  # noqa: E402
from palaver_torch.convert import convert  # noqa: E402
from palaver_torch.loader import load  # noqa: E402


@pytest.fixture(autouse=True)
def exact(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PALAVER_TORCH_DTYPE", "float32")
    monkeypatch.setenv("PALAVER_TORCH_DEVICE", "cpu")
    monkeypatch.setenv("PALAVER_THREADS", "1")


class Evil:
    """Unpickled, it leaves a file behind."""

    def __init__(self, canary: Path) -> None:
        self.canary = canary

    def __reduce__(self) -> tuple[object, ...]:
        return (os.system, (f"touch '{self.canary}'",))


def test_a_pickle_is_refused_with_the_command_that_converts_it(tmp_path: Path) -> None:
    folder, canary = tiny.llama(tmp_path / "evil"), tmp_path / "canary"
    (folder / "model.safetensors").unlink()
    (folder / "pytorch_model.bin").write_bytes(pickle.dumps(Evil(canary)))
    with pytest.raises(ModelFailed, match="are a pickle") as caught:
        tiny.load(folder)
    assert caught.value.fix.startswith("python -m palaver_torch.convert ")
    assert not canary.exists()


@pytest.mark.parametrize("form", ["raw", "torch"])
def test_an_evil_pickle_is_not_converted_and_nothing_of_it_runs(tmp_path: Path, form: str) -> None:
    source, canary = tmp_path / "pytorch_model.bin", tmp_path / "canary"
    if form == "raw":
        source.write_bytes(pickle.dumps(Evil(canary)))
    else:
        torch.save({"weight": Evil(canary)}, source)
    with pytest.raises(ModelFailed, match="cannot be converted"):
        convert(source, tmp_path / "model.safetensors")
    assert not canary.exists()
    assert not (tmp_path / "model.safetensors").exists()


def test_a_converted_pickle_answers_like_the_original(tmp_path: Path) -> None:
    from safetensors.torch import load_file

    from palaver import GenerationConfig

    folder = tiny.llama(tmp_path / "tied", tie_word_embeddings=True)
    before = tiny.texts(tiny.load(folder), [tiny.told("the cat")], GenerationConfig(max_new_tokens=20))
    tensors = load_file(folder / "model.safetensors")
    tensors["lm_head.weight"] = tensors["model.embed_tokens.weight"]  # two names, one memory
    (folder / "model.safetensors").unlink()
    torch.save(tensors, folder / "pytorch_model.bin")
    done = subprocess.run(
        [sys.executable, "-m", "palaver_torch.convert", str(folder)], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    assert tiny.texts(tiny.load(folder), [tiny.told("the cat")], GenerationConfig(max_new_tokens=20)) == before


@pytest.mark.parametrize(
    ("file", "extra"),
    [
        ("config.json", {"auto_map": {"AutoModelForCausalLM": "evil.Evil"}}),
        ("config.json", {"text_config": {"auto_map": {"AutoConfig": "evil.Evil"}}}),
        ("config.json", {"_attn_implementation": "somebody/kernels"}),
        ("tokenizer_config.json", {"auto_map": {"AutoTokenizer": ["evil.Evil", None]}}),
        ("generation_config.json", {"trust_remote_code": True}),
    ],
)
def test_a_folder_that_wants_to_run_code_is_refused(tmp_path: Path, file: str, extra: dict[str, object]) -> None:
    folder, canary = tiny.llama(tmp_path / "evil"), tmp_path / "canary"
    (folder / "evil.py").write_text(f"open({str(canary)!r}, 'w')\nclass Evil: pass\n", "utf-8")
    known = json.loads((folder / file).read_text("utf-8"))
    (folder / file).write_text(json.dumps(known | extra), "utf-8")
    with pytest.raises(ModelFailed, match="wants to run code of its own"):
        tiny.load(folder)
    assert not canary.exists()


@pytest.mark.parametrize("length", [0, 7, 300, 5000])
def test_cut_weights_are_refused(tmp_path: Path, length: int) -> None:
    folder = tiny.llama(tmp_path / "cut")
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:length])
    with pytest.raises(ModelFailed, match="cannot be loaded"):
        tiny.load(folder)


def test_missing_weights_are_not_made_up(tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    folder = tiny.llama(tmp_path / "lacking")
    tensors = load_file(folder / "model.safetensors")
    del tensors["model.layers.1.mlp.up_proj.weight"]
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ModelFailed, match=r"lacks 1 of its weights \(model.layers.1.mlp.up_proj.weight"):
        tiny.load(folder)


def test_a_changed_byte_is_found_where_there_is_a_manifest(tmp_path: Path) -> None:
    from palaver import weights

    folder = tiny.llama(tmp_path / "flipped")
    path = folder / "model.safetensors"
    entry = weights.Entry.now(path.name, weights.hash_file(path), path.stat().st_size, "here")
    weights.write_manifest(folder, {path.name: entry})
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    with pytest.raises(ModelFailed, match="is damaged"):
        tiny.load(folder)


def test_a_changed_tokenizer_is_found_too_and_the_remedy_names_the_model(tmp_path: Path) -> None:
    """A tokenizer that was meddled with turns every answer into another one, and nobody would see it."""
    from palaver import weights

    folder = tiny.llama(tmp_path / "hf--org--tiny")
    names = ("config.json", "model.safetensors", "tokenizer.json")
    entries = [weights.Entry.now(one, weights.hash_file(folder / one), 0, "here") for one in names]
    weights.write_manifest(folder, {one.name: one for one in entries})
    info = dataclasses.replace(Torch().resolve(str(folder)) or pytest.fail("not resolved"), name="hf:org/tiny")
    told = load(info, folder).info.digest
    assert told == f"{entries[1].sha256} float32"  # in other numbers the same weights answer otherwise
    path = folder / "tokenizer.json"
    path.write_text(path.read_text("utf-8").replace("the", "teh"), "utf-8")
    with pytest.raises(ModelFailed, match=r"tokenizer\.json is damaged") as caught:
        load(dataclasses.replace(info, digest=told), folder)  # as after a crash: what loading told is known
    assert caught.value.fix == "palaver models pull hf:org/tiny"


def test_an_index_may_not_lead_out_of_its_folder(tmp_path: Path) -> None:
    folder = tiny.llama(tmp_path / "index")
    (folder / "model.safetensors").rename(tmp_path / "outside.safetensors")
    index = {"weight_map": {"lm_head.weight": "../outside.safetensors"}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index), "utf-8")
    with pytest.raises(ModelFailed, match="which its index names"):
        tiny.load(folder)


def test_an_architecture_without_a_task_is_refused_by_name(tmp_path: Path) -> None:
    folder = tiny.llama(tmp_path / "odd")
    config = json.loads((folder / "config.json").read_text("utf-8"))
    (folder / "config.json").write_text(json.dumps(config | {"architectures": ["ViTForImageClassification"]}), "utf-8")
    with pytest.raises(ModelFailed, match="ViTForImageClassification"):
        tiny.load(folder)


@pytest.mark.parametrize("name", ["hf:../../etc", "hf:org", "hf:-x/y", "hf:a/b/c", "hf:a/\0", "hf:http://x/y"])
def test_a_hub_name_is_only_ever_a_name(name: str) -> None:
    with pytest.raises(ModelFailed, match="no name of the hub"):
        Torch().resolve(name)


def test_a_hub_model_comes_from_the_cache_or_says_that_it_must_be_fetched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    repository = tmp_path / "models--org--tiny"
    tiny.llama(repository / "snapshots" / "0123456789abcdef")
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text("0123456789abcdef")
    info = Torch().resolve("hf:org/tiny")
    assert info is not None and "chat" in info.tasks
    assert Torch().load(info).info.dtype == "float32"
    absent = Torch().resolve("hf:org/absent")
    assert absent is not None
    with pytest.raises(NeedsDownload, match="hf:org/absent is not on this machine"):
        Torch().load(absent)


def test_a_catalogue_model_that_was_not_pulled_says_how_to() -> None:
    info = next(one for one in palaver_models() if one.name == "opus-mt-en-fr")
    with pytest.raises(NeedsDownload) as caught:
        Torch().load(info)
    assert caught.value.fix == "palaver models pull opus-mt-en-fr"
    assert sum(part.length or 0 for part in info.files[0].parts) == info.files[0].size


def test_in_its_own_process_it_says_where_it_computes_and_survives_a_crash_there(tmp_path: Path) -> None:
    info = Torch().resolve(str(tiny.llama(tmp_path / "llama")))
    assert isinstance(info, ModelInfo)
    with IsolatedModel(info, module="palaver_torch") as model:
        assert list(model.stream([], GenerationConfig(), threading.Event())) == []  # as `palaver models load` does
        assert model.is_ready and "Traceback" not in model.log.read_text("utf-8")
        assert tiny.deltas(model, [tiny.told("the")], GenerationConfig(max_new_tokens=3))[-1].output_tokens == 3
        assert (model.info.device, model.info.dtype, model.info.context) == ("cpu", "float32", 256)
        assert model.info.digest.endswith(" float32")
        stream = model.stream([tiny.told("the")], GenerationConfig(max_new_tokens=250), threading.Event())
        assert model.pid is not None and next(stream).text
        os.kill(model.pid, signal.SIGSEGV)
        begun = time.monotonic()
        with pytest.raises(ModelFailed, match="SIGSEGV"):
            list(stream)
        assert time.monotonic() - begun < 1
        assert tiny.deltas(model, [tiny.told("the")], GenerationConfig(max_new_tokens=3))[-1].output_tokens == 3


def test_a_model_of_the_hub_that_is_not_here_is_refused_with_the_command_that_fetches_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    absent = Torch().resolve("hf:org/absent")
    assert absent is not None and "models pull" in absent.description
    with pytest.raises(NeedsDownload, match="hf:org/absent is not on this machine yet") as caught:
        Torch().load(absent)
    assert caught.value.fix == "palaver models pull hf:org/absent"


def test_memory_is_estimated_in_the_precision_that_is_computed_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tiny.llama(tmp_path / "llama")
    size = (folder / "model.safetensors").stat().st_size

    def weights_of(stored: str, computed: str) -> float:
        config = json.loads((folder / "config.json").read_text("utf-8"))
        (folder / "config.json").write_text(json.dumps(config | {"dtype": stored}), "utf-8")
        monkeypatch.setenv("PALAVER_TORCH_DTYPE", computed)
        info = Torch().resolve(str(folder))
        assert info is not None
        return (info.memory - 250_000_000) / (1.25 * size)

    assert weights_of("float32", "float32") == pytest.approx(1, rel=0.01)
    assert weights_of("bfloat16", "float32") == pytest.approx(2, rel=0.01)
    assert weights_of("float32", "bfloat16") == pytest.approx(0.5, rel=0.01)
