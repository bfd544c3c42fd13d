"""The filter language: what is found, what is refused, and that no text breaks it."""

from __future__ import annotations

import random
import string
from collections.abc import Iterator
from pathlib import Path

import pytest

from palaver.errors import UsageError
from palaver.metric import Score
from palaver.model import Generation
from palaver.store import Store, TurnStart, parse_filter
from palaver.store.rows import reference_set


def add(store: Store, text: str, output: str, *, task: str = "translate", model: str = "opus-mt", **more: str) -> int:
    status = more.pop("status", "complete")
    start = TurnStart(
        store.begin_run("chat"), task, model, f"marian:{model}", {"text": text}, text, plugin=more.get("plugin", "")
    )
    turn_id = store.begin_turn(start)
    store.finish_turn(turn_id, output=output, raw=output, status=status, generation=Generation(output, "stop"))
    return turn_id


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    with Store.open(tmp_path_factory.mktemp("history") / "history.db") as opened:
        fill(opened)
        yield opened


def fill(store: Store) -> None:
    """Five turns, numbered 1 to 5."""
    add(store, "The cat sat on the mat.", "Die Katze saß.", plugin="palaver-marian")
    add(store, "これは漢字テストです", "a test of kanji", model="opus-big")
    add(store, "Summarize 100% of a_b", "short", task="summarize", model="qwen2.5")
    add(store, "The dog sat.", "", status="failed", model="Qwen2.5")
    add(store, "The cat and the dog", "Katze und Hund", status="truncated")
    store.add_references(1, ["Die Katze hat gesessen."])
    store.add_scores(1, [Score("chrf", "chrF", 40.0, "s"), Score("bleu", "BLEU", 12.5, "s")])
    store.add_scores(2, [Score("chrf", "chrF", 60.0, "s"), Score("bleu", "BLEU", None, "s", error="no words")])
    store.rate(1, 5)
    store.rate(3, 2)
    store.note(3, "remember the milk")
    store.tag(3, "good", "very short")


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("", [5, 4, 3, 2, 1]),
        ("   ", [5, 4, 3, 2, 1]),
        ("cat", [5, 1]),
        ("CAT", [5, 1]),
        ("cat sat", [1]),
        ('"cat sat"', [1]),
        ('"sat cat"', []),
        ("-cat", [4, 3, 2]),
        ("sat -cat", [4]),
        ('-"the dog" -is:failed', [3, 2, 1]),
        ("漢字テ", [2]),
        ("漢字", [2]),  # in scripts without spaces every part is found
        ("字", [2]),
        ("ca", []),  # words are whole
        ("ca*", [5, 1]),
        ("*at*", [5, 4, 1]),
        ("*at", [5, 4, 1]),
        ("-*at*", [3, 2]),
        ("sat*", [4, 1]),
        ('"the ca*"', [5, 1]),
        ("-字 is:complete", [3, 1]),
        ("cat 字", []),
        ("100%", [3]),
        ("%", [3]),  # no word: looked for as it is
        ("*0%", [3]),
        ("a_b", [3]),
        ("_b", [3]),
        ("gesessen", [1]),
        ("milk", [3]),
        ("task:summarize", [3]),
        ("task:Summarize", [3]),
        ("task:sum*", [3]),
        ("-task:translate", [3]),
        ("model:opus*", [5, 2, 1]),
        ("model:opus", []),
        ("model:*big", [2]),
        ("model:qwen2.5", [4, 3]),
        ("model:marian:opus-mt", [5, 1]),
        ("plugin:palaver*", [1]),
        ("is:failed", [4]),
        ("is:truncated", [5]),
        ("-is:complete", [5, 4]),
        ("has:ref", [1]),
        ("has:note", [3]),
        ("has:tag", [3]),
        ("has:score", [2, 1]),
        ("-has:rating", [5, 4, 2]),
        ("tag:good", [3]),
        ('tag:"very short"', [3]),
        ("tag:very*", [3]),
        ("rating>3", [1]),
        ("rating>=2", [3, 1]),
        ("rating:2", [3]),
        ("rating=5", [1]),
        ("-rating>3", [5, 4, 3, 2]),
        ("chrf<50", [1]),
        ("chrF>=40", [2, 1]),
        ("-chrf<50", [5, 4, 3, 2]),
        ("bleu<99", [1]),  # unscored is not 0
        ("id:3", [3]),
        ("id:#3", [3]),
        ("id>3", [5, 4]),
        ("run:2", [2]),
        ("since:7d", [5, 4, 3, 2, 1]),
        ("until:7d", []),
        ("since:2999-01-01", []),
        ("since:today until:2999-01-01", [5, 4, 3, 2, 1]),
        ("task:translate cat is:complete chrf<50", [1]),
        ("http://example.org", []),
    ],
)
def test_a_filter_finds_exactly_these(store: Store, query: str, found: list[int]) -> None:
    parsed = parse_filter(query)
    assert [line.id for line in store.page(parsed)] == found
    assert store.count(parsed) == len(found)
    assert store.ids(parsed) == found


def test_pages_of_a_text_search_go_on_where_they_stopped(store: Store) -> None:
    query = parse_filter("the")
    first = store.page(query, limit=2)
    assert [line.id for line in first] == [5, 4]
    assert [line.id for line in store.page(query, before=4)] == [3, 1]
    assert [line.id for line in store.page(query, after=1, limit=1)] == [3]


def test_a_score_against_old_references_does_not_count(tmp_path: Path) -> None:
    with Store.open(tmp_path / "history.db") as store:
        turn_id = add(store, "x", "y")
        store.add_scores(turn_id, [Score("chrf", "chrF", 10.0, "s")])
        assert store.count(parse_filter("chrf<50")) == 1
        store.add_references(turn_id, ["z"])
        assert store.count(parse_filter("chrf<50")) == 0


@pytest.mark.parametrize(
    ("query", "sentence"),
    [
        ("is:great", "'is:' is one of running, complete"),
        ("has:cat", "'has:' is one of ref"),
        ("since:soon", "'since:' needs a time"),
        ("id:x", "'id:' needs a whole number"),
        ("id:99999999999999999999", "whole number"),
        ("rating:high", "whole number"),
        ("task:", "needs a value"),
        ('task:""', "needs a name"),
        ("taks:qa", "Did you mean 'task:'"),
        ("model:" + "a*" * 20, "needs a name"),
        ("word " * 65, "at most 64 words"),
        ("x" * 1001, "at most 64 words"),
    ],
)
def test_a_wrong_filter_is_refused_in_one_sentence(query: str, sentence: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_filter(query)
    assert sentence in caught.value.message
    assert "\n" not in caught.value.message


NASTY = [
    '"', '""', '"""', "'", "AND", "OR", "NOT", "NEAR", "NEAR(a b)", "*", "a*", "^a", "a-b", "-", "--", "- -", "-\"",
    "(", ")", "()", "a AND", "a:b", ":", "::", ":a", "a:", "{a b}: c", "+", "a + b", "%", "_", "\\", "%%%", "[", "]*",
    ";", "; DROP TABLE turns", "'; --", "\0", "a\0b", "abc\0def", "\ud800", "abc\ud800", "\ufffd", "\x1b]52;c;\x07",
    "漢", "漢字", "😀", "👩‍👩‍👧", "e\u0301", "\u202e", "\n", "\t\r\n", "\u2028", "turns_fts", "rowid", "output : x",
    "input_text:cat", "chrf<", "<50", "chrf<<50", "chrf<1e5", "chrf<nan", "chrf<-1", "rating<", "rating>1000", "id>1e9",
    "id:-1", "since:", "since:0d", "since:999999w", "since:0001-01-01", "until:9999-12-31", "has:", "is:", "tag:%",
    "tag:*", "model:\\", "model:***", "-model:*", "a" * 1000, "a " * 64, "¼ ½", "ab", "a", "İ", "ß", "ﬁ",
]  # fmt: skip


@pytest.mark.parametrize("text", NASTY, ids=range(len(NASTY)))
def test_any_text_in_the_search_box_gives_an_answer_or_a_sentence(store: Store, text: str) -> None:
    for variant in (text, f"-{text}", f"cat {text}", f"{text} task:translate", f'"{text}'):
        try:
            query = parse_filter(variant)
        except UsageError:
            continue
        assert len(store.page(query)) == store.count(query) == len(store.ids(query))
        store.corpus(query, "chrf")


def test_random_text_never_breaks_the_search(store: Store) -> None:
    random_text = random.Random(7)
    alphabet = string.ascii_letters + string.punctuation * 3 + "   \0é漢😀" + "\ud800"
    for _ in range(500):
        text = "".join(random_text.choices(alphabet, k=random_text.randint(1, 25)))
        try:
            query = parse_filter(text)
        except UsageError:
            continue
        store.page(query)


def test_parts_of_words_say_that_only_the_newest_turns_were_looked_at() -> None:
    assert parse_filter("*am*").is_recent_only
    assert parse_filter("%").is_recent_only
    assert not parse_filter("漢字").is_recent_only
    assert not parse_filter("*am* kanji").is_recent_only  # the whole word leads, all turns are searched
    assert not parse_filter("-*am* task:qa").is_recent_only
    assert "newest 20,000" in parse_filter("*am*").advice
    assert "sail*" in parse_filter("kat").advice
    assert parse_filter("task:qa").advice == ""


def test_filters_on_scores_find_what_a_look_at_every_turn_finds(tmp_path: Path) -> None:
    chance = random.Random(3)
    with Store.open(tmp_path / "history.db") as store:
        ids = [add(store, "x", "y", status=chance.choice(["complete", "failed"])) for _ in range(80)]
        for _ in range(3):
            for turn_id in chance.sample(ids, 30):
                if chance.random() < 0.3:
                    store.replace_references(turn_id, [chance.choice(["one", "two"])])
                signature = chance.choice(["s", "t"])
                value = chance.choice([None, *(round(chance.uniform(0, 100)) for _ in range(5))])
                stats = (float(chance.randint(0, 9)), 0.5)
                scores = [
                    Score("chrf", "chrF", value, signature, 1, stats, f"c{signature}", "" if value else "none"),
                    Score("bleu", "BLEU", chance.uniform(0, 1), "b"),
                ]
                store.add_scores(turn_id, scores)
            store.delete([ids.pop(chance.randrange(len(ids)))])
            turns = [store.turn(one) for one in reversed(ids)]
            newest = {turn.id: {one.metric: one.value for one in turn.scores} for turn in turns}
            for number in (0, 37, 99):
                for query, holds in {
                    f"chrf<{number}": lambda value, number=number: value < number,
                    f"chrf>={number}": lambda value, number=number: value >= number,
                    f"chrf={number}": lambda value, number=number: value == number,
                }.items():
                    wanted = [one for one, found in newest.items() if (v := found.get("chrf")) is not None and holds(v)]
                    parsed = parse_filter(query)
                    assert store.ids(parsed) == wanted, query
                    assert store.count(parsed) == len(wanted)
                    assert store.ids(parse_filter(f"-{query}")) == [one for one in newest if one not in wanted]
                    half = [one for one in wanted if (b := newest[one].get("bleu")) is not None and b < 0.5]
                    assert store.ids(parse_filter(f"{query} bleu<0.5")) == half
                    assert store.ids(parse_filter(f"{query} y")) == wanted
                    assert store.ids(parse_filter(f"{query} task:translate id>0")) == wanted
                    if len(wanted) > 3:
                        assert [one.id for one in store.page(parsed, before=wanted[1], limit=2)] == wanted[2:4]
                        assert [one.id for one in store.page(parsed, after=wanted[2], limit=1)] == [wanted[1]]
            for query in ("", "chrf<50", "y"):
                chosen = [turn for turn in turns if turn.id in store.ids(parse_filter(query))]
                kept: dict[str, list[tuple[float, ...]]] = {}
                for turn in chosen:
                    now = [one for name, _, one in store.all_scores(turn.id) if name == name_of(store, turn.id)]
                    last = {one.corpus_signature: one.stats for one in now if one.metric == "chrf"}
                    for signature, stats in last.items() if turn.status == "complete" else ():
                        if stats and signature:
                            kept.setdefault(signature, []).append(stats)
                sums = sorted(
                    (name, tuple(map(sum, zip(*all_, strict=True))), len(all_)) for name, all_ in kept.items()
                )
                assert store.corpus(parse_filter(query), "chrf") == sums, query


def name_of(store: Store, turn_id: int) -> str:
    """The set of references that a turn has now, by name."""
    return reference_set(one.text for one in store.turn(turn_id).references)
