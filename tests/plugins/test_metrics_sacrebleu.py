"""BLEU, chrF and TER equal sacrebleu, of a sentence and of a corpus, and say so in its signature."""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Sequence

import pytest
from sacrebleu.metrics.bleu import BLEU
from sacrebleu.metrics.chrf import CHRF
from sacrebleu.metrics.ter import TER
from tests.plugins.metric_texts import example, multi30k

from palaver.metric import Score
from palaver_metrics.bleu import Bleu, ChrF, SacreMetric, Ter
from palaver_metrics.script import bleu_tokenizer

OURS_AND_THEIRS = [(Bleu(), BLEU), (ChrF(), CHRF), (Ter(), TER)]
TEXTS = [
    ("The cat sat on the mat.", ("The cat sat on a mat.", "A cat was on the mat.", "The cat is there.", "Cats sit.")),
    ("Ein Hund läuft durch den Schnee.", ("Ein brauner Hund läuft durch Schnee.", "Ein Hund rennt.")),
    ("", ("Something was expected here.",)),
    ("nothing in common", ("completely different words", "!")),
    ("a &quot;b&quot; 3.5 x-ray", ('a "b" 3.5 x-ray .',)),
    ("two refs, one empty", ("", "two refs, one is empty")),
]


def summed(scores: Sequence[Score]) -> list[float]:
    return [math.fsum(column) for column in zip(*(score.stats for score in scores), strict=True)]


def streams(references: Sequence[Sequence[str]]) -> list[list[str | None]]:
    """sacrebleu wants one stream per reference position, padded with None."""
    most = max(map(len, references))
    return [[refs[i] if i < len(refs) else None for refs in references] for i in range(most)]


def captions() -> list[tuple[str, tuple[str, ...]]]:
    """Captions whose 'system' drops a word now and then, with 1, 2, 3 or 4 references each."""
    lines = multi30k("de", 60)
    found: list[tuple[str, tuple[str, ...]]] = []
    for index, line in enumerate(lines[:-4]):
        words = line.split()
        output = " ".join(word for place, word in enumerate(words) if (place + index) % 5)
        found.append((output, (line, *lines[index + 1 : index + 1 + index % 4])))
    return found


@pytest.mark.parametrize(("ours", "theirs"), OURS_AND_THEIRS, ids=["bleu", "chrf", "ter"])
@pytest.mark.parametrize("texts", [lambda: TEXTS, captions], ids=["table", "captions"])
def test_sentence_and_corpus_scores_and_signatures_are_sacrebleus(ours, theirs, texts) -> None:
    pairs = texts()
    sentence = theirs(effective_order=True) if theirs is BLEU else theirs()
    scores = []
    for output, references in pairs:
        score = ours.score(output, example(*references))
        expected = sentence.sentence_score(output, references)
        assert score.value == pytest.approx(expected.score, abs=1e-9)
        assert score.signature == f"{expected.name}|{sentence.get_signature()}"
        scores.append(score)
    corpus = theirs()
    expected = corpus.corpus_score([output for output, _ in pairs], streams([refs for _, refs in pairs]))
    (signature,) = {score.corpus_signature for score in scores}
    found = ours.corpus(summed(scores), len(scores), signature)
    assert found.value == pytest.approx(expected.score, abs=1e-9)
    assert found.signature == f"{expected.name}|{corpus.get_signature()}"
    assert "nrefs:var" in found.signature
    assert found.n == len(pairs)


@pytest.mark.parametrize(("ours", "theirs"), OURS_AND_THEIRS, ids=["bleu", "chrf", "ter"])
@pytest.mark.parametrize("count", [1, 2, 3, 4])
def test_a_corpus_with_the_same_number_of_references_says_the_number(ours, theirs, count: int) -> None:
    references = ("The cat sat on a mat.", "A cat was on the mat.", "The cat is there.", "Cats sit.")[:count]
    outputs = ["The cat sat on the mat.", "A dog sat there on the mat.", "Cats are there."]
    scores = [ours.score(output, example(*references)) for output in outputs]
    corpus = theirs()
    expected = corpus.corpus_score(outputs, streams([references] * 3))
    found = ours.corpus(summed(scores), 3, scores[0].corpus_signature)
    assert found.value == pytest.approx(expected.score, abs=1e-9)
    assert found.signature == f"{expected.name}|{corpus.get_signature()}"
    assert f"nrefs:{count}" in found.signature


def test_sentence_bleu_says_effective_order_and_corpus_bleu_does_not() -> None:
    score = Bleu().score("The cat sat.", example("The cat sat."))
    assert score.signature == f"BLEU|nrefs:1|case:mixed|eff:yes|tok:13a|smooth:exp|{version()}"
    # 4 tokens with the full stop: a 4-gram exists, so all four precisions are 1
    assert score.value == pytest.approx(100)
    assert score.corpus_signature == f"BLEU|nrefs:var|case:mixed|eff:no|tok:13a|smooth:exp|{version()}"


@pytest.mark.parametrize("metric", [Bleu(), ChrF(), Ter()], ids=lambda metric: metric.name)
@pytest.mark.parametrize(
    ("references", "reason"), [((), "no reference"), (("",), "empty reference"), (("  ", ""), "empty reference")]
)
def test_without_a_usable_reference_there_is_no_number(
    metric: SacreMetric, references: tuple[str, ...], reason: str
) -> None:
    for output in ("", "some text"):
        score = metric.score(output, example(*references))
        assert (score.value, score.error, score.stats) == (None, reason, ())


@pytest.mark.parametrize("metric", [Bleu(), ChrF(), Ter()], ids=lambda metric: metric.name)
def test_an_empty_selection_has_no_corpus_score(metric: SacreMetric) -> None:
    assert metric.corpus((), 0, "any").value is None


def test_ter_is_skipped_beyond_300_words_and_all_beyond_their_longest() -> None:
    assert Ter().score("w " * 300, example("v " * 300)).value == 100  # 300 substitutions for 300 words
    assert Ter().score("w " * 301, example("v")).error == "skipped: longer than 300 words"
    assert Ter().score("v", example("w", "w " * 301)).error == "skipped: longer than 300 words"
    assert Bleu().score("x" * 1_000_001, example("x")).error == "skipped: longer than 1,000,000 characters"
    assert ChrF().score("x", example("x" * 300_001)).error == "skipped: longer than 300,000 characters"


@pytest.mark.parametrize("metric", [Bleu(), ChrF(), Ter()], ids=lambda metric: metric.name)
def test_two_ways_to_write_an_accent_are_one_and_the_signature_says_so(metric: SacreMetric) -> None:
    reference = "Le résumé est arrivé hier."
    composed = metric.score(reference, example(reference))
    decomposed = metric.score(unicodedata.normalize("NFD", reference), example(reference))
    assert composed.value == decomposed.value == pytest.approx(metric.maximum)
    assert decomposed.signature == composed.signature + "|unicode:nfc"
    # they still sum, and the sum says so
    assert composed.corpus_signature == decomposed.corpus_signature
    both = metric.corpus(summed([composed, decomposed]), 2, composed.corpus_signature)
    assert both.signature.endswith("|unicode:nfc")


@pytest.mark.parametrize(
    ("language", "references", "tokenizers"),
    [
        ("zh", "iPhone", {"zh"}),
        ("zh-TW", "書", {"zh"}),
        ("ja", "", {"ja-mecab", "char"}),
        ("ko", "", {"ko-mecab", "char"}),
        ("th", "", {"char"}),
        ("de", "Straße", {"13a"}),
        ("", "我们看书", {"zh"}),
        ("", "本を読みました", {"ja-mecab", "char"}),
        ("", "책을 읽었다", {"ko-mecab", "char"}),
        ("", "ប្រទេសកម្ពុជា", {"char"}),
        ("", "မြန်မာ", {"char"}),
        ("", "ພາສາລາວ", {"char"}),
        ("", "Сегодня", {"13a"}),
        ("", "the word 书 means book", {"13a"}),
        ("", "123 !", {"13a"}),
    ],
)
def test_the_tokenizer_follows_the_language_or_else_the_script(
    language: str, references: str, tokenizers: set[str]
) -> None:
    assert bleu_tokenizer(language, references) in tokenizers


def test_chinese_bleu_is_sacrebleus_with_its_chinese_tokenizer() -> None:
    output, reference = "我们今天在图书馆看书", "我们今天在家里看书"
    score = Bleu().score(output, example(reference))
    assert score.value == pytest.approx(
        BLEU(tokenize="zh", effective_order=True).sentence_score(output, [reference]).score, abs=1e-9
    )
    assert "|tok:zh|" in score.signature


def test_chinese_ter_counts_characters() -> None:
    score = Ter().score("我们今天看报", example("我们今天看书"))
    assert score.value == pytest.approx(100 / 6)  # one of six characters is substituted
    assert "|asian:yes|" in score.signature


def version() -> str:
    import sacrebleu

    return f"version:{sacrebleu.__version__}"
