"""BLEU, chrF and TER as sacrebleu computes them, from statistics that can be summed.

Each output is scored as a sentence. Its statistics are sacrebleu's own with three more numbers: how many references
there were, the square of that, and whether a text had to be normalised. Summed over a corpus these say what sacrebleu's
signature needs and no single example knows: all had k references exactly if n * sum(k^2) = (sum k)^2, else the number
varied. So `corpus_signature` always says `nrefs:var` and is what to group by; `corpus()` puts the true number in.

Both sides are normalised to NFC, since a model that writes `e` + accent has not mistranslated. sacrebleu does not do
this, so where it changed a text the signature ends in `|unicode:nfc`; where it did not, the number is sacrebleu's own.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING

from palaver.metric import Score
from palaver_metrics.base import CannotScore, Measured, TextMetric
from palaver_metrics.script import bleu_tokenizer, nfc, script_of

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from sacrebleu.metrics.bleu import BLEU
    from sacrebleu.metrics.chrf import CHRF
    from sacrebleu.metrics.ter import TER

TER_WORDS = 300
"""TER tries every shift of every run of words: 300 take seconds, 1,000 take minutes."""


class SacreMetric(TextMetric):
    """A metric of sacrebleu."""

    maximum = 100.0

    def measure(self, output: str, references: Sequence[str], language: str) -> Measured:
        raw = (output, *references)
        texts = [nfc(text) for text in raw]
        if not any(text.strip() for text in texts[1:]):
            raise CannotScore("empty reference")
        changed = texts != list(raw)
        value, stats, signature = self.sentence(texts[0], texts[1:], language)
        count = len(references)
        return Measured(
            value,
            _nrefs(signature, str(count), changed),
            (*stats, float(count), float(count * count), float(changed)),
            signature.replace("|eff:yes|tok", "|eff:no|tok"),  # BLEU alone has another formula for a corpus
        )

    def corpus(self, stats: Sequence[float], n: int, signature: str) -> Score:
        """The corpus score, as sacrebleu's for all these outputs at once, and its signature."""
        if not n:
            return self._unscored("no scored outputs")
        *sums, count, squares, changed = stats
        # By Cauchy and Schwarz, equal only if every example has the same number of references.
        nrefs = f"{count / n:.0f}" if n * squares == count * count else "var"
        return Score(
            self.name,
            self.title,
            self.aggregate(sums),
            _nrefs(signature, nrefs, changed > 0),
            n=n,
            stats=tuple(stats),
            corpus_signature=signature,
        )

    def sentence(self, output: str, references: Sequence[str], language: str) -> tuple[float, Sequence[float], str]:
        """The score, its sufficient statistics, and the signature with `nrefs:var`."""
        raise NotImplementedError

    def aggregate(self, sums: list[float]) -> float:
        """The corpus score of summed statistics."""
        raise NotImplementedError

    def corpus_values(self, stats: NDArray[np.float64], n: int) -> NDArray[np.float64]:
        """As `aggregate`, for each of T sums of statistics (T, K) at once: what resampling tests need."""
        raise NotImplementedError


class Bleu(SacreMetric):
    """Sentence BLEU with effective order (Chen and Cherry 2014), and BLEU (Papineni et al. 2002) of a corpus."""

    name = family = "bleu"
    title = "BLEU"

    def sentence(self, output: str, references: Sequence[str], language: str) -> tuple[float, Sequence[float], str]:
        scorer, signature = _bleu(bleu_tokenizer(language, "\n".join(references)))
        found = scorer.sentence_score(output, references)
        stats = [float(count) for count in (found.sys_len, found.ref_len, *found.counts, *found.totals)]
        return float(found.score), stats, signature

    def aggregate(self, sums: list[float]) -> float:
        from sacrebleu.metrics.bleu import BLEU  # 70 ms: paid by whoever scores

        hypothesis_length, reference_length, *counts = sums
        correct, total = ([int(count) for count in part] for part in (counts[:4], counts[4:]))
        found = BLEU.compute_bleu(correct, total, int(hypothesis_length), int(reference_length), smooth_method="exp")
        return float(found.score)

    def corpus_values(self, stats: NDArray[np.float64], n: int) -> NDArray[np.float64]:
        import numpy as np

        output_length, reference_length = stats[:, 0], stats[:, 1]
        correct, total = stats[:, 2:6], stats[:, 6:10]
        usable = (total > 0).all(axis=1) & (correct > 0).any(axis=1)  # sacrebleu gives 0 to all others
        # The k-th order without a match counts as 1 / 2^k matches: Chen and Cherry 2014, method 3.
        smoothed = np.where(correct > 0, correct, 0.5 ** np.cumsum(correct == 0, axis=1))
        logs = np.log(smoothed / np.where(total > 0, total, 1)).mean(axis=1)
        brevity = np.minimum(0, 1 - reference_length / np.where(usable, output_length, 1))
        return np.where(usable, 100 * np.exp(brevity + logs), 0.0)


class ChrF(SacreMetric):
    """chrF2 (Popović 2015): F-score of character 1- to 6-grams."""

    name = family = "chrf"
    title = "chrF"
    longest = 300_000  # a megabyte takes 4 s and 300 MB of n-grams

    def sentence(self, output: str, references: Sequence[str], language: str) -> tuple[float, Sequence[float], str]:
        scorer, signature = _chrf()
        # The statistics of the best reference: what sacrebleu's own significance tests resample.
        (counts,) = scorer._extract_corpus_statistics([output], [[reference] for reference in references])
        stats = [float(count) for count in counts]
        return self.aggregate(stats), stats, signature

    def aggregate(self, sums: list[float]) -> float:
        return float(_chrf()[0]._compute_f_score([int(count) for count in sums]))

    def corpus_values(self, stats: NDArray[np.float64], n: int) -> NDArray[np.float64]:
        import numpy as np

        scorer = _chrf()[0]
        output, reference, same = (stats[:, start : 3 * scorer.order : 3] for start in range(3))
        counted = (output > 0) & (reference > 0)
        orders = np.maximum(counted.sum(axis=1), 1)
        precision = np.where(counted, same / np.where(counted, output, 1), 0).sum(axis=1) / orders
        recall = np.where(counted, same / np.where(counted, reference, 1), 0).sum(axis=1) / orders
        factor = float(scorer.beta**2)
        below = factor * precision + recall
        values: NDArray[np.float64] = 100 * (1 + factor) * precision * recall / np.where(below > 0, below, 1)
        return values


class Ter(SacreMetric):
    """TER (Snover et al. 2006): edits per reference word, in percent; more than 100 is possible."""

    name = family = "ter"
    title = "TER"
    maximum = 0.0
    higher_is_better = False

    def sentence(self, output: str, references: Sequence[str], language: str) -> tuple[float, Sequence[float], str]:
        asian = script_of("\n".join(references), language) in ("han", "kana")
        for text in (output, *references):
            if (len("".join(text.split())) if asian else len(text.split())) > TER_WORDS:
                raise CannotScore(f"skipped: longer than {TER_WORDS} words")
        scorer, signature = _ter(asian)
        found = scorer.sentence_score(output, references)
        return float(found.score), (float(found.num_edits), float(found.ref_length)), signature

    def aggregate(self, sums: list[float]) -> float:
        edits, length = sums
        return 100 * edits / length if length else 100.0 * (edits > 0)

    def corpus_values(self, stats: NDArray[np.float64], n: int) -> NDArray[np.float64]:
        import numpy as np

        edits, length = stats[:, 0], stats[:, 1]
        return 100 * np.where(length > 0, edits / np.where(length > 0, length, 1), edits > 0)


def _nrefs(signature: str, count: str, changed: bool) -> str:
    return signature.replace("nrefs:var", f"nrefs:{count}", 1) + ("|unicode:nfc" if changed else "")


@cache
def _bleu(tokenizer: str) -> tuple[BLEU, str]:
    from sacrebleu.metrics.bleu import BLEU, BLEUSignature  # 70 ms: paid by whoever scores

    # force: the warning about tokenized periods is for a corpus on standard error, not for one chat turn
    scorer = BLEU(tokenize=tokenizer, effective_order=True, force=True)
    return scorer, f"BLEU|{BLEUSignature({**vars(scorer), 'num_refs': -1})}"


@cache
def _chrf() -> tuple[CHRF, str]:
    from sacrebleu.metrics.chrf import CHRF, CHRFSignature

    scorer = CHRF()
    return scorer, f"chrF2|{CHRFSignature({**vars(scorer), 'num_refs': -1})}"


@cache
def _ter(asian: bool) -> tuple[TER, str]:
    from sacrebleu.metrics.ter import TER, TERSignature

    # Without spaces a sentence is one word, and one edit makes TER 100: the Asian option splits Han into characters.
    scorer = TER(normalized=asian, asian_support=asian)
    return scorer, f"TER|{TERSignature({**vars(scorer), 'num_refs': -1})}"
