"""The metrics of the field: BLEU, chrF, TER, ROUGE, exact match and F1, and numbers that need no reference."""

from __future__ import annotations

from collections.abc import Iterable

from palaver.hookspecs import hookimpl
from palaver.metric import Metric
from palaver_metrics.bleu import Bleu, ChrF, Ter
from palaver_metrics.free import Distinct, Length, Perplexity, Repetition
from palaver_metrics.qa import ExactMatch, TokenF1
from palaver_metrics.rouge import Rouge1, Rouge2, RougeL, RougeLsum
from palaver_metrics.rougetext import Texts


@hookimpl
def palaver_metrics() -> Iterable[Metric]:
    """All of them; sacrebleu is imported by the first BLEU, chrF or TER that is scored."""
    return [
        Bleu(),
        ChrF(),
        Ter(),
        *(kind(texts) for texts in (Texts(), Texts(is_stemmed=True)) for kind in (Rouge1, Rouge2, RougeL, RougeLsum)),
        ExactMatch(),
        TokenF1(),
        Distinct(1),
        Distinct(2),
        Repetition(),
        Length(),
        Perplexity(),
    ]
