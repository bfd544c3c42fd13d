"""Whether scores equal sacrebleu's and rouge-score's on whole data sets: `python bench_exact.py DATA [LINES]`.

DATA holds `multi30k/test_2016_flickr.LANGUAGE.gz`, `scitldr/PART.jsonl.gz`, `legal/all_v1.json.gz` and
`xquad/xquad.LANGUAGE.json.gz`. BLEU, chrF and TER of the captions in three languages, words dropped from each as a
system would, with one to four references a line; ROUGE of three sentences of each paper, and of the beginning of each
clause of a contract, against all summaries, stemmed and not; sentences of XQuAD against the answers by all of these.
Prints the largest difference of any score.
"""

from __future__ import annotations

import gzip
import json
import math
import sys
from collections.abc import Sequence
from pathlib import Path

from rouge_score.rouge_scorer import RougeScorer
from sacrebleu.metrics.bleu import BLEU
from sacrebleu.metrics.chrf import CHRF
from sacrebleu.metrics.ter import TER

from palaver.example import Example
from palaver_metrics.bleu import Bleu, ChrF, Ter
from palaver_metrics.rouge import Rouge1, Rouge2, RougeL, RougeLsum
from palaver_metrics.rougetext import Texts

KINDS = (Rouge1, Rouge2, RougeL, RougeLsum)


def main(data: Path, lines: int) -> None:
    """A line for each set and scorer."""
    for language in ("de", "en", "fr"):
        captions(data / "multi30k" / f"test_2016_flickr.{language}.gz", language, lines)
    for part in ("train", "dev", "test"):
        for is_stemmed in (False, True):
            path = data / "scitldr" / f"{part}.jsonl.gz"
            summaries(path.name, papers(path)[:lines], is_stemmed=is_stemmed)
    for is_stemmed in (False, True):
        summaries("legal", clauses(data / "legal" / "all_v1.json.gz")[:lines], is_stemmed=is_stemmed)
    for language in ("de", "en", "es"):
        pairs = sentences(data / "xquad" / f"xquad.{language}.json.gz")[:lines]
        translations(f"xquad.{language}", [one for one, _ in pairs], [refs for _, refs in pairs], language)
        summaries(f"xquad.{language}", pairs, is_stemmed=False)


def captions(path: Path, language: str, count: int) -> None:
    with gzip.open(path, "rt", encoding="utf-8") as file:
        texts = [line.rstrip("\n") for line in file][: count + 4]
    outputs, references = [], []
    for index, line in enumerate(texts[:-4]):
        outputs.append(" ".join(word for place, word in enumerate(line.split()) if (place + index) % 6))
        references.append((line, *texts[index + 1 : index + 1 + index % 4]))
    translations(path.name, outputs, references, language)


def translations(name: str, outputs: Sequence[str], references: Sequence[tuple[str, ...]], language: str) -> None:
    streams = [[refs[place] if place < len(refs) else None for refs in references] for place in range(4)]
    for ours, theirs in ((Bleu(), BLEU), (ChrF(), CHRF), (Ter(), TER)):
        scores = [
            ours.score(output, Example({}, refs, language=language))
            for output, refs in zip(outputs, references, strict=True)
        ]
        sums = [math.fsum(column) for column in zip(*(one.stats for one in scores), strict=True)]
        whole = ours.corpus(sums, len(scores), scores[0].corpus_signature)
        expected = theirs().corpus_score(outputs, streams)
        sentence = BLEU(effective_order=True) if theirs is BLEU else theirs()
        apart = [
            abs((one.value or 0.0) - sentence.sentence_score(output, refs).score)
            for one, output, refs in zip(scores, outputs, references, strict=True)
        ]
        print(
            f"{name} {whole.title}: {len(outputs):,} lines, corpus {abs((whole.value or 0) - expected.score):.1e} "
            f"apart, sentences at most {max(apart):.1e}",
            flush=True,
        )


def papers(path: Path) -> list[tuple[str, tuple[str, ...]]]:
    with gzip.open(path, "rt", encoding="utf-8") as file:
        rows = [json.loads(line) for line in file]
    return [("\n".join(row["source"][:3]), tuple(row["target"])) for row in rows]


def clauses(path: Path) -> list[tuple[str, tuple[str, ...]]]:
    with gzip.open(path, "rt", encoding="utf-8") as file:
        rows = json.load(file).values()
    return [(row["original_text"][:200], (row["reference_summary"],)) for row in rows]


def sentences(path: Path) -> list[tuple[str, tuple[str, ...]]]:
    found = []
    with gzip.open(path, "rt", encoding="utf-8") as file:
        paragraphs = [one for article in json.load(file)["data"] for one in article["paragraphs"]]
    for paragraph in paragraphs:
        apart = paragraph["context"].split(". ")
        for place, question in enumerate(paragraph["qas"]):
            found.append((apart[place % len(apart)], tuple(one["text"] for one in question["answers"])))
    return found


def summaries(name: str, pairs: Sequence[tuple[str, tuple[str, ...]]], *, is_stemmed: bool) -> None:
    theirs = RougeScorer(["rouge1", "rouge2", "rougeL", "rougeLsum"], use_stemmer=is_stemmed)
    texts = Texts(is_stemmed=is_stemmed)
    ours = [kind(texts) for kind in KINDS]
    differ = total = 0
    for output, references in pairs:
        expected = theirs.score_multi(references, output)
        for rouge in ours:
            found = rouge.score(output, Example({}, references)).value
            differ += found != expected[rouge.name.removesuffix("-stem")].fmeasure
            total += 1
    print(f"{name} ROUGE{', stemmed' if is_stemmed else ''}: {differ} of {total:,} scores differ", flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 10_000)
