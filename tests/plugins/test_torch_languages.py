"""A translator's languages are known before it is loaded, and each becomes the token that the model knows."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from palaver import paths
from palaver.cli import main
from palaver_torch.backend import Torch
from palaver_torch.languages import fixed_pair, spoken

WORDS = {piece: at for at, piece in enumerate(["<s>", "<pad>", "</s>", "<unk>", "▁", *"thecat"[:5], "▁the", "▁cat"])}


def nllb(folder: Path, name: str = "NllbTokenizer") -> Path:
    """A tiny translator of NLLB's or mBART-50's kind, with the tokenizer that transformers makes for it."""
    torch, transformers = pytest.importorskip("torch"), pytest.importorskip("transformers")
    made: Any = getattr(transformers, name)
    is_nllb = name == "NllbTokenizer"
    tokenizer = (
        made(vocab=WORDS, merges=[]) if is_nllb else made(vocab=[(one, -float(at)) for one, at in WORDS.items()])
    )
    torch.manual_seed(1)
    sizes = {
        f"{part}_{what}": 1 if what == "layers" else 4
        for part in ("encoder", "decoder")
        for what in ("layers", "attention_heads")
    }
    config = transformers.M2M100Config(
        vocab_size=len(tokenizer), d_model=32, encoder_ffn_dim=64, decoder_ffn_dim=64, max_position_embeddings=64,
        pad_token_id=1, eos_token_id=2, decoder_start_token_id=2, init_std=0.6, **sizes,
    )  # fmt: skip
    transformers.logging.disable_progress_bar()
    transformers.M2M100ForConditionalGeneration(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.mark.parametrize(
    ("tokenizer", "count", "known"), [("NllbTokenizer", 202, "zh_Hant"), ("MBart50Tokenizer", 52, "gl")]
)
def test_the_languages_of_a_folder_are_those_of_its_tokenizer(
    tmp_path: Path, tokenizer: str, count: int, known: str
) -> None:
    info = Torch().resolve(str(nllb(tmp_path / "many", tokenizer)))
    assert info is not None and info.pairs == ()
    assert len(set(info.languages)) == count
    assert {"de", "en", known} <= set(info.languages)


def test_a_pulled_translator_of_many_languages_is_listed_chosen_and_asked_by_any_name_of_a_language(
    palaver_home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PALAVER_TORCH_DEVICE", "cpu")
    nllb(paths.model_dir("hf:org/nllb-tiny"))

    def out(*arguments: str) -> str:
        assert main(arguments) == 0
        return capsys.readouterr().out

    row = next(line for line in out("models", "list").splitlines() if "nllb-tiny" in line)
    assert "translate* (202 lang" in row
    told = json.loads(out("models", "info", "hf:org/nllb-tiny", "--json"))
    assert (told["answers"], len(told["languages"])) == (["translate any of 202 languages"], 202)
    wanted = ("translate", "--no-daemon", "--no-cache", "--json", "--from", "ita_Latn", "--to")
    answers = [json.loads(out(*wanted, target, "the cat")) for target in ("German", "deu_Latn")]
    assert [(one["model"], one["options"]["target"]) for one in answers] == [("hf:org/nllb-tiny", "de")] * 2
    assert answers[0]["output"] == answers[1]["output"]
    assert main(("translate", "--to", "brz", "the cat")) == 2
    assert "'brz' is no language known here" in capsys.readouterr().err


def test_fine_tuning_marks_both_sides_by_any_name_of_their_languages(tmp_path: Path) -> None:
    pytest.importorskip("peft")
    from palaver_train.finetuning import base

    tuned = base.load(nllb(tmp_path / "nllb"), None, ("German", "fr"))
    assert (tuned.tokenizer.src_lang, tuned.tokenizer.tgt_lang) == ("deu_Latn", "fra_Latn")


def folder_with(folder: Path, tokens: list[str]) -> Path:
    folder.mkdir()
    (folder / "special_tokens_map.json").write_text(json.dumps({"additional_special_tokens": tokens}), "utf-8")
    return folder


@pytest.mark.parametrize(
    ("name", "tokens", "pairs", "languages"),
    [
        ("m2m100_418M", ["__de__", "__en__", "__ns__"], (), ("de", "en", "nso")),
        ("mbart-large-50-many-to-one-mmt", ["de_DE", "en_XX", "fr_XX"], ("de-en", "fr-en"), ()),
        ("mbart-large-50-one-to-many-mmt", ["de_DE", "en_XX", "fr_XX"], ("en-de", "en-fr"), ()),
        ("mbart-large-en-ro", ["en_XX", "ro_RO", "de_DE"], ("en-ro",), ()),
        ("opus-mt-en-ROMANCE", [">>fra<<", ">>ita<<", ">>zzz<<"], ("en-fr", "en-it"), ()),
        ("opus-mt-zls-en", [], ("bg-en", "bs-en", "hr-en", "mk-en", "sl-en", "sr-en"), ()),
        ("opus-mt-tc-big-deu-eng", [], ("de-en",), ()),
        ("marian-of-mine", [], (), ()),
    ],
)
def test_name_and_tokens_tell_what_is_translated_into_what(
    tmp_path: Path, name: str, tokens: list[str], pairs: tuple[str, ...], languages: tuple[str, ...]
) -> None:
    assert spoken(name, {}, folder_with(tmp_path / "model", tokens)) == (pairs, languages)


def test_fsmt_names_its_pair_in_its_configuration(tmp_path: Path) -> None:
    assert spoken("mine", {"langs": ["en", "ru"]}, tmp_path) == (("en-ru",), ())


def test_the_pair_of_a_name_is_of_languages_only() -> None:
    assert fixed_pair("Helsinki-NLP/opus-mt-en-fr") == ("en", "fr")
    assert fixed_pair("opus-mt-en-mul") is None
    assert fixed_pair("bart-large-cnn") is None


def test_a_text_without_a_language_is_not_read_in_the_one_of_the_text_before(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    from tests.plugins import torch_models as tiny

    from palaver import GenerationConfig

    model = tiny.load(nllb(tmp_path / "nllb"))
    alone = tiny.given("translate", {"target": "fr"}, text="the cat")
    german = tiny.given("translate", {"target": "fr", "source": "de"}, text="the cat")
    config = GenerationConfig(max_new_tokens=8)
    first = tiny.texts(model, [alone], config)
    assert tiny.texts(model, [german, alone], config)[1:] == first
