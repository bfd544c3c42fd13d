"""Causal models in PyTorch tell how likely they held each token, where somebody asks, and else compute no more."""

from __future__ import annotations

from pathlib import Path

import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

from tests.plugins import gguf_models as small  # noqa: E402
from tests.plugins import torch_models as tiny  # noqa: E402
from tests.plugins.test_torch import PROMPTS  # noqa: E402

from palaver import GenerationConfig, Model  # noqa: E402
from palaver_torch import causal, decode, graphs, stream  # noqa: E402
from palaver_torch.backend import Torch  # noqa: E402
from palaver_torch.device import Place  # noqa: E402
from palaver_torch.llama import Llama  # noqa: E402

REQUESTS = [tiny.told(one) for one in PROMPTS]
GREEDY = GenerationConfig(max_new_tokens=24)
HOT = GenerationConfig(max_new_tokens=24, temperature=0.7, top_p=0.9, seed=5)
CONFIGS = pytest.mark.parametrize("config", [GREEDY, HOT], ids=["greedy", "sampled"])


@pytest.fixture(autouse=True)
def exact(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PALAVER_TORCH_DTYPE", "float32")
    monkeypatch.setenv("PALAVER_TORCH_DEVICE", "cpu")
    monkeypatch.setenv("PALAVER_THREADS", "1")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.llama(tmp_path_factory.mktemp("models") / "llama")


def by_transformers(folder: Path, texts: list[list[int]]) -> list[list[float]]:
    """What a plain forward pass over prompt and answer says of each of the answer's tokens."""
    network, made = transformers.AutoModelForCausalLM.from_pretrained(folder), tiny.tokenizer()
    found = []
    for prompt, text in zip(PROMPTS, texts, strict=True):
        start = len(made(prompt)["input_ids"])
        tokens = torch.tensor([[*made(prompt)["input_ids"], *text]])
        with torch.inference_mode():
            chances = torch.log_softmax(network(tokens).logits[0].float(), dim=-1)
        found.append([float(chances[at - 1, tokens[0, at]]) for at in range(start, tokens.shape[1])])
    return found


def tokens_of(model: Model, config: GenerationConfig) -> list[list[int]]:
    """The tokens that a model writes for each request, the end token left out."""
    assert isinstance(model, causal.CausalModel) and model._writer is not None
    prompts = model._prompts(REQUESTS)
    limits = model._limits(config, prompts)
    jobs = [model._job(at, prompt, config, limits) for at, prompt in enumerate(prompts)]
    found: list[list[int]] = [[] for _ in jobs]
    for one in model._writer.write(jobs, config, limits, causal.threading.Event(), stopped=set()):
        found[one.index] += one.tokens
    return found


@CONFIGS
def test_each_token_has_the_probability_that_the_model_gives_it_alone_and_in_a_batch(
    folder: Path, config: GenerationConfig
) -> None:
    model = tiny.load(folder)
    expected = by_transformers(folder, tokens_of(model, config))
    together = tiny.sure(model, REQUESTS, config)
    assert [len(one) for one in together] == [len(one) for one in expected] and sum(map(len, together)) > 24
    for ours, theirs in zip(together, expected, strict=True):
        assert ours == pytest.approx(theirs, abs=1e-4)
    for request, ours in zip(REQUESTS, together, strict=True):
        assert tiny.sure(model, [request], config)[0] == pytest.approx(ours, abs=1e-4)


@CONFIGS
def test_what_writes_on_a_card_tells_the_same(
    folder: Path, config: GenerationConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    def on_card(network: Llama, place: Place, ends: frozenset[int]) -> graphs.CardWriter:
        return graphs.CardWriter(network, ends=ends, device=place.device)

    expected = tiny.sure(tiny.load(folder), REQUESTS * 2, config)
    monkeypatch.setattr(causal, "writer_of", on_card)
    for ours, known in zip(tiny.sure(tiny.load(folder), REQUESTS * 2, config), expected, strict=True):
        assert ours == pytest.approx(known, abs=1e-4)


def test_a_stream_from_four_bits_tells_it_of_guessed_tokens_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, found = small.written(tmp_path / "a.gguf"), []
    for guesses in ("0", "1"):
        monkeypatch.setenv("PALAVER_TORCH_SPECULATE", guesses)
        info = Torch().resolve(f"{path}@4bit")
        assert info is not None
        found.append(tiny.sure(Torch().load(info), [tiny.told(PROMPTS[0] * 4)], GREEDY)[0])
    assert found[0] == found[1]
    assert len(found[0]) == 24 and max(found[0]) <= 0


@pytest.mark.parametrize("count", [1, len(REQUESTS)])
def test_where_nobody_asks_nothing_is_computed(folder: Path, count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*given: object) -> None:
        raise AssertionError("nobody asked")

    for module in (decode, stream, graphs):
        monkeypatch.setattr(module, "log_probability", never)
    assert not any(one.logprobs for one in tiny.deltas(tiny.load(folder), REQUESTS[:count], GREEDY))
