"""Causal models in PyTorch: a batch gives what each request gets alone, and that is what transformers gives."""

from __future__ import annotations

import json
import threading
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

from tests.plugins import torch_models as tiny  # noqa: E402

from palaver import Asked, ContextExceeded, GenerationConfig, Model, Prediction, answer_batch  # noqa: E402
from palaver.pieces import Pieces  # noqa: E402
from palaver_torch.sampling import choose  # noqa: E402
from palaver_torch.text import text_of  # noqa: E402

PROMPTS = ["the cat", "the dog ate the cat; the cat sat on", "ü 日本 🎈 the", "mat " * 30, "a", "the mat!"]
GREEDY = GenerationConfig(max_new_tokens=30)


@pytest.fixture(autouse=True)
def exact(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PALAVER_TORCH_DTYPE", "float32")
    monkeypatch.setenv("PALAVER_TORCH_DEVICE", "cpu")
    monkeypatch.setenv("PALAVER_THREADS", "1")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.llama(tmp_path_factory.mktemp("models") / "llama")


@pytest.fixture(params=["kernels", "operations"])
def model(folder: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Model:
    """By our own kernels, and by PyTorch's operations as where those cannot be had."""
    monkeypatch.setenv("PALAVER_TORCH_KERNELS", str(int(request.param == "kernels")))
    return tiny.load(folder)


def generated(folder: Path, prompt: str, **how: object) -> str:
    """What transformers' own `generate` writes."""
    network = transformers.AutoModelForCausalLM.from_pretrained(folder).eval()
    tokenizer = tiny.tokenizer()
    ids = tokenizer(prompt, return_tensors="pt").input_ids
    out = network.generate(ids, attention_mask=torch.ones_like(ids), max_new_tokens=30, **how)
    return str(tokenizer.decode(out[0, ids.shape[1] :], skip_special_tokens=True))


def answered(model: Model, *texts: str) -> list[Prediction]:
    """What an evaluation gets for a batch, in order."""
    asked = [Asked(str(at), tiny.told(text)) for at, text in enumerate(texts)]
    return sorted(answer_batch(model, asked, GREEDY, threading.Event()), key=lambda one: one.key)


def test_greedy_is_what_generate_writes(model: Model, folder: Path) -> None:
    ours = tiny.texts(model, [tiny.told(one) for one in PROMPTS], GREEDY)
    assert ours == [generated(folder, one, do_sample=False) for one in PROMPTS]
    assert len(set(ours)) > 3


@pytest.mark.parametrize("config", [GREEDY, GenerationConfig(max_new_tokens=30, temperature=1.0, top_p=0.9, seed=7)])
def test_a_batch_gives_what_each_request_gets_alone(model: Model, config: GenerationConfig) -> None:
    requests = [tiny.told(one) for one in PROMPTS * 4]
    assert tiny.texts(model, requests, config) == [tiny.texts(model, [one], config)[0] for one in requests]


def test_rows_are_refilled_and_a_common_beginning_is_read_once(
    model: Model, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import palaver_torch.causal as causal

    beginning = "the cat sat on the mat, " * 3
    requests = [tiny.told(beginning + one) for one in PROMPTS]
    alone = [tiny.texts(model, [one], GREEDY)[0] for one in requests]
    monkeypatch.setattr(causal, "_MOST_ROWS", {"cpu": 2})
    assert tiny.texts(model, requests, GREEDY) == alone
    assert alone[0] == generated(folder, beginning + PROMPTS[0], do_sample=False)


@pytest.mark.parametrize("heat", [0.0, 1.0])
def test_rows_that_are_sorted_by_length_on_the_way_write_the_same(
    folder: Path, heat: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    import palaver_torch.causal as causal
    from palaver_torch import decode, slots

    monkeypatch.setenv("PALAVER_TORCH_KERNELS", "0")  # the kernels look at each row's own columns and want no order
    model = tiny.load(folder)
    config = GenerationConfig(max_new_tokens=30, temperature=heat, seed=7, stop=("t",))  # ends rows here and there
    requests = [tiny.told(one + more) for one in PROMPTS for more in ("", " d", " sat")]
    alone = [tiny.texts(model, [one], config)[0] for one in requests]
    monkeypatch.setattr(causal, "_MOST_ROWS", {"cpu": 9})
    for module in (decode, slots):
        monkeypatch.setattr(module, "NEIGHBOURS", 2)
    monkeypatch.setattr(decode, "SORTED_EVERY", 1)
    orders: list[list[int]] = []
    reorder = slots.SlotCache.reorder

    def noted(cache: slots.SlotCache, order: list[int], length: int) -> None:
        orders.append(order)
        reorder(cache, order, length)

    monkeypatch.setattr(slots.SlotCache, "reorder", noted)
    assert tiny.texts(model, requests, config) == alone
    assert orders


def test_a_prompt_longer_than_a_pass_is_read_in_pieces(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from palaver_torch.causal import CausalModel
    from palaver_torch.decode import Limits

    model = tiny.load(folder)
    whole = tiny.texts(model, [tiny.told(PROMPTS[3])], GREEDY)
    monkeypatch.setattr(CausalModel, "_limits", lambda *arguments: Limits(rows=4, prefill=7, burst=3))
    assert tiny.texts(model, [tiny.told(PROMPTS[3])], GREEDY) == whole
    assert tiny.texts(model, [tiny.told(one) for one in PROMPTS], GREEDY)[3] == whole[0]


def test_a_conversation_goes_on_from_what_was_read_before(model: Model) -> None:
    first = tiny.texts(model, [tiny.told("the cat sat on the mat, the dog", "chat")], GREEDY)[0]
    longer = f"the cat sat on the mat, the dog{first} the mat"
    again = tiny.texts(model, [tiny.told(longer, "chat")], GREEDY)
    assert again == tiny.texts(model, [tiny.told(longer, "generate")], GREEDY)


@pytest.mark.parametrize("vocabulary", [49152, 151936, 4096, 1000])
def test_the_best_token_is_the_first_of_the_largest_and_a_nan_is_seen(vocabulary: int) -> None:
    logits = torch.randn(5, vocabulary, generator=torch.Generator().manual_seed(1)).bfloat16()
    logits[1, [70, vocabulary - 1]] = 50.0
    logits[2, vocabulary // 2] = float("nan")
    tokens, sound = choose(logits, GREEDY, None)
    assert tokens.tolist() == logits.argmax(dim=-1).tolist()
    assert tokens[1] == 70
    assert sound.tolist() == [True, True, False, True, True]


def test_a_stream_is_whole_characters_and_sums_to_the_answer(model: Model) -> None:
    pieces = [one.text for one in tiny.deltas(model, [tiny.told("ü 日本")], GREEDY) if one.text]
    assert len(pieces) > 5
    tokenizer = tiny.tokenizer()
    tokens = tokenizer("the ünï 日本 🎈 cat → ok")["input_ids"]
    streamed = Pieces(text_of(tokenizer))
    parts = [streamed.push([token]) for token in tokens]
    assert "".join(parts) + streamed.finish() == "the ünï 日本 🎈 cat → ok"
    assert not any("\ufffd" in part for part in parts)
    assert "" in parts  # half a balloon waited


def test_a_stop_text_ends_the_answer_before_it_also_across_tokens() -> None:
    tokenizer = tiny.tokenizer()
    streamed = Pieces(text_of(tokenizer), stop=["cat sat"])
    parts = [streamed.push([token]) for token in tokenizer("the cat ate, the cat sat on")["input_ids"]]
    assert "".join(parts) == "the cat ate, the "
    assert streamed.stopped
    assert streamed.finish() == ""


def test_a_stop_text_ends_its_own_request_only(model: Model) -> None:
    free = tiny.texts(model, [tiny.told(one) for one in PROMPTS], GREEDY)
    stop = free[0][3:6]
    config = GenerationConfig(max_new_tokens=30, stop=(stop,))
    assert tiny.texts(model, [tiny.told(one) for one in PROMPTS], config) == [one.partition(stop)[0] for one in free]


def test_cancel_is_heard_within_a_token(model: Model) -> None:
    cancel = threading.Event()
    stream = model.stream(
        [tiny.told("the"), tiny.told("a")], GenerationConfig(max_new_tokens=200, stop=("~~",)), cancel
    )
    next(stream)
    cancel.set()
    rest = list(stream)
    assert {one.request: one.finish_reason for one in rest if one.finish_reason} == {0: "cancelled", 1: "cancelled"}
    assert len(rest) <= 4  # a piece that was on its way, and an end, for each


def test_reasons_and_counts(model: Model) -> None:
    last = tiny.deltas(model, [tiny.told("the cat")], GenerationConfig(max_new_tokens=5))[-1]
    assert (last.finish_reason, last.output_tokens) == ("length", 5)
    assert last.prompt_tokens == len(tiny.tokenizer()("the cat")["input_ids"])


def test_a_prompt_beyond_the_window_is_refused_and_in_a_batch_harms_nobody(model: Model) -> None:
    with pytest.raises(ContextExceeded, match=r"The input has [\d,]+ tokens; llama reads at most 256"):
        tiny.deltas(model, [tiny.told("mat, dog; " * 200)], GREEDY)
    both = list(tiny.deltas(model, [tiny.told("mat, dog; " * 200), tiny.told("the")], GREEDY))
    ends = {one.request: one.finish_reason for one in both if one.finish_reason}
    assert ends == {0: "error", 1: "length"}
    found = answered(model, "mat, dog; " * 200, "the")
    assert [(one.code, one.generation.finish_reason) for one in found] == [
        ("context_exceeded", "error"),
        ("", "length"),
    ]


def test_logits_that_are_no_numbers_end_the_answer_with_a_reason(tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    folder = tiny.llama(tmp_path / "nan")
    tensors = load_file(folder / "model.safetensors")
    tensors["model.norm.weight"][0] = float("nan")
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    model = tiny.load(folder)
    last = tiny.deltas(model, [tiny.told("the")], GREEDY)[-1]
    assert last.finish_reason == "error"
    assert "no number" in last.error
    near = answered(model, "mat " * 230, "the")[0]  # a window that is nearly full is no reason to blame the prompt
    assert (near.generation.prompt_tokens, near.code) == (231, "model_failed")


def test_sampling_keeps_to_the_nucleus() -> None:
    logits = torch.log(torch.tensor([[0.5, 0.3, 0.15, 0.05]])).repeat(1000, 1)
    random = (torch.arange(1000) + 0.5) / 1000
    tokens, sound = choose(logits, GenerationConfig(temperature=1.0, top_p=0.7), random)
    # 0.5 does not reach 0.7, 0.5 + 0.3 does: two tokens, 5/8 and 3/8 of the draws
    assert torch.bincount(tokens).tolist() == [625, 375]
    assert bool(sound.all())
    tokens, _ = choose(logits, GenerationConfig(temperature=1.0, top_k=1), random)
    assert set(tokens.tolist()) == {0}
    assert torch.bincount(choose(logits, GenerationConfig(temperature=1.0), random)[0]).tolist() == [500, 300, 150, 50]


def test_a_chat_template_is_used_and_one_without_system_messages_gets_them_in_the_first(tmp_path: Path) -> None:
    from palaver import Message, Request

    folder = tiny.llama(tmp_path / "chat")
    template = (
        "{% for m in messages %}{% if m.role == 'system' %}{{ raise_exception('no system') }}{% endif %}"
        "<{{ m.content }}>{% endfor %}"
    )
    config = json.loads((folder / "tokenizer_config.json").read_text("utf-8"))
    (folder / "tokenizer_config.json").write_text(json.dumps(config | {"chat_template": template}), "utf-8")
    messages = (Message("system", "the cat"), Message("user", "sat"))
    last = tiny.deltas(tiny.load(folder), [Request(messages)], GenerationConfig(max_new_tokens=1))[-1]
    assert last.prompt_tokens == len(tiny.tokenizer()("<the cat\n\nsat>")["input_ids"])


def test_a_sliding_window_is_kept_to(tmp_path: Path) -> None:
    torch.manual_seed(0)
    config = transformers.MistralConfig(
        vocab_size=tiny.VOCABULARY,
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        sliding_window=8,
        eos_token_id=tiny.EOS,
        pad_token_id=tiny.PAD,
        initializer_range=0.4,
    )
    folder = tiny.saved(tmp_path / "mistral", transformers.MistralForCausalLM(config))
    ours = tiny.texts(tiny.load(folder), [tiny.told(one) for one in PROMPTS], GREEDY)
    assert ours == [generated(folder, one, do_sample=False) for one in PROMPTS]
