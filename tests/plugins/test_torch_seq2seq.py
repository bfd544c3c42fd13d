"""Sequence-to-sequence models in PyTorch: beams are those of transformers, whatever the batch."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

from tests.plugins import torch_models as tiny  # noqa: E402

from palaver import BadInput, ContextExceeded, GenerationConfig, Model  # noqa: E402
from palaver_torch.checkpoint import made_for  # noqa: E402
from palaver_torch.chunks import by_lines, joined  # noqa: E402

TEXTS = ["the cat", "the dog ate the cat; the cat sat on", "ü 日本 the", "mat mat mat mat", "the dog"]
CONFIG = GenerationConfig(max_new_tokens=24)
SEARCHES: dict[str, dict[str, Any]] = {
    "greedy": {"num_beams": 1},
    "plain": {"num_beams": 4},
    "bart": {
        "num_beams": 4,
        "early_stopping": True,
        "no_repeat_ngram_size": 3,
        "length_penalty": 2.0,
        "min_length": 5,
    },
    "marian": {"num_beams": 3, "renormalize_logits": True, "bad_words_ids": [[1]]},
    "surely": {"num_beams": 2, "early_stopping": "never", "length_penalty": 0.6},
}


@pytest.fixture(autouse=True)
def exact(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PALAVER_TORCH_DTYPE", "float32")
    monkeypatch.setenv("PALAVER_TORCH_DEVICE", "cpu")
    monkeypatch.setenv("PALAVER_THREADS", "1")


def bart_like(kind: str, **changes: Any) -> Any:
    torch.manual_seed(1)
    width = {"d_model": 32, "encoder_layers": 2, "decoder_layers": 2, "init_std": 0.6, "max_position_embeddings": 64}
    heads = {"encoder_attention_heads": 4, "decoder_attention_heads": 4, "encoder_ffn_dim": 64, "decoder_ffn_dim": 64}
    tokens = {"vocab_size": tiny.VOCABULARY, "pad_token_id": tiny.PAD, "eos_token_id": tiny.EOS}
    if kind == "marian":
        extra = {"decoder_vocab_size": tiny.VOCABULARY, "decoder_start_token_id": tiny.PAD, "scale_embedding": True}
        config = transformers.MarianConfig(**width, **heads, **tokens, **extra, forced_eos_token_id=tiny.EOS)
        return transformers.MarianMTModel(config)
    start = {"bos_token_id": tiny.EOS, "decoder_start_token_id": tiny.EOS, "forced_bos_token_id": tiny.EOS}
    config = transformers.BartConfig(**width, **heads, **tokens, **start, forced_eos_token_id=tiny.EOS)
    return transformers.BartForConditionalGeneration(config)


def t5(**changes: Any) -> Any:
    torch.manual_seed(1)
    return transformers.T5ForConditionalGeneration(
        transformers.T5Config(
            vocab_size=tiny.VOCABULARY,
            d_model=32,
            d_kv=8,
            d_ff=64,
            num_layers=2,
            num_heads=4,
            pad_token_id=tiny.PAD,
            eos_token_id=tiny.EOS,
            decoder_start_token_id=tiny.PAD,
            initializer_factor=3.0,
            **changes,
        )
    )


def searching(folder: Path, kind: str, **search: Any) -> tuple[Path, Any]:
    """A saved model with several end tokens, so that texts end at different times, and the network itself."""
    network = t5() if kind == "t5" else bart_like(kind)
    forced = {} if kind == "t5" else {"forced_eos_token_id": tiny.EOS}
    network.generation_config = transformers.GenerationConfig(
        pad_token_id=tiny.PAD,
        eos_token_id=[tiny.EOS, 5, 9, 40, 70, 71, 72, 73],
        decoder_start_token_id=network.config.decoder_start_token_id,
        **forced,
        **search,
    )
    return tiny.saved(folder / kind, network), network.eval()


@pytest.mark.parametrize("kind", ["marian", "t5", "bart"])
@pytest.mark.parametrize("search", SEARCHES.values(), ids=SEARCHES)
def test_a_search_is_the_one_of_generate_alone_and_in_a_batch(
    tmp_path: Path, kind: str, search: dict[str, Any]
) -> None:
    folder, network = searching(tmp_path, kind, **search)
    tokenizer, expected = tiny.tokenizer(), []
    for text in TEXTS:
        ids = tokenizer(text, return_tensors="pt").input_ids
        out = network.generate(input_ids=ids, attention_mask=torch.ones_like(ids), max_new_tokens=24)
        expected.append(tokenizer.decode(out[0], skip_special_tokens=True).strip())
    model = tiny.load(folder)
    requests = [tiny.given("summarize", text=one) for one in TEXTS]
    assert tiny.texts(model, requests, CONFIG) == expected
    assert [tiny.texts(model, [one], CONFIG)[0] for one in requests] == expected


def test_sampling_with_a_seed_gives_the_same_alone_and_in_a_batch(tmp_path: Path) -> None:
    model = tiny.load(searching(tmp_path, "bart", num_beams=4)[0])
    hot = GenerationConfig(max_new_tokens=12, temperature=1.0, seed=5)
    requests = [tiny.given("summarize", text=one) for one in TEXTS]
    batch = tiny.texts(model, requests, hot)
    assert batch == [tiny.texts(model, [one], hot)[0] for one in requests]
    assert batch != tiny.texts(model, requests, GenerationConfig(max_new_tokens=12, temperature=1.0, seed=6))


def test_a_text_longer_than_the_window_is_cut_into_lines_and_sentences_and_joined(tmp_path: Path) -> None:
    model = tiny.load(searching(tmp_path, "marian", num_beams=2)[0])
    line = "the cat sat on the mat. " * 12  # some 100 tokens, the window has 64
    last = tiny.deltas(model, [tiny.given("translate", text=f"the cat.\n\n{line}")], CONFIG)
    text = "".join(one.text for one in last)
    alone = tiny.texts(model, [tiny.given("translate", text="the cat.")], CONFIG)[0]
    assert text.startswith(alone + "\n\n")
    assert last[-1].prompt_tokens is not None and last[-1].prompt_tokens > 64


def test_a_text_to_summarize_that_is_longer_than_the_window_is_refused_for_the_caller_to_cut(tmp_path: Path) -> None:
    model = tiny.load(searching(tmp_path, "bart", num_beams=2)[0])
    short, long = tiny.given("summarize", text="the cat"), tiny.given("summarize", text="the cat sat on the mat. " * 12)
    with pytest.raises(ContextExceeded, match=r"reads at most 63"):
        tiny.deltas(model, [long], CONFIG)
    found = {one.request: one for one in tiny.deltas(model, [long, short], CONFIG) if one.finish_reason}
    assert found[0].error.startswith("The input has ")
    assert (found[0].prompt_tokens or 0) > 64
    assert found[0].code == "context_exceeded"
    assert tiny.texts(model, [long, short], CONFIG)[1] == tiny.texts(model, [short], CONFIG)[0] != ""


def test_cancel_ends_every_open_request(tmp_path: Path) -> None:
    model: Model = tiny.load(searching(tmp_path, "bart", num_beams=2)[0])
    cancel = threading.Event()
    cancel.set()
    requests = [tiny.given("summarize", text=one) for one in TEXTS]
    found = list(model.stream(requests, CONFIG, cancel))
    assert sorted(one.request for one in found if one.finish_reason == "cancelled") == [0, 1, 2, 3, 4]


def test_an_empty_text_is_answered_with_nothing(tmp_path: Path) -> None:
    model = tiny.load(searching(tmp_path, "bart", num_beams=2)[0])
    [only] = tiny.deltas(model, [tiny.given("summarize", text=" \n")], CONFIG)
    assert (only.text, only.finish_reason) == ("", "stop")


def test_a_model_of_one_pair_refuses_another(tmp_path: Path) -> None:
    folder = searching(tmp_path, "marian", num_beams=1)[0].rename(tmp_path / "opus-mt-en-fr")
    model = tiny.load(folder)
    with pytest.raises(BadInput, match="translates from en into fr, not into de"):
        tiny.texts(model, [tiny.given("translate", {"target": "de"}, text="the cat")], CONFIG)
    assert tiny.texts(model, [tiny.given("translate", {"target": "fr", "source": "en"}, text="the cat")], CONFIG)[0]


def test_the_language_that_is_wanted_is_the_first_token(tmp_path: Path) -> None:
    tokenizer = tiny.tokenizer()
    tokenizer.add_special_tokens({"additional_special_tokens": ["eng_Latn", "fra_Latn"]})
    torch.manual_seed(1)
    config = transformers.M2M100Config(
        vocab_size=len(tokenizer),
        d_model=32,
        encoder_layers=1,
        decoder_layers=1,
        encoder_attention_heads=4,
        decoder_attention_heads=4,
        encoder_ffn_dim=64,
        decoder_ffn_dim=64,
        max_position_embeddings=64,
        pad_token_id=tiny.PAD,
        eos_token_id=tiny.EOS,
        decoder_start_token_id=tiny.EOS,
        init_std=0.6,
    )
    network = transformers.M2M100ForConditionalGeneration(config).eval()
    model = tiny.load(tiny.saved(tmp_path / "nllb", network, tokenizer))
    ids = tokenizer("the cat", return_tensors="pt").input_ids
    french = tokenizer.convert_tokens_to_ids("fra_Latn")
    out = network.generate(ids, attention_mask=torch.ones_like(ids), max_new_tokens=24, forced_bos_token_id=french)
    ours = tiny.texts(model, [tiny.given("translate", {"target": "fr"}, text="the cat")], CONFIG)
    assert ours == [tokenizer.decode(out[0], skip_special_tokens=True).strip()]
    with pytest.raises(BadInput, match=r"it does not know German \(de\)"):
        tiny.texts(model, [tiny.given("translate", {"target": "de"}, text="the cat")], CONFIG)


@pytest.mark.parametrize(
    ("kind", "source", "first", "forced"),
    [("NllbTokenizer", "de", "deu_Latn", "fra_Latn"), ("MBart50Tokenizer", "de", "de_DE", "fr_XX")],
)
def test_a_tokenizer_of_many_languages_marks_the_source_and_the_model_begins_with_the_target(
    tmp_path: Path, kind: str, source: str, first: str, forced: str
) -> None:
    pieces = ["<s>", "<pad>", "</s>", "<unk>", "▁", *"thecat"[:5], "▁the", "▁cat"]
    words = {piece: at for at, piece in enumerate(dict.fromkeys(pieces))}
    if kind == "NllbTokenizer":
        tokenizer = transformers.NllbTokenizer(vocab=words, merges=[])
    else:
        tokenizer = transformers.MBart50Tokenizer(vocab=[(piece, -float(at)) for piece, at in words.items()])
    torch.manual_seed(1)
    config = transformers.M2M100Config(
        vocab_size=len(tokenizer),
        d_model=32,
        encoder_layers=1,
        decoder_layers=1,
        encoder_attention_heads=4,
        decoder_attention_heads=4,
        encoder_ffn_dim=64,
        decoder_ffn_dim=64,
        max_position_embeddings=64,
        pad_token_id=1,
        eos_token_id=2,
        decoder_start_token_id=2,
        init_std=0.6,
    )
    network = transformers.M2M100ForConditionalGeneration(config).eval()
    model = tiny.load(tiny.saved(tmp_path / "many", network, tokenizer))
    assert (model.info.tasks, model.info.good_at) == (("translate",), ("translate",))
    tokenizer.src_lang = first
    ids = tokenizer("the cat", return_tensors="pt").input_ids
    assert tokenizer.convert_ids_to_tokens(ids[0])[0] == first
    begin = tokenizer.convert_tokens_to_ids(forced)
    out = network.generate(ids, attention_mask=torch.ones_like(ids), max_new_tokens=24, forced_bos_token_id=begin)
    expected = tokenizer.decode(out[0], skip_special_tokens=True, clean_up_tokenization_spaces=False).strip()
    languages: dict[str, object] = {"source": source, "target": "fr"}
    assert tiny.texts(model, [tiny.given("translate", languages, text="the cat")], CONFIG) == [expected]


@pytest.mark.parametrize(
    ("config", "tasks", "good_at"),
    [
        ({"architectures": ["MarianMTModel"]}, ("translate",), ("translate",)),
        ({"architectures": ["M2M100ForConditionalGeneration"]}, ("translate",), ("translate",)),  # NLLB's, too
        ({"architectures": ["BartForConditionalGeneration"]}, ("summarize", "generate"), ()),
        (
            {"architectures": ["BartForConditionalGeneration"], "task_specific_params": {"summarization": {}}},
            ("summarize", "generate"),
            ("summarize",),
        ),
        ({"architectures": ["PegasusForConditionalGeneration"]}, ("summarize", "generate"), ("summarize",)),
        ({"architectures": ["T5ForConditionalGeneration"]}, ("translate", "summarize", "generate"), ()),
        ({"architectures": ["BertForQuestionAnswering"]}, ("qa",), ("qa",)),
        ({"architectures": ["LlamaForCausalLM"]}, ("chat", "generate", "summarize", "translate", "qa"), ()),
    ],
)
def test_a_family_is_asked_for_what_it_was_made_for(
    config: dict[str, object], tasks: tuple[str, ...], good_at: tuple[str, ...]
) -> None:
    assert made_for(config) == (tasks, good_at)


def test_t5_is_told_its_task_in_its_own_words(tmp_path: Path) -> None:
    special = {"summarization": {"prefix": "the mat: ", "num_beams": 2, "length_penalty": 2.0}}
    network = t5(task_specific_params=special).eval()
    model = tiny.load(tiny.saved(tmp_path / "t5", network))
    tokenizer = tiny.tokenizer()
    ids = tokenizer("the mat: the cat", return_tensors="pt").input_ids
    how = {"num_beams": 2, "length_penalty": 2.0, "max_new_tokens": 24}
    out = network.generate(ids, attention_mask=torch.ones_like(ids), **how)
    expected = tokenizer.decode(out[0], skip_special_tokens=True).strip()
    assert tiny.texts(model, [tiny.given("summarize", text="the cat")], CONFIG) == [expected]


def test_chunks_fit_and_nothing_is_lost() -> None:
    text = "One two. Three four five. Six!\n\nSeven eight nine ten eleven.\nabcdefghijklmnopqrstuvwxyz"
    chunks = by_lines(text, lambda piece: len(piece) <= 12)
    assert all(len(one.text) <= 12 for one in chunks)
    words = joined(chunks, [one.text for one in chunks])
    assert words.replace(" ", "") == text.replace(" ", "")
