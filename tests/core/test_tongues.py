"""Each language has one code, whatever people and models call it."""

from __future__ import annotations

import pytest

from palaver.tongues import code_of, name_of, names, near, token_of


@pytest.mark.parametrize(
    ("called", "code"),
    [
        ("German", "de"),
        ("GER", "de"),
        ("deu_Latn", "de"),
        ("pt-BR", "pt"),
        ("zh_CN", "zh"),
        ("zho_Hans", "zh"),
        ("zh-TW", "zh_Hant"),
        ("Traditional Chinese", "zh_Hant"),
        ("arb_Arab", "ar"),
        ("arz_Arab", "arz"),
        ("ace_Arab", "ace_Arab"),
        ("ace_Latn", "ace"),
        (">>fra<<", "fr"),
        ("__ns__", "nso"),
        ("deu_Cyrl", ""),  # nobody writes it so: not silently taken for what is written in Latin letters
        ("xx", ""),
        ("", ""),
    ],
)
def test_what_a_language_is_called_becomes_its_code(called: str, code: str) -> None:
    assert code_of(called) == code


def test_every_code_and_every_name_means_itself_and_nothing_else() -> None:
    assert all(code_of(code) == code == code_of(name) for code, name in names().items())
    assert len(set(names().values())) == len(names())


@pytest.mark.parametrize(
    ("module", "form", "count"), [("nllb", "{}", 202), ("mbart50", "{}", 52), ("m2m_100", "__{}__", 100)]
)
def test_every_token_of_the_families_is_found_by_a_code_of_its_own(module: str, form: str, count: int) -> None:
    importlib = pytest.importorskip("importlib")
    pytest.importorskip("transformers")
    found = importlib.import_module(f"transformers.models.{module}.tokenization_{module}").FAIRSEQ_LANGUAGE_CODES
    tokens = [form.format(one) for one in (found["m2m100"] if isinstance(found, dict) else found)]
    codes = [code_of(token) for token in tokens]
    assert len(set(codes)) == len(tokens) == count
    assert [token_of(code, tokens) for code in codes] == tokens


def test_near_languages_share_a_word_of_the_name_or_are_spelled_alike() -> None:
    assert near("germn") == ["German (de)"]
    assert near("ar", ["arz", "fr"]) == ["Egyptian Arabic (arz)"]
    assert near("zh_Hant", ["zh", "ja"]) == ["Chinese (zh)"]
    assert near("qqqqqq") == []
    assert name_of("xx") == "xx"
