"""Text on its way to a network: reading, keeping a part back without leaks, tokenizers."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

pytest.importorskip("torch")
pytest.importorskip("tokenizers")

from tests.plugins.train_runs import TEN

from palaver import BadInput
from palaver.pieces import Pieces
from palaver_train.config import make_run
from palaver_train.material import prepare
from palaver_train.split import key, split_items, split_text, without
from palaver_train.text import Cleaning, read_pairs, read_text
from palaver_train.tokens import UNKNOWN, Sort, TextTokenizer, learn_tokenizer

SORTS: list[Sort] = ["char", "word", "bpe", "unigram"]
TEXT = "The cat sat on the mat. Ünïcode: 日本 and 🎈!\n\nA second paragraph, with  two spaces.\n" * 5


@pytest.mark.parametrize("sort", SORTS)
def test_a_tokenizer_gives_the_text_back(sort: Sort) -> None:
    made = learn_tokenizer(sort, TEXT.splitlines(keepends=True), 300, Cleaning())
    read = TextTokenizer.from_json(made.to_json())
    assert read.decode(read.encode(TEXT)) == TEXT
    assert read.size <= 300
    assert UNKNOWN not in read.encode(TEXT)


@pytest.mark.parametrize("sort", SORTS)
def test_pieces_of_an_answer_are_its_text(sort: Sort) -> None:
    made = learn_tokenizer(sort, TEXT.splitlines(keepends=True), 300, Cleaning())
    prompt, rest = (
        made.encode("The cat "),
        made.encode("The cat sat 日本 🎈 on the mat.")[len(made.encode("The cat")) :],
    )
    pieces = Pieces(made.decode, prompt=made.encode("The cat") or prompt)
    assert "".join([*(pieces.push([token]) for token in rest), pieces.finish()]).strip() == "sat 日本 🎈 on the mat."


def test_an_answer_ends_before_its_stop_text_even_if_that_is_cut_in_two() -> None:
    made = learn_tokenizer("char", [TEXT], 300, Cleaning())
    pieces = Pieces(made.decode, ("the mat", "zzz"))
    told = [pieces.push([token]) for token in made.encode("sat on the mat. And")]
    assert "".join(told) + pieces.finish() == "sat on "
    assert pieces.stopped


def test_characters_are_normalised_before_they_are_counted() -> None:
    composed, apart = "caf\u00e9", "cafe\u0301"
    for sort in SORTS:
        made = learn_tokenizer(sort, [composed * 3, apart * 3, "and more words for it"], 300, Cleaning("nfc"))
        assert made.encode(composed) == made.encode(apart)
    assert Cleaning("nfkc").clean("ﬁne") == "fine"
    assert learn_tokenizer("char", ["abc ABC"], 99, Cleaning(lowercase=True)).decode([4]).islower()


def test_pairs_that_share_a_side_stay_in_one_part() -> None:
    pairs = [(f"source {number // 3}", f"target {number}") for number in range(300)]
    split = split_items(pairs, lambda pair: [key(text) for text in pair], 0.2, 0.1, 1)
    parts = [{source for source, _ in part} for part in (split.train, split.valid, split.test)]
    assert all(parts)
    assert parts[0].isdisjoint(parts[1]) and parts[0].isdisjoint(parts[2]) and parts[1].isdisjoint(parts[2])
    assert sum(map(len, (split.train, split.valid, split.test))) == 300


def test_pairs_that_all_stand_together_are_told_as_such() -> None:
    same = [(f"source {number}", "yes") for number in range(40)]
    with pytest.raises(BadInput, match="40 texts, 1 once those that share a text are put together, are too few"):
        split_items(same, lambda pair: [key(text) for text in pair], 0.1, 0.1, 1)


def test_what_is_validated_on_is_not_learnt() -> None:
    left, taken = without(["One  two", "three"], ["one TWO"], lambda text: [key(text)])
    assert (left, taken) == (["three"], 1)


def test_a_long_paragraph_in_both_parts_of_a_text_stays_in_the_first_only() -> None:
    copied = "This paragraph is a copy, it is long, and it stands in more than one place of the text.\n"
    text = copied + "\n" + "Something else.\n\n" * 20 + copied + "\nThe end is here, and it is new.\n"
    split = split_text(text, 0.4, 0.0)
    assert split.duplicates == 1
    assert copied not in split.valid
    assert "The end is here" in split.valid
    assert split.train + split.valid == text.replace("\n" + copied, "\n") or copied in split.train


def test_a_running_text_may_be_compressed(tmp_path: Path) -> None:
    path = tmp_path / "a.txt.gz"
    path.write_bytes(gzip.compress("Grüße\nzwei\n".encode()))
    assert read_text(str(path), Cleaning()) == "Grüße\nzwei\n"


def test_pairs_come_from_columns_too(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    rows = [{"source": ["One.", "Two."], "summary": "both"}, {"source": "three", "summary": ""}]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    assert read_pairs(str(path), "", ("source", "summary"), Cleaning()) == [("One. Two.", "both")]
    with pytest.raises(BadInput, match="no column 'target'; it has: source, summary"):
        read_pairs(str(path), "", ("source", "target"), Cleaning())


def test_what_was_left_out_is_said(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("".join(f"{line}\n" for line in [*TEN, TEN[0], "a " * 50]), "utf-8")
    (tmp_path / "v.txt").write_text(f"{TEN[1].upper()}\n", "utf-8")
    run = make_run(
        "autoencoder",
        {"text": str(tmp_path / "a.txt"), "valid": str(tmp_path / "v.txt"), "context": 20, "tokenizer": "word"},
    )
    notes = prepare(run).notes
    assert notes == (
        "1 of 12 texts stood there twice and are used once.",
        "1 training texts also stand in the validation text and are left out.",
        "1 of 10 training texts are longer than 19 tokens and left out.",
    )
