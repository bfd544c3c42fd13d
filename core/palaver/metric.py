"""Scores that never lose their signature, and the protocol of what computes them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal, Protocol, runtime_checkable

from palaver.example import Example

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Overlap = Literal["none", "unigram", "ngram", "fourgram"]
"""How much of a reference a stretch of the output shares: nothing, one word, 2-3 words in a row, 4 or more."""


@dataclass(frozen=True, slots=True)
class Score:
    """One number, what it means, and the sums it came from."""

    metric: str
    """Name of the metric: `bleu`, `rouge1`, `f1`."""
    title: str
    """As printed beside the number: `BLEU`, `R-1`, `F1`."""
    value: float | None
    """On the metric's own scale: BLEU, chrF, TER, EM and F1 0-100, ROUGE 0-1. None when not scored: see `error`."""
    signature: str
    """Everything that must be equal for two numbers to be comparable. Sentence and corpus scores differ in it."""
    n: int = 1
    """Examples behind the number."""
    stats: tuple[float, ...] = ()
    """Sufficient statistics; summed over examples they give the corpus score."""
    corpus_signature: str = ""
    """Signature of the corpus score that `stats` sum to."""
    error: str = ""
    """Why there is no value."""


@dataclass(frozen=True, slots=True)
class Span:
    """Characters start:end of an output, and how much of a reference they share."""

    start: int
    end: int
    overlap: Overlap


@runtime_checkable
class Metric(Protocol):
    """What turns an output and its references into a Score."""

    name: str
    title: str
    maximum: float
    """The score of a perfect output; for an error rate like TER, 0."""
    higher_is_better: bool
    needs_references: bool

    def score(self, output: str, example: Example) -> Score:
        """The score of one output, `n=1`, with the statistics to sum.

        A metric that cannot score this output returns a Score with `value=None` and `error`; it never returns 0 for it.
        """
        ...

    def corpus(self, stats: Sequence[float], n: int, signature: str) -> Score:
        """The corpus score of summed `stats` over `n` outputs whose `corpus_signature` was `signature`."""
        ...


LOGPROB, SCORED_TOKENS, MODEL = "logprob", "scored_tokens", "model_digest"
"""Keys of an example's metadata: how likely the model held its own answer, over how many tokens, and which model."""


def with_confidence(example: Example, logprob: float | None, tokens: int, model: str) -> Example:
    """The example as a metric sees it that measures by the model's own log-probabilities; unchanged without any."""
    if logprob is None or not tokens:
        return example
    told = {LOGPROB: repr(logprob), SCORED_TOKENS: str(tokens), MODEL: model}
    return replace(example, metadata={**example.metadata, **told})


def applicable(metrics: Iterable[Metric], example: Example, *, named: bool) -> list[Metric]:
    """Without those that need log-probabilities where there are none, unless they were asked for by name."""
    return [one for one in metrics if named or LOGPROB in example.metadata or not getattr(one, "needs_logprobs", False)]


def need_logprobs(metrics: Iterable[Metric]) -> bool:
    """Whether one of them measures by the model's own log-probabilities."""
    return any(bool(getattr(one, "needs_logprobs", False)) for one in metrics)


@runtime_checkable
class VectorMetric(Metric, Protocol):
    """A metric that also computes many corpus scores at once, as comparing systems by resampling needs.

    Any Metric can be compared; one that has this is compared some hundred times faster.
    """

    def corpus_values(self, stats: NDArray[np.float64], n: int) -> NDArray[np.float64]:
        """The values (T,) that `corpus` gives for each of T sums of statistics (T, K) over `n` outputs."""
        ...
