"""Answers copied from the input: lead-3, Luhn, LexRank, BM25, copy."""

from __future__ import annotations

import math
from collections import Counter

from palaver import Request, guess_language, stop_words
from palaver_baselines.sentences import sentences, words

MAX_SENTENCES = 400
"""LexRank compares every pair of sentences; a longer text is ranked by its first 400."""


def text_of(request: Request) -> str:
    """The input that a text-to-text task works on."""
    inputs = request.example.inputs
    return inputs.get("text") or next(iter(inputs.values()), "")


def copy(request: Request) -> str:
    """The input as it is: the floor of any translation score."""
    return text_of(request)


def lead3(request: Request) -> str:
    """The first three sentences, or as many as the task's `length` says. Nallapati et al. 2017 call it Lead-3."""
    return " ".join(sentences(text_of(request))[: _length(request)])


def luhn(request: Request) -> str:
    """The sentences with the densest run of significant words, in the order of the text. Luhn 1958.

    Significant is what the text says more than once and is no stop word. A run may hold up to four other words between
    two significant ones; its weight is their number squared over its length.
    """
    text = text_of(request)
    found = sentences(text)[:MAX_SENTENCES]
    documents = [words(sentence) for sentence in found]
    counts = Counter(word for document in documents for word in document)
    dropped = stop_words(request.example.source_language or guess_language(text))
    significant = {word for word, times in counts.items() if times > 1 and word not in dropped}
    weights = [_densest(document, significant) for document in documents]
    best = sorted(range(len(found)), key=lambda index: (-weights[index], index))[: _length(request)]
    return " ".join(found[index] for index in sorted(best))


def _densest(document: list[str], significant: set[str], *, gap: int = 4) -> float:
    places = [index for index, word in enumerate(document) if word in significant]
    best, first = 0.0, 0
    for last, place in enumerate(places):
        if last and place - places[last - 1] > gap + 1:
            first = last
        best = max(best, (last - first + 1) ** 2 / (place - places[first] + 1))
    return best


def lexrank(request: Request) -> str:
    """The most central sentences, in the order of the text. Erkan and Radev 2004, continuous LexRank.

    Centrality is the stationary distribution of a walk between sentences that are alike: cosine of TF-IDF vectors,
    with the inverse document frequency taken over the sentences of this one text. Stop words stay: that frequency
    weighs them little, and without them ROUGE-1 on SciTLDR's test set was 31.4 instead of 32.2.
    """
    found = sentences(text_of(request))[:MAX_SENTENCES]
    ranks = central([words(sentence) for sentence in found])
    best = sorted(range(len(found)), key=lambda index: (-ranks[index], index))[: _length(request)]
    return " ".join(found[index] for index in sorted(best))


def central(documents: list[list[str]], *, damping: float = 0.85, rounds: int = 100) -> list[float]:
    """The LexRank of each sentence, given as words; they sum to 1."""
    count = len(documents)
    if count == 0:
        return []
    frequency = Counter(word for document in documents for word in set(document))
    vectors = [
        {word: times * math.log(count / frequency[word]) for word, times in Counter(document).items()}
        for document in documents
    ]
    norms = [math.sqrt(sum(weight * weight for weight in vector.values())) for vector in vectors]
    alike = [[_cosine(vectors, norms, one, other) for other in range(count)] for one in range(count)]
    sums = [sum(row) or 1.0 for row in alike]
    ranks = [1 / count] * count
    for _ in range(rounds):
        flow = [sum(ranks[j] * alike[j][i] / sums[j] for j in range(count)) for i in range(count)]
        updated = [(1 - damping) / count + damping * share for share in flow]
        total = sum(updated)
        updated = [rank / total for rank in updated]
        if max(abs(new - old) for new, old in zip(updated, ranks, strict=True)) < 1e-7:
            return updated
        ranks = updated
    return ranks


def bm25_sentence(request: Request) -> str:
    """The sentence of the context that shares the question's words. Robertson and Zaragoza 2009, k1 = 1.2, b = 0.75."""
    found = sentences(request.example.inputs.get("context", ""))
    asked = set(words(request.example.inputs.get("question", "")))
    documents = [words(sentence) for sentence in found]
    if not found:
        return ""
    mean = sum(map(len, documents)) / len(documents) or 1.0
    frequency = Counter(word for document in documents for word in set(document))

    def relevance(index: int) -> float:
        counts, size = Counter(documents[index]), len(documents[index])
        return sum(
            math.log(1 + (len(found) - frequency[word] + 0.5) / (frequency[word] + 0.5))
            * counts[word] * 2.2 / (counts[word] + 1.2 * (0.25 + 0.75 * size / mean))
            for word in asked & counts.keys()
        )  # fmt: skip

    return found[max(range(len(found)), key=lambda index: (relevance(index), -index))]


def _length(request: Request) -> int:
    length = request.options.get("length")
    return length if isinstance(length, int) else 3


def _cosine(vectors: list[dict[str, float]], norms: list[float], one: int, other: int) -> float:
    if norms[one] == 0 or norms[other] == 0:
        return 0.0
    small, large = sorted((vectors[one], vectors[other]), key=len)
    return sum(weight * large.get(word, 0.0) for word, weight in small.items()) / (norms[one] * norms[other])
