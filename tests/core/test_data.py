"""Data sets: every format becomes the same examples, and every malformed record is named and costs only itself."""

from __future__ import annotations

import gzip
import json
import sys
from pathlib import Path

import pytest

from palaver.data import Wanted, read_dataset
from palaver.errors import BadInput, UsageError

QA = Wanted(("context", "question"), may_have_no_answer=True)
GOOD = '{"text": "One cat.", "reference": "A cat."}\n'


def write(folder: Path, name: str, content: str | bytes) -> Path:
    path = folder / name
    raw = content if isinstance(content, bytes) else content.encode()
    path.write_bytes(gzip.compress(raw) if name.endswith(".gz") else raw)
    return path


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.jsonl", '{"source": "One.", "target": "Eins."}\n{"source": "Two.", "target": "Zwei."}\n'),
        ("a.jsonl.gz", '{"source": ["One."], "target": ["Eins."]}\n\n{"source": ["Two."], "target": ["Zwei."]}'),
        ("a.json", '[{"source": "One.", "target": "Eins."}, {"source": "Two.", "target": "Zwei."}]'),
        ("a.json", '{"rows": [{"source": "One.", "target": "Eins."}, {"source": "Two.", "target": "Zwei."}]}'),
        ("a.csv", "source,target\nOne.,Eins.\nTwo.,Zwei.\n"),
        ("a.csv", 'source;target\r\n"One.";"Eins."\r\nTwo.;Zwei.\r\n'),
        ("a.tsv.gz", "source\ttarget\nOne.\tEins.\nTwo.\tZwei."),
        ("a.jsonl", '{"translation": {"en": "One.", "de": "Eins."}}\n{"translation": {"en": "Two.", "de": "Zwei."}}'),
        ("a.csv", "de,en\nEins.,One.\nZwei.,Two.\n"),
    ],
)
def test_every_format_gives_the_same_examples(tmp_path: Path, name: str, content: str) -> None:
    found = read_dataset(write(tmp_path, name, content), Wanted(languages=("en", "de")))
    assert [(one["text"], one.references) for one in found.examples] == [("One.", ("Eins.",)), ("Two.", ("Zwei.",))]
    assert [one.id for one in found.examples] == ["1", "2"]
    assert found.bad == ()


def test_files_by_line_go_together(tmp_path: Path) -> None:
    source = write(tmp_path, "a.en", "One.\nTwo.\u2028Still two.\n")
    targets = [write(tmp_path, "a.de", "Eins.\nZwei.\n"), write(tmp_path, "b.de.gz", "\nZweie.\n")]
    found = read_dataset(source, Wanted(), references=targets)
    assert [one["text"] for one in found.examples] == ["One.", "Two.\u2028Still two."]
    assert [one.references for one in found.examples] == [("Eins.",), ("Zwei.", "Zweie.")]


def test_files_with_different_numbers_of_lines_do_not_go_together(tmp_path: Path) -> None:
    source, target = write(tmp_path, "a.en", "One.\nTwo.\n"), write(tmp_path, "a.de", "Eins.\n")
    with pytest.raises(BadInput, match=r"2 lines .* has 1"):
        read_dataset(source, Wanted(), references=[target])


def test_squad_is_read_with_several_answers_and_none(tmp_path: Path) -> None:
    questions = [
        {"id": "a", "question": "Who?", "answers": [{"text": "Ann"}, {"text": "Ann"}, {"text": "Ann B."}]},
        {"id": "b", "question": "Why?", "answers": [], "is_impossible": True},
        {"id": "c", "question": ""},
    ]
    content = {"data": [{"paragraphs": [{"context": "Ann B. came.", "qas": questions}, {"context": "x"}]}]}
    found = read_dataset(write(tmp_path, "squad.json", json.dumps(content)), QA)
    assert [(one.id, one.references) for one in found.examples] == [("a", ("Ann", "Ann B.")), ("b", ("",))]
    # The question without words, and the paragraph without questions.
    assert [one.place.partition(":")[2] for one in found.bad] == [
        str(tmp_path / "squad.json:data[0].paragraphs[0].qas[2]").partition(":")[2],
        "data[0].paragraphs[1].qas[0]",
    ]


# Each is one bad record between good ones: what of it is told, and on which line.
MALFORMED = {
    "not-utf8.jsonl": (GOOD.encode() + b'{"text": "caf\xe9", "reference": "x"}\n' + GOOD.encode(), 2, "0xe9"),
    "cut-off.jsonl": (GOOD + '{"text": "One\n' + GOOD, 2, "not JSON"),
    "nan.jsonl": (GOOD + '{"text": "a", "reference": "b", "weight": NaN}\n' + GOOD, 2, "NaN"),
    "twice.jsonl": (GOOD + '{"text": "a", "text": "b", "reference": "c"}\n' + GOOD, 2, "'text' stands there twice"),
    "surrogate.jsonl": (GOOD + '{"text": "a \\ud83d b", "reference": "c"}\n' + GOOD, 2, "surrogate"),
    "deep.jsonl": (GOOD + "[" * 100_000 + "]" * 100_000 + "\n" + GOOD, 2, "nested"),
    "digits.jsonl": (GOOD + '{"text": "a", "reference": ' + "9" * 5000 + "}\n" + GOOD, 2, "digits"),
    "list.jsonl": (GOOD + '["One cat.", "A cat."]\n' + GOOD, 2, "is a list"),
    "missing.jsonl": (GOOD + '{"text": "One cat."}\n' + GOOD, 2, "no reference"),
    "number.jsonl": (GOOD + '{"text": {"a": 1}, "reference": "x"}\n' + GOOD, 2, "text is an object"),
    "same-id.jsonl": ('{"id": 1, "text": "a", "ref": "b"}\n{"id": "1", "text": "c", "ref": "d"}\n', 2, "id.jsonl:1"),
    "empty.csv": ("text,reference\nOne.,Eins.\n  ,Zwei.\nThree.,Drei.\n", 3, "text is empty"),
    "extra.csv": ("text,reference\nOne.,Eins.\nTwo, too,Zwei.\nThree.,Drei.\n", 3, "3 fields, the header has 2"),
    "few.csv": ("text,reference\nOne.,Eins.\nTwo.\nThree.,Drei.\n", 3, "1 field, the header has 2"),
    "quote.csv": ('text,reference\nOne.,Eins.\n"Two.,Zwei.\nThree.,Drei.\n"Four.",Vier.\n', 3, "not a row"),
    "never-closed.csv": ('text,reference\nOne.,Eins.\n"Two.,Zwei.\nThree.,Drei.\n', 3, "never closed"),
    "nul.csv": ("text,reference\nOne.,Eins.\nT\0wo.,Zwei.\nThree.,Drei.\n", 3, "NUL"),
    "latin1.csv": ("text,reference\nOne.,Eins.\nTwo.,Zwölf.\nThree.,Drei.\n".encode("latin-1"), 3, "0xf6"),
    "latin1.tsv": ("text\treference\nOne.\tEins.\nTwo.\tZwölf.\n".encode("latin-1"), 3, "0xf6"),
}


@pytest.mark.parametrize("name", MALFORMED)
def test_a_malformed_record_is_named_and_the_others_are_read(tmp_path: Path, name: str) -> None:
    content, line, told = MALFORMED[name]
    path = write(tmp_path, name, content)
    records = content.count(b"\n" if isinstance(content, bytes) else "\n") - (path.suffix != ".jsonl")  # type: ignore[arg-type]
    found = read_dataset(path, Wanted())
    assert [one.place for one in found.bad] == [f"{path}:{line}"]
    assert told in found.bad[0].reason
    assert len(found.examples) == records - 1
    assert found.n_in == records


def test_the_end_of_a_damaged_gzip_is_told(tmp_path: Path) -> None:
    rows = "".join(json.dumps({"text": f"{n} {hash(str(n))}", "ref": str(n)}) + "\n" for n in range(20_000))
    path = tmp_path / "a.jsonl.gz"
    path.write_bytes(gzip.compress(rows.encode())[:-1000])
    found = read_dataset(path, Wanted())
    assert len(found.examples) > 1000
    assert len(found.bad) == 1
    assert "gzip" in found.bad[0].reason


def test_a_byte_order_mark_is_no_part_of_the_first_column(tmp_path: Path) -> None:
    found = read_dataset(write(tmp_path, "a.csv", "\ufefftext,reference\nOne.,Eins.\n"), Wanted())
    assert found.columns["text"] == "text"
    assert found.examples[0]["text"] == "One."


def test_line_separators_inside_of_a_text_end_no_record(tmp_path: Path) -> None:
    path = write(tmp_path, "a.jsonl", '{"text": "a\u2028b\x85c", "reference": "d"}\n')
    assert read_dataset(path, Wanted()).examples[0]["text"] == "a\u2028b\x85c"


def test_a_field_of_a_megabyte_and_one_of_many_lines_are_read(tmp_path: Path) -> None:
    long, many = "x" * 1_000_000, "\n".join(f'line {n}, with "quotes"' for n in range(500))
    quoted = many.replace('"', '""')
    rows = f'text,reference\n{long},a\n"{quoted}",b\n'
    found = read_dataset(write(tmp_path, "a.csv", rows), Wanted())
    assert [one["text"] for one in found.examples] == [long, many]


def test_a_quote_in_a_tsv_is_a_quote(tmp_path: Path) -> None:
    rows = 'text\treference\n"Go, he said.\tGeh.\nA 5" pipe\tRohr\n"In quotes"\tJa\n'
    found = read_dataset(write(tmp_path, "a.tsv", rows), Wanted())
    assert [one["text"] for one in found.examples] == ['"Go, he said.', 'A 5" pipe', "In quotes"]


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("a.jsonl", "", "no records"),
        ("a.csv", "text,text\n1,2\n", "name twice"),
        ("a.json", '{"a": 1,}', "not JSON"),
        ("a.jsonl", '{"x": "a"}\n', "no column for text. Its columns are: x"),
        ("utf16.txt", "One.\n".encode("utf-16"), "UTF-16"),
    ],
)
def test_a_file_of_which_nothing_can_be_read_is_refused(
    tmp_path: Path, name: str, content: str | bytes, told: str
) -> None:
    with pytest.raises(BadInput, match=told):
        read_dataset(write(tmp_path, name, content), Wanted())


def test_a_name_that_lies_about_gzip_is_told(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl.gz"
    path.write_text(GOOD)
    with pytest.raises(BadInput, match="not compressed"):
        read_dataset(path, Wanted())


def test_a_column_that_is_not_there_is_told_with_the_part_it_was_meant_for(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text('{"title": "a", "text": "b"}\n', "utf-8")
    with pytest.raises(BadInput, match=r"no column 'body'\. Its columns are: title, text") as caught:
        read_dataset(path, Wanted(columns={"text": "body"}))
    assert caught.value.fix == "--column text=COLUMN"


def test_the_users_word_about_columns_comes_first(tmp_path: Path) -> None:
    path = write(tmp_path, "a.jsonl", '{"text": "a", "title": "b", "target": "c", "notes": "d"}\n')
    found = read_dataset(path, Wanted(columns={"text": "title", "references": "notes"})).examples[0]
    assert (found["text"], found.references) == ("b", ("d",))
    with pytest.raises(BadInput, match="Its columns are: text, title"):
        read_dataset(path, Wanted(columns={"text": "nothing"}))
    with pytest.raises(UsageError, match="'txt' is no part"):
        read_dataset(path, Wanted(columns={"txt": "title"}))


def test_without_pyarrow_a_parquet_file_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(BadInput, match="pyarrow is not installed") as caught:
        read_dataset(write(tmp_path, "a.parquet", "PAR1"), Wanted())
    assert caught.value.fix == "pip install 'palaver[parquet]'"


def test_the_digest_names_the_content(tmp_path: Path) -> None:
    one = read_dataset(write(tmp_path, "a.jsonl", GOOD * 2), Wanted())
    same = read_dataset(write(tmp_path, "b.jsonl.gz", GOOD * 2), Wanted())
    other = read_dataset(write(tmp_path, "c.jsonl", GOOD), Wanted())
    assert one.digest == same.digest != other.digest
