"""Files that go together line by line, as sacrebleu reads them: sources, outputs, references."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TextIO

from palaver import BadInput, BadRecord, ImportedTurn
from palaver_interop.fields import one_line, references


class SacrebleuFiles:
    """What `sacrebleu REF... -i OUTPUT` scores, with the sources that it does not need and history does."""

    name: str = "sacrebleu"
    summary: str = "SOURCES OUTPUTS [REFERENCES...], one a line"

    def read(self, files: Sequence[Path]) -> Iterator[ImportedTurn | BadRecord]:
        """Each line a turn of `translate`; an empty line of references is none."""
        if len(files) < 2:
            raise BadInput("sacrebleu's files are two or more: SOURCES OUTPUTS [REFERENCES...].", code="missing_file")
        sides = [path.read_text("utf-8-sig").removesuffix("\n").split("\n") for path in files]
        for path, side in zip(files, sides, strict=True):
            if len(side) != len(sides[0]):
                raise BadInput(
                    f"{files[0]} has {len(sides[0]):,} lines and {path} has {len(side):,}: they do not go together.",
                    fix=f"wc -l {files[0]} {path}",
                    code="line_mismatch",
                )
        for number, (source, output, *given) in enumerate(zip(*sides, strict=True), 1):
            place = f"{files[1].name}:{number}"
            if not source.strip():
                yield BadRecord(place, "its source is empty")
            else:
                kept = tuple(one for one in given if one.strip())
                yield ImportedTurn(place, {"text": source}, output, task="translate", references=kept)


class SourceLines:
    """The inputs; `--format txt` gives the outputs of the same turns, line by line."""

    name: str = "sources"
    summary: str = "one input a line, beside --format txt"

    def export(self, turns: Iterable[Mapping[str, object]], out: TextIO) -> int:
        """Whole answers or not: the lines must go with those of `txt`."""
        written = 0
        for written, turn in enumerate(turns, 1):  # noqa: B007 (counted)
            out.write(one_line(str(turn.get("input_text", ""))) + "\n")
        return written


class ReferenceLines:
    """The first references; an empty line where a turn has none."""

    name: str = "references"
    summary: str = "the first reference of each turn, one a line, beside --format txt"

    def export(self, turns: Iterable[Mapping[str, object]], out: TextIO) -> int:
        """See `SourceLines`."""
        written = 0
        for written, turn in enumerate(turns, 1):  # noqa: B007 (counted)
            out.write(one_line(next(iter(references(turn)), "")) + "\n")
        return written
