"""`palaver data inspect`: what is wrong with a corpus is counted, and each count can be checked by hand."""

from __future__ import annotations

import itertools
import json
import math
from pathlib import Path

import click
import numpy as np
import pytest
from click.testing import CliRunner, Result

from palaver_train.data_commands import add_to
from palaver_train.kneser_ney import NgramModel
from palaver_train.quality import Found, copies, overlap, pair_faults, side, word_use

pytest.importorskip("tokenizers")


def numbered(texts: list[str]) -> range:
    return range(1, len(texts) + 1)


def test_a_side_counts_what_is_empty_foreign_broken_and_not_normalized() -> None:
    texts = ["The dog sleeps in the kitchen."] * 4 + [
        "",
        "Der Hund schläft in der Küche und sie nicht.",
        "a \ufffd the",
    ]
    texts += ["bell\x07 of the dog", "the cafe\u0301 of the town"]
    found = side(texts, numbered(texts))
    assert found.language == "en"
    assert (found.empty, found.foreign, found.broken) == (Found(1, 5), Found(1, 6), Found(1, 7))
    assert (found.control, found.unnormalized) == (Found(1, 8), Found(1, 9))
    assert found.lengths is not None
    assert (found.lengths.least, found.lengths.most) == (2, 9)


def test_a_line_in_another_script_is_foreign_and_a_name_is_not() -> None:
    texts = ["The dog sleeps in the kitchen."] * 4 + ["Собака спит на кухне.", "Il Gattopardo", "Angela Merkel"]
    assert side(texts, numbered(texts)).foreign == Found(1, 5)


def test_copies_are_told_apart_from_those_that_differ_in_case_and_spaces() -> None:
    texts = ["A dog.", "A cat.", "A dog.", "a  DOG.", "", ""]
    found = copies(texts, numbered(texts))
    assert (found.exact, found.near) == (Found(1, 3), Found(1, 4))


def test_pairs_that_are_one_sided_copied_odd_or_ambiguous_are_found() -> None:
    pairs = [(f"one two three {n}", f"eins zwei drei {n}") for n in range(40)]
    pairs += [("alone", ""), ("Same", "same"), ("one two three four", "eins " * 30), ("one two three 1", "anders 1")]
    found = pair_faults(pairs, range(1, len(pairs) + 1))
    assert (found.one_sided, found.copied) == (Found(1, 41), Found(1, 42))
    assert (found.odd_ratio, found.ambiguous) == (Found(1, 43), Found(1, 44))


def test_words_are_counted_with_and_without_stop_words() -> None:
    found = word_use(["The dog and the cat.", "The dog."], "en")
    # the 3, dog 2, and 1, cat 1: seven words of four kinds, two of them once; dog, dog and cat are no stop words.
    assert (found.running, found.kinds, found.once, found.without_stop_words) == (7, 4, 2, 3)
    assert found.subjects == ("dog", "cat")


def test_what_a_held_out_part_shares_with_training_is_found() -> None:
    train = ["The dog sleeps.", "one two three four five six seven eight nine"]
    held_out = ["the  dog sleeps.", "zero one two three four five six seven eight", "A cat sleeps."]
    found = overlap(train, held_out, numbered(held_out))
    assert (found.same, found.near) == (Found(1, 1), Found(1, 2))
    # Of 3 + 9 + 3 words zero, a and cat are unknown.
    assert found.unknown_words == pytest.approx(3 / 15)


def test_the_probabilities_of_the_ngram_model_are_a_distribution_after_any_words() -> None:
    model = NgramModel(np.array([0, 1, 2, 0, 1, 2, 0, 1, 0, 2, 1, 0, 1, 2]), 3, 3)
    for history in itertools.product(range(3), repeat=3):
        total = sum(model.probabilities(np.array([*history, token]))[-1] for token in range(3))
        assert total == pytest.approx(1.0)


def test_the_ngram_model_is_kneser_and_neys() -> None:
    # Bigrams 0 1, 1 0, 0 1, 1 2: counts 2, 1, 1, so D = n1 / (n1 + 2 n2) = 2 / (2 + 2 * 1) = 1/2. Lower order:
    # different words before 0, 1, 2 are (the beginning and 1), (0), (1), so 2, 1, 1 of 4, D = 1/2 again.
    model = NgramModel(np.array([0, 1, 0, 1, 2]), 3, 2)
    lower = max(1 - 0.5, 0) / 4 + 0.5 * 3 / 4 * (1 / 3)
    # After 1 stood 0 once and 2 once: (1 - 1/2) / 2 + 1/2 * 2 / 2 * lower.
    assert model.probabilities(np.array([1, 2]))[1] == pytest.approx(0.5 / 2 + 0.5 * lower)


def test_a_better_known_text_is_likelier_and_no_token_is_impossible() -> None:
    tokens = np.tile(np.arange(5), 200)
    model = NgramModel(tokens, 6, 4)
    assert model.loss(np.tile(np.arange(5), 10)) < 0.2 < math.log(6)
    assert model.loss(np.array([5, 5, 5])) < math.inf


def inspect(*arguments: str) -> Result:
    group = click.Group("palaver")
    add_to(group)
    return CliRunner().invoke(group, ["data", "inspect", *arguments])


@pytest.fixture
def corpus(tmp_path: Path) -> dict[str, str]:
    """Ten pairs, of which the last ones are faulty, and a validation part that shares the first."""
    english = [f"The dog number {n} sleeps in the kitchen." for n in range(8)] + [
        "",
        "The dog number 1 sleeps in the kitchen.",
    ]
    german = [f"Der Hund Nummer {n} schläft in der Küche." for n in range(8)] + ["Allein.", "Anders."]
    files = {"en": english, "de": german, "valid.en": [english[0], "A cat."], "valid.de": [german[0], "Eine Katze."]}
    for name, lines in files.items():
        (tmp_path / name).write_text("".join(f"{line}\n" for line in lines), "utf-8")
    return {name: str(tmp_path / name) for name in files}


def test_the_report_names_each_fault_with_its_first_line(corpus: dict[str, str]) -> None:
    done = inspect(
        corpus["en"], "--target", corpus["de"], "--valid", corpus["valid.en"], "--valid-target", corpus["valid.de"],
        "--tokenizer", "word",
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    for said in (
        "train    10 pairs · en → de",
        "1 one-sided (first: line 9)",
        "1 same source, other target (first: line 10)",
        "valid: 1 text is also in training: a score on it is flattered",
        "train: 10 texts are few; a network learns them by heart",
        "a Kneser-Ney model of 3-grams reaches",
    ):
        assert said in done.output


def test_json_has_every_count(corpus: dict[str, str]) -> None:
    done = inspect(corpus["en"], "--target", corpus["de"], "--tokenizer", "char", "--json")
    found = json.loads(done.stdout)
    assert found["schema"] == "palaver.inspection/1"
    assert found["parts"][0]["pairs"]["one_sided"] == {"count": 1, "first": 9}
    assert found["to_beat"][1]["side"] == "target"


def test_a_bad_record_is_named_and_costs_only_itself(tmp_path: Path) -> None:
    path = tmp_path / "mixed.txt"
    path.write_bytes(b"A good line.\nA b\xffd line.\nAnother good line.\n")
    done = inspect(str(path), "--tokenizer", "char")
    assert done.exit_code == 4
    assert "train    2 texts" in done.output
    assert f"! {path}:2: not UTF-8" in done.output
    assert "train: 1 of 3 records cannot be read" in done.output


@pytest.mark.parametrize(
    ("content", "arguments", "said"),
    [
        (b"", (), "has no text that can be learnt from"),
        (b"\x00\x01\x02\xff\n", (), "has no text that can be learnt from"),
        (b"one\ntwo\n", ("--target", "{other}"), "2 lines and"),
        (b"one\n", ("--valid", "{other}", "--valid-target", "{other}"), "as many sides"),
    ],
    ids=["empty", "binary", "misaligned", "sides"],
)
def test_what_cannot_be_inspected_is_refused_in_a_sentence(
    tmp_path: Path, content: bytes, arguments: tuple[str, ...], said: str
) -> None:
    (tmp_path / "one").write_bytes(content)
    (tmp_path / "other").write_text("eins\n", "utf-8")
    done = inspect(str(tmp_path / "one"), *(one.format(other=tmp_path / "other") for one in arguments))
    assert done.exception is not None
    assert said in str(done.exception)


def test_a_table_is_inspected_by_its_columns(tmp_path: Path) -> None:
    path = tmp_path / "pairs.jsonl"
    rows = [{"en": f"dog {n}", "de": f"Hund {n}"} for n in range(20)] + [{"en": "no other side"}]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    done = inspect(str(path), "--source-column", "en", "--target-column", "de", "--tokenizer", "char")
    assert done.exit_code == 4
    assert "train    20 pairs" in done.output
    assert f"{path}:21: has no column 'de', but: en" in done.output
