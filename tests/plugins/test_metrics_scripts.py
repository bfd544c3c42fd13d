"""Wrong outputs in many scripts, with none to four references, score as the original packages score them."""

from __future__ import annotations

import pytest
from sacrebleu.metrics.bleu import BLEU
from sacrebleu.metrics.chrf import CHRF
from sacrebleu.metrics.ter import TER
from tests.plugins.metric_texts import SCRIPTS, example

from palaver_metrics.bleu import Bleu, ChrF, Ter

SPACED = ("Latin", "Hindi", "Arabic", "Russian", "Greek", "Hebrew", "Georgian", "Tamil", "Armenian", "Amharic")
TEXTS = {name: SCRIPTS[name] for name in ("Chinese", "Japanese", "Korean", "Thai", *SPACED)}


def worse(text: str) -> str:
    """The text as a system might have it: its second half first, and one character lost."""
    half = len(text) // 2
    return f"{text[half + 1 :].strip()} {text[:half].strip()}".strip()


def references(text: str) -> tuple[str, ...]:
    return (text, f"{text} {text[:5]}".strip(), text[::2], text[3:])


@pytest.mark.parametrize("count", [1, 2, 3, 4])
@pytest.mark.parametrize("script", TEXTS)
def test_chrf_is_sacrebleus_in_every_script(script: str, count: int) -> None:
    output, refs = worse(TEXTS[script]), references(TEXTS[script])[:count]
    found = ChrF().score(output, example(*refs)).value
    assert found == pytest.approx(CHRF().sentence_score(output, refs).score, abs=1e-9)
    assert found is not None
    assert 0 < found < 100


@pytest.mark.parametrize("count", [1, 2, 3, 4])
@pytest.mark.parametrize("script", SPACED)
def test_bleu_and_ter_are_sacrebleus_where_words_are_apart(script: str, count: int) -> None:
    output, refs = worse(TEXTS[script]), references(TEXTS[script])[:count]
    assert Bleu().score(output, example(*refs)).value == pytest.approx(
        BLEU(effective_order=True).sentence_score(output, refs).score, abs=1e-9
    )
    assert Ter().score(output, example(*refs)).value == pytest.approx(
        TER().sentence_score(output, refs).score, abs=1e-9
    )


@pytest.mark.parametrize("metric", [Bleu(), ChrF(), Ter()], ids=lambda metric: metric.name)
@pytest.mark.parametrize("script", TEXTS)
def test_without_a_reference_there_is_none_in_any_script(metric: Bleu | ChrF | Ter, script: str) -> None:
    assert metric.score(TEXTS[script], example()).value is None
