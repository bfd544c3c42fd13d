"""What writes on a graphics card, run on the processor in plain PyTorch: batches, refilled slots, bursts, cancels."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

from tests.plugins import torch_models as tiny  # noqa: E402
from tests.plugins.test_torch import PROMPTS  # noqa: E402

from palaver import GenerationConfig, Model  # noqa: E402
from palaver_torch import causal, graphs  # noqa: E402
from palaver_torch.card import blocks_of  # noqa: E402
from palaver_torch.decode import Limits  # noqa: E402
from palaver_torch.device import Place  # noqa: E402
from palaver_torch.llama import Llama  # noqa: E402
from palaver_torch.slots import Segment  # noqa: E402

GREEDY = GenerationConfig(max_new_tokens=30)
REQUESTS = [tiny.told(one) for one in PROMPTS]


@pytest.fixture(autouse=True)
def exact(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PALAVER_TORCH_DTYPE", "float32")
    monkeypatch.setenv("PALAVER_TORCH_DEVICE", "cpu")
    monkeypatch.setenv("PALAVER_THREADS", "1")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.llama(tmp_path_factory.mktemp("models") / "llama")


@pytest.fixture
def known(folder: Path) -> Model:
    """The same model as `model`, written with as on a processor."""
    return tiny.load(folder)


@pytest.fixture
def model(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Model:
    def on_card(network: Llama, place: Place, ends: frozenset[int]) -> graphs.CardWriter:
        return graphs.CardWriter(network, ends=ends, device=place.device)

    with monkeypatch.context() as patch:
        patch.setattr(causal, "writer_of", on_card)
        return tiny.load(folder)


def small(monkeypatch: pytest.MonkeyPatch, rows: int, prefill: int = 512, burst: int = 3) -> None:
    monkeypatch.setattr(graphs.CardWriter, "limits", lambda *given: Limits(rows, prefill, burst))


@pytest.mark.parametrize("config", [GREEDY, GenerationConfig(max_new_tokens=30, temperature=1.0, top_p=0.9, seed=7)])
def test_a_batch_is_what_the_processor_writes(model: Model, known: Model, config: GenerationConfig) -> None:
    expected = tiny.texts(known, REQUESTS * 3, config)
    assert tiny.texts(model, REQUESTS * 3, config) == expected
    assert [tiny.texts(model, [one], config)[0] for one in REQUESTS] == expected[: len(REQUESTS)]


@pytest.mark.parametrize("prefill", [7, 512])
def test_rows_are_refilled_and_prompts_read_in_pieces(
    model: Model, known: Model, monkeypatch: pytest.MonkeyPatch, prefill: int
) -> None:
    small(monkeypatch, rows=2, prefill=prefill)
    assert tiny.texts(model, REQUESTS * 2, GREEDY) == tiny.texts(known, REQUESTS * 2, GREEDY)


def test_what_all_prompts_begin_with_is_read_once_and_copied(
    model: Model, known: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    small(monkeypatch, rows=3)
    requests = [tiny.told("the cat sat on the mat, " * 3 + one) for one in PROMPTS]
    assert tiny.texts(model, requests, GREEDY) == tiny.texts(known, requests, GREEDY)


def test_a_conversation_goes_on_from_what_was_read_before_also_when_it_grows(model: Model, known: Model) -> None:
    said = "the cat sat on the mat, the dog"
    for _ in range(3):
        answers = [tiny.texts(one, [tiny.told(said, "chat")], GREEDY)[0] for one in (model, known)]
        assert answers[0] == answers[1]
        said += answers[0] + " the mat, the dog ate"
    tiny.texts(model, REQUESTS, GREEDY)  # a batch takes the slots
    assert tiny.texts(model, [tiny.told(said, "chat")], GREEDY) == tiny.texts(known, [tiny.told(said, "chat")], GREEDY)


def test_a_stop_text_ends_its_own_request_only(model: Model, known: Model) -> None:
    free = tiny.texts(known, REQUESTS, GREEDY)
    config = GenerationConfig(max_new_tokens=30, stop=(free[0][3:6],))
    assert tiny.texts(model, REQUESTS, config) == [one.partition(config.stop[0])[0] for one in free]


def test_a_cancel_ends_every_request_within_a_burst(model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    small(monkeypatch, rows=4)
    cancel = threading.Event()
    stream = model.stream(REQUESTS, GenerationConfig(max_new_tokens=150, stop=("~~",)), cancel)
    next(stream)
    cancel.set()
    rest = list(stream)
    assert {one.request for one in rest if one.finish_reason == "cancelled"} == set(range(len(PROMPTS)))
    assert max(one.output_tokens or 0 for one in rest) <= 4  # the first token, and a burst that was on its way


def test_many_texts_come_whole_and_a_long_silence_is_broken(model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(causal, "_MANY", 2)
    pieces = [one.text for one in tiny.deltas(model, REQUESTS, GREEDY)]
    assert len(pieces) == len(REQUESTS)
    monkeypatch.setattr(causal, "_QUIET", -1.0)
    told = tiny.deltas(model, REQUESTS, GREEDY)
    assert len(told) > len(REQUESTS)
    assert "".join(one.text for one in told if one.request == 0) in pieces


def test_rows_are_as_many_as_memory_takes(model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    writer = model._writer  # type: ignore[attr-defined]
    # 2 layers of 2 key heads of 16 numbers, keys and values, 4 bytes each: 512 a position; 100 and a burst make 128.
    monkeypatch.setattr(graphs, "cache_budget", lambda device: 52 * 512 * 128)
    assert writer.limits(100, 1000).rows == 50  # two slots are no row's
    monkeypatch.setattr(graphs, "cache_budget", lambda device: 10**12)
    assert writer.limits(100, 10_000).rows == 4096
    assert writer.limits(10**12, 1).rows == 1


def test_blocks_of_a_prompt_say_where_they_begin() -> None:
    pieces = (Segment(slot=3, start=0, length=5), Segment(slot=1, start=7, length=2))
    assert blocks_of(pieces, 4) == [(0, 4, 3, 0), (4, 1, 3, 4), (5, 2, 1, 7)]
