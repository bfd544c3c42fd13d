"""On a graphics card: what is written there is what a processor writes, and kernels give what plain PyTorch gives."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")
if not torch.cuda.is_available():
    pytest.skip("needs a graphics card", allow_module_level=True)

from tests.plugins import torch_models as tiny  # noqa: E402
from tests.plugins.test_torch import PROMPTS  # noqa: E402
from tests.plugins.test_torch_seq2seq import TEXTS, searching  # noqa: E402
from tests.plugins.test_torch_span import folder as bert  # noqa: E402, F401  # a fixture
from tests.plugins.train_runs import small_run, trained  # noqa: E402

from palaver import GenerationConfig, Model  # noqa: E402
from palaver_torch.card import CardLlama, Kept, Operations, Plain, Reading, fused  # noqa: E402
from palaver_torch.decode import Limits  # noqa: E402
from palaver_torch.graphs import CardWriter  # noqa: E402
from palaver_torch.llama import Dense, Embedding, Layer, Llama, Shape  # noqa: E402
from palaver_torch.slots import Segment  # noqa: E402
from palaver_torch.span import SpanModel  # noqa: E402
from palaver_train.events import Interval  # noqa: E402

CARD = torch.device("cuda")
GREEDY = GenerationConfig(max_new_tokens=30)
SAMPLED = GenerationConfig(max_new_tokens=30, temperature=1.0, top_k=20, seed=7)
NUCLEUS = GenerationConfig(max_new_tokens=30, temperature=1.0, top_p=0.9, seed=7)
REQUESTS = [tiny.told(one) for one in PROMPTS]
Load = Callable[[str], Model]


@pytest.fixture
def load(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Load:
    """The same tiny model, on the device of that name."""
    folder = tiny.llama(tmp_path / "llama")
    monkeypatch.setenv("PALAVER_TORCH_DTYPE", "float32")

    def found(device: str) -> Model:
        monkeypatch.setenv("PALAVER_TORCH_DEVICE", device)
        return tiny.load(folder)

    return found


def writer(model: Model) -> CardWriter:
    found = model._writer  # type: ignore[attr-defined]
    assert isinstance(found, CardWriter)
    return found


@pytest.mark.parametrize("config", [GREEDY, SAMPLED, NUCLEUS], ids=["greedy", "top-k", "nucleus"])
def test_a_batch_and_each_alone_are_what_the_processor_writes(load: Load, config: GenerationConfig) -> None:
    expected = tiny.texts(load("cpu"), REQUESTS * 3, config)
    model = load("cuda")
    assert tiny.texts(model, REQUESTS * 3, config) == expected
    assert [tiny.texts(model, [one], config)[0] for one in REQUESTS] == expected[: len(REQUESTS)]
    assert writer(model)._graphs.found  # steps were captured, not run one by one


def test_rows_are_refilled_and_a_common_beginning_is_copied(load: Load, monkeypatch: pytest.MonkeyPatch) -> None:
    requests = [tiny.told("the cat sat on the mat, " * 3 + one) for one in PROMPTS * 2]
    expected = tiny.texts(load("cpu"), requests, GREEDY)
    monkeypatch.setattr(CardWriter, "limits", lambda *given: Limits(rows=3, prefill=50, burst=4))
    assert tiny.texts(load("cuda"), requests, GREEDY) == expected


def test_a_conversation_grows_and_a_batch_comes_between(load: Load) -> None:
    model, known = load("cuda"), load("cpu")
    said = "the cat sat on the mat, the dog"
    for _ in range(3):
        answers = [tiny.texts(one, [tiny.told(said, "chat")], GREEDY)[0] for one in (model, known)]
        assert answers[0] == answers[1]
        said += answers[0] + " the mat, the dog ate"
        assert tiny.texts(model, REQUESTS, GREEDY) == tiny.texts(known, REQUESTS, GREEDY)


def test_a_cancel_is_heard_and_the_next_call_works(load: Load) -> None:
    model, cancel = load("cuda"), threading.Event()
    stream = model.stream(REQUESTS, GenerationConfig(max_new_tokens=150, stop=("~~",)), cancel)
    next(stream)
    cancel.set()
    assert {one.request for one in stream if one.finish_reason == "cancelled"} == set(range(len(PROMPTS)))
    assert tiny.texts(model, REQUESTS, GREEDY) == tiny.texts(load("cpu"), REQUESTS, GREEDY)


def made(dtype: torch.dtype, *, has_bias: bool, head: int) -> Llama:
    torch.manual_seed(0)
    shape = Shape(2, 40, 6, 2, head, 1e-5, dtype)
    width, count = shape.width, (6 + 4) * head

    def numbers(*size: int) -> torch.Tensor:
        return (torch.randn(*size, device=CARD) * 0.3).to(dtype)

    def scale() -> torch.Tensor:
        return (torch.rand(width, device=CARD) + 0.5).repeat(2)

    layers = [
        Layer(
            scale(),
            Dense(numbers(count, width), numbers(count) if has_bias else None),
            Dense(numbers(width, 6 * head), numbers(width) if has_bias else None),
            scale(),
            Dense(numbers(2 * 72, width)),
            Dense(numbers(width, 72)),
        )
        for _ in range(shape.layers)
    ]
    turning = 10000.0 ** -(torch.arange(0, head, 2, device=CARD).double() / head)
    return Llama(shape, Embedding(numbers(97, width)), layers, scale(), Dense(numbers(97, width)), turning)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize(("has_bias", "head"), [(False, 64), (True, 12)])
@torch.inference_mode()
def test_kernels_give_what_plain_pytorch_gives(dtype: torch.dtype, has_bias: bool, head: int) -> None:
    model = made(dtype, has_bias=has_bias, head=head)
    model.reach(256)
    chosen = fused(model, CARD)
    assert not isinstance(chosen, Plain), "Triton is there and is not used"
    pair: list[tuple[Operations, Kept]] = [(Plain(), Kept(model.shape, CARD)), (chosen, Kept(model.shape, CARD))]
    for _, kept in pair:
        kept.reserve(150, 190)
    pieces = (Segment(0, 0, 130), Segment(2, 0, 5), Segment(5, 0, 66))
    prompts = Reading.of(pieces, CARD)
    passes = [(201, prompts, torch.tensor([129, 134, 200], device=CARD))]
    more = Reading.of((Segment(2, 5, 9),), CARD)
    passes.append((9, more, torch.tensor([8], device=CARD)))
    for rows in (1, 3, 5, 40, 100):  # a vector, few, in sixteen parts, in four, in one
        slots, positions = torch.arange(rows, device=CARD), torch.zeros(rows, dtype=torch.long, device=CARD)
        for slot, position in ((0, 130), (2, 14), (5, 66)):
            positions[slots == slot] = position
        passes.append((rows, Reading(slots, positions), None))
    # float16 has 11 bits, bfloat16 8, and two layers add up
    most = {torch.float32: 1e-5, torch.float16: 1e-2, torch.bfloat16: 5e-2}[dtype]
    for count, at, ends in passes:
        tokens = torch.randint(0, 97, (count,), device=CARD)
        one, two = (CardLlama(model, do).logits(tokens, at, kept, ends).float() for do, kept in pair)
        assert float((one - two).norm() / one.norm()) < most


@pytest.mark.parametrize("kind", ["marian", "bart", "t5"])
def test_beams_of_a_card_are_those_of_a_processor(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PALAVER_TORCH_DTYPE", "float32")
    folder, _ = searching(tmp_path, kind, num_beams=3)
    found = []
    for device in ("cpu", "cuda"):
        monkeypatch.setenv("PALAVER_TORCH_DEVICE", device)
        requests = [tiny.given("summarize", text=one) for one in TEXTS]
        found.append(tiny.texts(tiny.load(folder), requests, GenerationConfig(max_new_tokens=24)))
    assert found[0] == found[1]


def test_a_model_without_kernels_of_ours_writes_what_it_writes_on_a_processor(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.manual_seed(0)
    sizes = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4}
    tokens = {"vocab_size": tiny.VOCABULARY, "eos_token_id": tiny.EOS, "pad_token_id": tiny.PAD}
    config = transformers.MistralConfig(
        **sizes, **tokens, num_key_value_heads=2, sliding_window=8, initializer_range=0.4
    )
    folder = tiny.saved(tmp_path / "mistral", transformers.MistralForCausalLM(config))
    monkeypatch.setenv("PALAVER_TORCH_DTYPE", "float32")
    found = []
    for device in ("cpu", "cuda"):
        monkeypatch.setenv("PALAVER_TORCH_DEVICE", device)
        found.append(tiny.texts(tiny.load(folder), REQUESTS, GREEDY))
    assert found[0] == found[1]


def test_a_span_is_found_where_a_processor_finds_it(
    bert: Path,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PALAVER_TORCH_DTYPE", "float32")
    found = []
    for device in ("cpu", "cuda"):
        monkeypatch.setenv("PALAVER_TORCH_DEVICE", device)
        model = tiny.load(bert)
        assert isinstance(model, SpanModel)
        found.append(model.answer("who ?", "filler " * 150 + "the answer is the red mat . " + "filler " * 30))
    assert found[0].text == found[1].text == "red mat"
    assert found[0].score == pytest.approx(found[1].score, rel=1e-4)


@pytest.mark.parametrize("kind", ["lm", "seq2seq", "autoencoder"])
def test_training_on_a_card_lowers_the_loss_as_on_a_processor(
    kind: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    losses = []
    for device in ("cpu", "cuda"):
        monkeypatch.setenv("PALAVER_TORCH_DEVICE", device)
        (tmp_path / device).mkdir()
        run = small_run(kind, tmp_path / device, precision="float32")
        told = trained(run, tmp_path / device / "run")
        losses.append([one.train_loss for one in told if isinstance(one, Interval)])
    assert len(losses[1]) == 4
    assert losses[0] == pytest.approx(losses[1], rel=1e-2)
