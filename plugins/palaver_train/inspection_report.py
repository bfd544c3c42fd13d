"""What was found in a corpus, in lines of text, and what to look at first."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator

from palaver_train.inspection import NAMES, Inspection, Part
from palaver_train.quality import Found, Side, Words

_TOLD = 5
"""Bad records whose reasons are told in full."""
_MARGIN = " " * 9


def report(found: Inspection) -> Iterator[str]:
    """The lines that the command prints."""
    train = found.parts[0]
    for part in found.parts:
        yield from _part(part, is_first=part is train)
        yield ""
    yield f"tokens   {found.tokenizer}, {found.vocabulary:,} of them, learnt from {train.name}"
    for part in found.parts:
        if part.pieces:
            told = f"{part.pieces.tokens_per_word:.2f} tokens a word, {part.pieces.unknown:.2%} unknown"
            yield f"{_MARGIN}{part.name}: {told}"
    for place, one in enumerate(found.to_beat):
        label = f"{one.side}: " if one.side else ""
        told = f"{one.loss:.3f} nats a token, {one.bits_per_character:.3f} bits a character, on {one.held_out}"
        yield f"{'' if place else 'to beat':9}{label}a Kneser-Ney model of {one.order}-grams reaches {told}"
    yield ""
    concerns = list(_concerns(found)) or ["nothing: this can be trained on"]
    yield f"{'look at':9}{concerns[0]}"
    yield from (f"{_MARGIN}{one}" for one in concerns[1:])


def _part(part: Part, *, is_first: bool) -> Iterator[str]:
    count = part.records - len(part.bad)
    spoken = " → ".join(one.language or "?" for one in part.sides)
    size = sum(one.characters for one in part.sides)
    unit = ("text", "pair")[len(part.sides) - 1]
    yield f"{part.name:9}{_many(count, unit)} · {spoken} · {_many(size, 'character')}"
    for reason in part.bad[:_TOLD]:
        yield f"{_MARGIN}! {reason}"
    if len(part.bad) > _TOLD:
        yield f"{_MARGIN}! and {len(part.bad) - _TOLD:,} more that cannot be read"
    for label, one, words in zip(_labels(part), part.sides, part.words, strict=True):
        yield from (f"{_MARGIN}{label}{line}" for line in _side(one, words, is_first=is_first))
    yield from (f"{_MARGIN}{line}" for line in _faults(part))
    for label, shared in zip(_labels(part), part.overlap, strict=False):
        unknown = f"{shared.unknown_words:.1%} of the words and {shared.unknown_kinds:.1%} of their kinds"
        yield f"{_MARGIN}{label}{unknown} are not in training"
        same, near = _told("also in training", shared.same), _told("share 8 words in a row with it", shared.near)
        yield f"{_MARGIN}{label}{same}; {near}"


def _labels(part: Part) -> list[str]:
    return [f"{name}: " for name in NAMES] if len(part.sides) == 2 else [""]


def _side(one: Side, words: Words, *, is_first: bool) -> Iterator[str]:
    if one.lengths:
        long = one.lengths
        yield f"{long.least} to {long.most} words a text, half up to {long.median}, 19 of 20 up to {long.most_of_all}"
    yield f"{_many(words.running, 'word')} of {words.kinds:,} kinds, {words.once:,} stand once"
    if is_first and words.coverage:
        yield "the commonest " + " · ".join(f"{size:,} cover {share:.1%}" for size, share in words.coverage)
    if is_first and words.subjects:
        kept = words.without_stop_words / (words.running or 1)
        yield f"without stop words {kept:.0%} are left: {', '.join(words.subjects)}"


def _faults(part: Part) -> Iterator[str]:
    """A line for each fault that is there, and one for all that are not."""
    counted = [("twice", part.copies.exact), ("twice but for case and spaces", part.copies.near)]
    if part.pairs:
        counted += [
            ("one-sided", part.pairs.one_sided),
            ("source = target", part.pairs.copied),
            ("odd in length", part.pairs.odd_ratio),
            ("same source, other target", part.pairs.ambiguous),
        ]
    absent = [name for name, one in counted if not one.count]
    there = [_told(name, one) for name, one in counted if one.count]
    for name in ("empty", "foreign", "broken", "control", "unnormalized"):
        told = _SIDE_FAULTS[name]
        found = [(label, getattr(one, name)) for label, one in zip(_labels(part), part.sides, strict=True)]
        there += [f"{label}{_told(told, one)}" for label, one in found if one.count]
        absent += [told] if not any(one.count for _, one in found) else []
    yield from there
    if absent:
        yield from textwrap.wrap(f"none {', '.join(absent)}", 100, subsequent_indent="     ")


_SIDE_FAULTS = {
    "empty": "empty",
    "foreign": "in another language",
    "broken": "with broken characters",
    "control": "with control characters",
    "unnormalized": "not in NFC",
}


def _told(name: str, found: Found) -> str:
    return f"{found.count:,} {name}" + (f" (first: line {found.first:,})" if found.count and found.first else "")


def _many(count: int, unit: str) -> str:
    return f"{count:,} {unit}{'' if count == 1 else 's'}"


def _concerns(found: Inspection) -> Iterator[str]:
    """What a careful reader would want to mend first."""
    for part in found.parts:
        count = part.records - len(part.bad) or 1
        if part.bad:
            yield f"{part.name}: {len(part.bad):,} of {part.records:,} records cannot be read"
        if part.overlap and (same := max(one.same.count for one in part.overlap)):
            verb = "is" if same == 1 else "are"
            yield f"{part.name}: {_many(same, 'text')} {verb} also in training: a score on it is flattered"
        if part.overlap and (near := max(one.near.count for one in part.overlap)) > count / 50:
            yield f"{part.name}: {near / count:.1%} of the texts share eight words in a row with training"
        if (again := part.copies.exact.count + part.copies.near.count) > count / 100:
            yield f"{part.name}: {again / count:.1%} are copies"
        if part.pairs and (lonely := part.pairs.one_sided.count):
            yield f"{part.name}: {_many(lonely, 'pair')} without one side; training leaves them out"
        for label, one in zip(_labels(part), part.sides, strict=True):
            for name in ("foreign", "broken", "control"):
                fault: Found = getattr(one, name)
                if fault.count > count / 100:
                    yield f"{part.name}: {label}{_many(fault.count, 'text')} {_SIDE_FAULTS[name]}"
    train = found.parts[0]
    if train.records < 1000:
        yield f"{train.name}: {_many(train.records, 'text')} are few; a network learns them by heart"
    if train.pieces and train.pieces.unknown > 0.02:
        yield f"{train.pieces.unknown:.1%} of the training tokens are unknown: a larger --vocabulary, or bpe"
