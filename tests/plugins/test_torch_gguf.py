"""GGUF files with PyTorch: the weights are those of the file, and guessing never changes the text."""

from __future__ import annotations

import mmap
import struct
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")

import torch
import transformers
from tests.plugins import gguf_models as small
from tests.plugins import torch_models as tiny

from palaver import GenerationConfig, Message, Model, ModelFailed, ModelFile, ModelInfo, Request
from palaver_torch import blocks, gguf
from palaver_torch.backend import Torch
from palaver_torch.copying import Copier
from palaver_torch.gguf_llama import Maker
from palaver_torch.stream import Streamer

PROMPTS = ["the cat sat", "a b c d e f g", "the dog ate the cat; the dog ate the cat; the dog ate the"]
GREEDY = GenerationConfig(max_new_tokens=40)


@pytest.fixture(autouse=True)
def one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PALAVER_THREADS", "1")


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small.written(tmp_path_factory.mktemp("gguf") / "small.gguf")


def loaded(path: Path, form: str = "4bit") -> Model:
    info = Torch().resolve(f"{path}@{form}")
    assert info is not None
    return Torch().load(info)


def writer_of(model: Model) -> Streamer:
    found: Any = model
    assert isinstance(found._writer, Streamer)
    return found._writer


def by_definition(kind: int, data: bytes) -> list[float]:
    """One block, weight by weight, as ggml's quants describe it."""

    def half(at: int) -> float:
        return float(struct.unpack_from("<e", data, at)[0])

    if kind in (small.Q4_0, small.Q4_1):
        codes = data[-16:]
        low_first = [code & 15 for code in codes] + [code >> 4 for code in codes]
        return [half(0) * code + (half(2) if kind == small.Q4_1 else -8 * half(0)) for code in low_first]
    if kind == small.Q8_0:
        return [half(0) * code for code in struct.unpack_from("<32b", data, 2)]
    if kind == small.Q4_K:
        packed, found = data[4:16], []
        for at in range(8):
            if at < 4:
                scale, least = packed[at] & 63, packed[at + 4] & 63
            else:
                scale = (packed[at + 4] & 15) | (packed[at - 4] >> 6 << 4)
                least = (packed[at + 4] >> 4) | (packed[at] >> 6 << 4)
            codes = data[16 + at // 2 * 32 : 48 + at // 2 * 32]
            found += [half(0) * scale * (c >> 4 if at % 2 else c & 15) - half(2) * least for c in codes]
        return found
    found = []
    for at in range(256):
        part, line, place = at // 128, at % 128 // 32, at % 32
        low = data[part * 64 + (line % 2) * 32 + place] >> (4 if line > 1 else 0) & 15
        high = data[128 + part * 32 + place] >> (2 * line) & 3
        scale = struct.unpack_from("<b", data, 192 + at // 16)[0]
        found.append(half(208) * scale * ((low | high << 4) - 32))
    return found


@pytest.mark.parametrize("kind", [small.Q4_0, small.Q4_1, small.Q8_0, small.Q4_K, small.Q6_K])
def test_blocks_are_read_as_their_format_defines_them(kind: int) -> None:
    data = small.random_blocks(kind, 3, 512, torch.Generator().manual_seed(1))
    mapped = mmap.mmap(-1, len(data))
    mapped.write(data)
    found = blocks.numbers(gguf.File({}, {}, mapped), gguf.Tensor(kind, (3, 512), 0))
    size = blocks._BYTES[kind][1]
    expected = [one for at in range(0, len(data), size) for one in by_definition(kind, data[at : at + size])]
    assert torch.allclose(found.flatten(), torch.tensor(expected), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("architecture", ["llama", "qwen2"])
def test_in_plain_numbers_it_writes_what_generate_writes_with_the_same_weights(
    architecture: str, tmp_path: Path
) -> None:
    path = small.written(tmp_path / "a.gguf", architecture)
    folder = small.as_checkpoint(path, tmp_path / "same")
    ours = tiny.texts(loaded(path, "float32"), [tiny.told(one) for one in PROMPTS], GREEDY)
    network = transformers.AutoModelForCausalLM.from_pretrained(folder, trust_remote_code=False)
    made = tiny.tokenizer()
    for prompt, text in zip(PROMPTS, ours, strict=True):
        tokens = torch.tensor([made(prompt)["input_ids"]])
        out = network.generate(tokens, max_new_tokens=40, do_sample=False, attention_mask=torch.ones_like(tokens))
        assert text == made.decode(out[0, tokens.shape[1] :], skip_special_tokens=True)


@pytest.mark.parametrize(("architecture", "kind"), [("llama", small.Q4_1), ("qwen2", small.Q4_0)])
def test_four_bits_multiply_like_the_numbers_that_they_stand_for(architecture: str, kind: int, tmp_path: Path) -> None:
    file = gguf.read(small.written(tmp_path / "a.gguf", architecture, kind))
    tokens = torch.arange(70) * 3 % tiny.VOCABULARY
    found = []
    for dtype, is_packed in ((torch.bfloat16, True), (torch.bfloat16, False), (torch.float32, False)):
        model = Maker(file, dtype).model(is_packed=is_packed)
        writer = Streamer(model, lambda model=model: model, ends=frozenset())
        found.append(writer._read(model, tokens.tolist(), 0))
    four_bits, sixteen_bits, exact = found
    # What four bits lose beside the same numbers in bfloat16 is the rounding of scales to its 8 bits: about as much.
    assert float((four_bits - exact).norm()) < 2 * float((sixteen_bits - exact).norm())


@pytest.mark.parametrize("config", [GREEDY, GenerationConfig(max_new_tokens=40, temperature=0.7, top_p=0.9, seed=5)])
def test_guessing_saves_passes_and_never_changes_the_text(
    path: Path, config: GenerationConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = {}
    for wanted in ("0", "1"):
        monkeypatch.setenv("PALAVER_TORCH_SPECULATE", wanted)
        model = loaded(path)
        texts = tiny.texts(model, [tiny.told(one * 4) for one in PROMPTS], config)
        found[wanted] = texts, writer_of(model).passes
    assert found["1"][0] == found["0"][0]
    if config.temperature == 0:  # random weights soon repeat themselves: what repeats is guessed
        assert found["1"][1] < found["0"][1]


def test_where_several_tokens_do_not_give_what_one_gives_nothing_is_guessed(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Streamer, "keeps_bits", lambda self: False)
    model = loaded(path)
    last = tiny.deltas(model, [tiny.told(PROMPTS[2])], GREEDY)[-1]
    assert last.output_tokens is not None
    # The first token comes with the prompt; an end token takes a pass and is not counted.
    assert writer_of(model).passes == last.output_tokens - (last.finish_reason == "length")


def test_a_guess_that_differs_is_found_out(path: Path) -> None:
    assert writer_of(loaded(path)).keeps_bits()


def test_a_long_prompt_in_plain_numbers_and_in_pieces_goes_on_in_four_bits(path: Path) -> None:
    model = loaded(path)
    prompt = "the cat sat on the mat, the dog ate the cat; " * 8
    last = tiny.deltas(model, [tiny.told(prompt)], GenerationConfig(max_new_tokens=5))[-1]
    assert last.prompt_tokens == len(tiny.tokenizer()(prompt)["input_ids"])
    assert (last.finish_reason, last.output_tokens) == ("length", 5)


def test_a_conversation_is_read_on_from_where_it_was(path: Path) -> None:
    model = loaded(path)
    first = Request((Message("user", PROMPTS[2]),), "chat")
    answer = tiny.texts(model, [first], GenerationConfig(max_new_tokens=8))[0]
    resident = list(writer_of(model)._resident)
    again = Request((Message("user", PROMPTS[2] + answer + " and"),), "chat")
    fresh = tiny.texts(loaded(path), [again], GenerationConfig(max_new_tokens=8))
    assert tiny.texts(model, [again], GenerationConfig(max_new_tokens=8)) == fresh
    assert len(resident) > 8


def test_guesses_are_what_followed_the_last_time_and_stop_where_they_are_wrong() -> None:
    copier = Copier([1, 2, 3, 4, 5, 9, 1, 2, 3], most=3)
    assert copier.guess(3) == [4, 5, 9]
    assert copier.guess(1) == [4]
    copier.push([7, 8])
    assert copier.guess(3) == []
    copier = Copier([1, 2, 1, 2], most=3)
    for _ in range(20):
        copier.guess(3)
        copier.note(0)
    assert copier.guess(3) == []


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"general.architecture": "gemma3"}, "gemma3"),
        ({"tokenizer.ggml.pre": "tekken"}, "tekken"),
        ({"llama.rope.scaling.type": "yarn"}, "positions"),
    ],
)
def test_a_file_of_another_kind_is_refused_with_the_engine_that_takes_it(
    changes: dict[str, object], said: str, tmp_path: Path
) -> None:
    path = small.written(tmp_path / "odd.gguf", **changes)
    with pytest.raises(ModelFailed, match=said) as caught:
        loaded(path)
    assert "llama.cpp" in caught.value.fix


@pytest.mark.parametrize("part", [0.0, 0.1, 0.5, 0.99])
def test_a_cut_file_is_refused(part: float, path: Path, tmp_path: Path) -> None:
    data = path.read_bytes()
    cut = tmp_path / "cut.gguf"
    cut.write_bytes(data[: int(len(data) * part)])
    with pytest.raises(ModelFailed):
        loaded(cut)


def test_the_form_is_part_of_the_name(path: Path) -> None:
    named = ModelInfo(name="small", backend="llamacpp", path=str(path), files=(ModelFile("small.gguf", "", 0),))
    found = [Torch().take_over(named, one) for one in ("4bit", "bfloat16")]
    assert [one and one.ref for one in found] == ["torch:small@4bit", "torch:small@bfloat16"]
    assert [one and Torch().load(one).info.dtype for one in found] == ["Q4_1", "bfloat16"]
    assert Torch().take_over(named, "3bit") is None
    assert Torch().take_over(ModelInfo(name="other", backend="x", path=str(path.parent)), "4bit") is None


def test_a_file_is_offered_for_batches_where_its_architecture_is_known(path: Path, tmp_path: Path) -> None:
    found = Torch().for_batches(ModelInfo(name="small", backend="llamacpp", path=str(path)))
    assert found is not None and found.name in (f"{path}@bfloat16", f"{path}@float32")
    other = small.written(tmp_path / "b.gguf", **{"general.architecture": "gemma3"})
    assert Torch().for_batches(ModelInfo(name="other", backend="llamacpp", path=str(other))) is None


def test_an_evaluation_of_many_examples_takes_the_engine_for_batches_and_says_so(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from palaver.plans import MANY, Wanted, make_plans, told
    from palaver.plugins import Plugins
    from palaver.registry import Registry
    from palaver.store import Store

    monkeypatch.setattr("palaver_torch.backend.batch_form", lambda: "float32")
    rows = tmp_path / "texts.jsonl"
    rows.write_text("".join(f'{{"id": "e{n}", "text": "{PROMPTS[n % 2]} {n}."}}\n' for n in range(MANY)), "utf-8")
    registry = Registry(Plugins())
    with Store.open(tmp_path / "history.db") as store:

        def planned(model: str, limit: int | None = None) -> str:
            wanted = Wanted(task="generate", dataset=str(rows), models=(model,), limit=limit)
            plan = make_plans(registry, store, wanted)[1][0]
            assert bool(told(registry, plan)) == ("@" in plan.model)
            return plan.model

        assert planned(str(path)) == f"{path}@float32"
        assert registry.info(planned(str(path))).backend == "torch"
        assert "@" not in planned(str(path), limit=MANY - 1)
        assert planned(f"{path}@4bit") == f"{path}@4bit"


def test_palaver_eval_answers_many_examples_with_the_faster_engine_and_names_it_everywhere(
    path: Path,
    tmp_path: Path,
    palaver_home: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    from palaver.cli import main
    from palaver.plans import MANY
    from palaver.store import Store

    monkeypatch.setattr("palaver_torch.backend.batch_form", lambda: "float32")
    rows = tmp_path / "texts.jsonl"
    rows.write_text("".join(f'{{"text": "the cat {n}", "references": ["a dog"]}}\n' for n in range(MANY)), "utf-8")
    assert main(["eval", "generate", str(rows), "-m", str(path), "-o", "max_new_tokens=2", "--progress", "none"]) == 0
    said = capsys.readouterr()
    assert f"computed by torch in float32, the faster engine for {MANY} examples or more; -m llamacpp:" in said.err
    assert f"small.gguf@float32: {MANY} truncated of {MANY}" in said.out
    with Store.open(palaver_home / "history.db") as store:
        turns = [store.turn(line.id) for line in store.page(limit=MANY)]
    assert len(turns) == MANY
    assert {turn.model.rpartition("@")[2] for turn in turns} == {"float32"}
    assert {turn.backend for turn in turns} == {"torch"}
