"""The index of words: what is a word in which script, and that the search finds what a look at every text finds."""

from __future__ import annotations

import os
import random
import re
import signal
import subprocess
import sys
import unicodedata
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from palaver.model import Generation
from palaver.store import Answered, Store, TurnStart, parse_filter
from palaver.store import sqlite as recipe

WHOLE = {"pages": "ok", "search": "ok"}


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.open(tmp_path / "history.db") as opened:
        yield opened


def answered(store: Store, run_id: int, text: str, output: str, example: str | None = None) -> int:
    start = TurnStart(run_id, "chat", "m", "b:m", {"text": text}, text, example_id=example)
    ids = store.add_answers([Answered(start, "complete", output, output, Generation(output, "stop"))]).result()
    assert ids[0] is not None
    return ids[0]


def found(store: Store, query: str) -> list[int]:
    parsed = parse_filter(query)
    ids = store.ids(parsed)
    assert [line.id for line in store.page(parsed, limit=10_000)] == ids
    assert store.count(parsed) == len(ids)
    return ids


@pytest.mark.parametrize(
    ("text", "hits", "misses"),
    [
        ("The Cat sat, élève", ["cat", "CAT", "eleve", "ÉLÈVE", '"cat sat"', '"cat, sat!"'], ["ca", '"sat cat"']),
        ("Straße", ["straße", "STRAßE"], ["strasse"]),
        ("e\u0301te\u0301 \u0438\u0306", ["été", "ete", "e\u0301te\u0301", "\u0439"], []),
        ("Donaudampfschiff", ["donau*", "*dampf*", "*schiff", "donaudampfschiff*"], ["dampf*", "donau"]),
        ("これは漢字テストです", ["漢字", "字", "漢字テスト", "字テ", "*字*", "漢*", "です"], ["字漢", "漢テ", "猫"]),
        ("iPhone15を買う", ["iphone15", "を買う", "iPhone15を", "買"], ["iphone", "買を"]),
        ("黒猫 sat", ['"黒猫 sat"', '"猫 sat"', "猫 sat"], ['"黒 sat"']),
        ("ภาษาไทยง่าย", ["ภาษา", "ไทย", "ง่าย"], ["ไทยภาษา"]),
        ("학교에서 배웠다", ["학교", "학교에서", "배웠"], ["학교배웠"]),
        ("नमस्ते हिन्दी", ["हिन्दी", "नमस्ते"], ["हिन्द"]),
        ("don't C++ a_b **bold** 100%", ["don't", "a_b", '"a b"', "**bold**", "100%", "100", "++", "%"], ["ab", "&"]),
        ("👩‍👩‍👧 wave", ["wave", "👩‍👩‍👧"], ["👩‍👩‍👦"]),
    ],
)  # fmt: skip
def test_a_word_is_found_in_every_script(store: Store, text: str, hits: list[str], misses: list[str]) -> None:
    turn_id = answered(store, store.begin_run("chat"), "", text)
    for query in hits:
        assert found(store, query) == [turn_id], query
    for query in misses:
        assert found(store, query) == [], query
    for query in (*hits, *misses):
        if " " not in query:
            assert found(store, f"-{query}") == ([] if query in hits else [turn_id]), query


def test_a_phrase_does_not_reach_from_one_text_into_the_next(store: Store) -> None:
    run_id = store.begin_run("chat")
    answered(store, run_id, "one two", "three four")
    answered(store, run_id, "漢字", "三 four")
    assert found(store, '"two three"') == found(store, '"字三"') == []
    assert found(store, "two three") == [1]


# -- the search beside a look at every text

WORDS = ["Katze", "katze", "KÄTZE", "Straße", "naïve", "e\u0301te", "x1", "don't", "a_b", "100%", "the", "of", "हिन्दी"]
RUNS = ["漢字テスト", "猫", "今日は", "ภาษาไทย", "학교에서", "日本語です"]


def fold(text: str) -> str:
    """Without case and accents, as SQLite's tokenizer sees Latin."""
    return "".join(
        one for one in unicodedata.normalize("NFD", text.lower()) if not "\u0300" <= one <= "\u036f"
    )  # fmt: skip


def latin(text: str) -> list[str]:
    spaced = "".join(" 0run0 " if any(one in run for run in RUNS) else one for one in text)
    return re.findall(r"(?:[^\W_]|[\u0900-\u097f])+", fold(spaced))


class Mirror:
    """The texts of the turns as they should be, and what a look at each of them finds."""

    def __init__(self) -> None:
        self.texts: dict[int, list[str]] = {}

    def with_words(self, words: list[str]) -> list[int]:
        def has(text: str) -> bool:
            tokens = latin(text)
            return any(tokens[place : place + len(words)] == words for place in range(len(tokens)))

        return [one for one in sorted(self.texts, reverse=True) if any(map(has, self.texts[one]))]

    def beginning(self, start: str) -> list[int]:
        return [
            one
            for one in sorted(self.texts, reverse=True)
            if any(word.startswith(start) for text in self.texts[one] for word in latin(text))
        ]

    def containing(self, part: str) -> list[int]:
        return [one for one in sorted(self.texts, reverse=True) if any(part in text for text in self.texts[one])]


def some_text(chance: random.Random) -> str:
    parts = chance.choices(WORDS * 2 + RUNS, k=chance.randint(0, 6))
    return "".join(part + chance.choice([" ", " ", ", ", "\n"]) for part in parts)


def change(store: Store, mirror: Mirror, chance: random.Random, run_id: int, running: list[int]) -> None:
    """One thing that a user, an evaluation or another program may do."""
    known = sorted(mirror.texts)
    act = chance.choice(["batch", "begin", "finish", "note", "refs", "delete", "foreign", "vacuum"])
    if act == "batch":
        given = [(some_text(chance), some_text(chance), chance.choice([None, "a", "b", "c"])) for _ in range(4)]
        answers = [
            Answered(
                TurnStart(run_id, "chat", "m", "b:m", {"text": text}, text, example_id=name),
                "complete", output, output, Generation(output, "stop"), note=text[:5],
            )
            for text, output, name in given
        ]  # fmt: skip
        for turn_id, (text, output, _) in zip(store.add_answers(answers).result(), given, strict=True):
            if turn_id is not None:
                mirror.texts[turn_id] = [text, output, "", text[:5]]
    elif act == "begin":
        text = some_text(chance)
        turn_id = store.begin_turn(TurnStart(run_id, "chat", "m", "b:m", {"text": text}, text))
        running.append(turn_id)
    elif act == "finish" and running:
        turn_id, output = running.pop(chance.randrange(len(running))), some_text(chance)
        store.finish_turn(
            turn_id, output=output, raw=output, status="complete", generation=Generation(output, "stop")
        )  # fmt: skip
        mirror.texts[turn_id] = [store.turn(turn_id).input_text, output, "", ""]
    elif act == "note" and known:
        turn_id, text = chance.choice(known), some_text(chance)
        store.note(turn_id, text)
        mirror.texts[turn_id][3] = text
    elif act == "refs" and known:
        turn_id, texts = chance.choice(known), [some_text(chance) for _ in range(2)]
        store.replace_references(turn_id, texts)
        mirror.texts[turn_id][2] = "\n".join(dict.fromkeys(texts))
    elif act == "delete" and known:
        turn_id = chance.choice(known)
        store.delete([turn_id])
        del mirror.texts[turn_id]
    elif act == "foreign" and known:
        turn_id, text = chance.choice(known), some_text(chance)
        with closing(recipe.connect(store.path, write=True)) as other:  # any SQLite shell
            other.execute("UPDATE turns SET output = ? WHERE id = ?", (text, turn_id))
        store.flush()
        mirror.texts[turn_id][1] = text
    elif act == "vacuum" and chance.random() < 0.1:
        store.vacuum()


@pytest.mark.parametrize("seed", range(4))
def test_the_search_finds_what_a_look_at_every_text_finds(store: Store, seed: int) -> None:
    chance, mirror, running = random.Random(seed), Mirror(), []
    run_id = store.begin_run("eval")
    for round_ in range(6):
        for _ in range(12):
            change(store, mirror, chance, run_id, running)
        for word in WORDS:
            assert found(store, f'"{word}"') == mirror.with_words(latin(word)), (round_, word)
        for start in ("kat", "str", "x", "ха"):
            assert found(store, f"{start}*") == mirror.beginning(start)
        for run in RUNS:
            first = chance.randrange(len(run))
            part = run[first : chance.randint(first + 1, len(run))]
            assert found(store, part) == mirror.containing(part), (round_, part)
        for _ in range(5):
            pair = chance.sample(WORDS, 2)
            phrase = [one for word in pair for one in latin(word)]
            assert found(store, f'"{" ".join(pair)}"') == mirror.with_words(phrase), (round_, pair)
            both = set(mirror.with_words(latin(pair[0]))) & set(mirror.with_words(latin(pair[1])))
            assert found(store, f'"{pair[0]}" "{pair[1]}"') == sorted(both, reverse=True)
        assert store.check() == WHOLE


WRITE = """
import pathlib, sys
from palaver.model import Generation
from palaver.store import Answered, Store, TurnStart
with Store.open(pathlib.Path(sys.argv[1])) as store:
    run_id = store.begin_run("eval")
    number = 0
    while True:
        answers = []
        for _ in range(50):
            number += 1
            text = f"word{number} 漢字{number}"
            start = TurnStart(run_id, "chat", "m", "b:m", {"text": text}, text, example_id=str(number))
            answers.append(Answered(start, "complete", text, text, Generation(text, "stop")))
        store.add_answers(answers).result()
        print(number, flush=True)
"""


@pytest.mark.fault
@pytest.mark.skipif(os.name != "posix", reason="kills processes the POSIX way")
def test_kill_9_leaves_no_turn_that_the_search_does_not_find(tmp_path: Path) -> None:
    path = tmp_path / "history.db"
    for commits in (1, 4, 9):
        child = subprocess.Popen([sys.executable, "-c", WRITE, str(path)], stdout=subprocess.PIPE, text=True)
        assert child.stdout is not None
        told = [child.stdout.readline() for _ in range(commits)]
        child.send_signal(signal.SIGKILL)
        rest, _ = child.communicate()
        last = int([*told, *rest.splitlines()][-1])
        with Store.open(path) as store:
            assert store.check() == WHOLE
            for number in (1, last // 2, last):
                assert len(found(store, f"word{number}")) == len(found(store, f"漢字{number}")) >= 1
            assert store.count(parse_filter("*word*")) == store.count(parse_filter("word*")) == store.count()


def test_what_another_program_wrote_is_found_after_the_next_start(tmp_path: Path) -> None:
    path = tmp_path / "history.db"
    with Store.open(path) as store:
        run_id = store.begin_run("chat")
        for text in ("first 漢字", "second", "third"):
            answered(store, run_id, text, "")
    with closing(recipe.connect(path, write=True)) as other:
        columns = [row["name"] for row in other.execute("PRAGMA table_info(turns)") if row["name"] != "id"]
        chosen = ", ".join("'fourth'" if one == "output" else one for one in columns)
        other.execute(f"INSERT INTO turns ({', '.join(columns)}) SELECT {chosen} FROM turns WHERE id = 2")
        other.execute("UPDATE turns SET input_text = 'changed' WHERE id = 1")
        other.execute("DELETE FROM turns WHERE id = 3")
    with Store.open(path) as store:
        assert found(store, "fourth") == [4]
        assert found(store, "changed") == [1]
        assert found(store, "first") == found(store, "漢字") == found(store, "third") == []
        assert store.check() == WHOLE
