"""A model as a judge of two runs: both orders, ties, what it said before, and what it cannot be read as."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path

import pytest

from palaver import cli
from palaver.cli.judge import told
from palaver.comparison import Settings
from palaver.errors import BadInput
from palaver.evaluate import Evaluation
from palaver.judge import Judge, Judgement, read_verdict, sign_test
from palaver.model import Request
from palaver.plans import Wanted, make_plans
from palaver.registry import Registry
from palaver.runs import Report, begin, report
from palaver.store import Store
from palaver.testing.scripted import Scripted, ScriptedRegistry

N = 12
SETTINGS = Settings(trials=200, resamples=200)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.open(tmp_path / "history.db") as opened:
        yield opened


def shown(request: Request) -> tuple[str, str]:
    """The two answers as the judge sees them."""
    text = request.messages[-1].content
    return tuple(text.split(f"[answer {one}]\n")[1].split("\n[end of")[0] for one in "AB")  # type: ignore[return-value]


def longer(request: Request) -> str:
    first, second = map(len, shown(request))
    return "A" if first > second else "B" if second > first else "tie"


def registry_of(script: Callable[[Request], str] | str) -> ScriptedRegistry:
    return ScriptedRegistry(Scripted(script))


def runs(registry: Registry, store: Store, tmp_path: Path, *models: str) -> list[Report]:
    """Evaluations of the same examples; the first of them is answered alike by lead-3 and lexrank."""
    rows = [
        {"id": "same", "text": "Only this.", "summary": "Only this."},
        *(
            {"id": f"e{n}", "text": f"Ship {n} left. Rain fell on {n} towns all day long.", "summary": f"Rain {n}."}
            for n in range(1, N)
        ),
    ]
    path = tmp_path / "ships.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    found = []
    for model, length in zip(models or ("lead-3", "lead-3"), ("1", "2"), strict=True):
        wanted = Wanted(task="summarize", dataset=str(path), models=(model,), options={"length": length})
        dataset, [plan] = make_plans(registry, store, wanted)
        run = begin(store, plan)
        Evaluation(registry, store, run, dataset).run(threading.Event())
        found.append(report(registry, store, run))
    return found


def judge(registry: Registry, store: Store, reports: list[Report]) -> Judgement:
    found = Judge(registry, store, "scripted").compare(reports, SETTINGS, threading.Event())
    assert found is not None
    return found


def test_a_judge_that_sees_a_difference_names_the_winner(store: Store, tmp_path: Path) -> None:
    registry = registry_of(longer)
    [pair] = (found := judge(registry, store, runs(registry, store, tmp_path))).pairs
    # The second run has two sentences of two; the example of one sentence is the same text, and nobody is asked.
    assert (pair.n, pair.wins, pair.ties, pair.losses, pair.identical) == (N, 0, 1, N - 1, 1)
    assert (pair.by_order, pair.unreadable, pair.failed) == (0, 0, 0)
    assert pair.p == pytest.approx(2 / 2 ** (N - 1))
    assert pair.preference == pytest.approx(-(N - 1) / N)
    assert pair.better == pair.second
    assert len(registry.scripted.asked) == found.asked == 2 * (N - 1)
    assert found.signature == "judge|model:scripted:scripted@0|prompt:pairwise.v1|order:both|greedy|test:sign"
    assert json.loads(json.dumps(asdict(found)))["pairs"][0]["wins"] == 0


def test_both_answers_are_shown_first_once(store: Store, tmp_path: Path) -> None:
    registry = registry_of(longer)
    judge(registry, store, runs(registry, store, tmp_path))
    seen = [shown(one) for one in registry.scripted.asked]
    assert {(second, first) for first, second in seen} == set(seen)


@pytest.mark.parametrize(("said", "first"), [("A", N - 1), ("B", 0)])
def test_what_the_order_decides_is_a_tie_and_is_told(store: Store, tmp_path: Path, said: str, first: int) -> None:
    registry = registry_of(said)
    [pair] = (found := judge(registry, store, runs(registry, store, tmp_path))).pairs
    assert (pair.wins, pair.ties, pair.losses, pair.by_order, pair.chose_first_shown) == (0, N, 0, N - 1, first)
    assert (pair.p, pair.better, pair.order_share) == (1.0, "", 1.0)
    assert "the order decided 100% of the pairs" in told(found)
    assert any("The order decided" in one for one in found.warnings)


def test_what_is_no_verdict_is_left_out_and_counted(store: Store, tmp_path: Path) -> None:
    registry = registry_of("Both are lovely answers.")
    [pair] = judge(registry, store, runs(registry, store, tmp_path)).pairs
    assert (pair.n, pair.unreadable, pair.ties) == (1, N - 1, 1)


def test_nothing_is_asked_twice(store: Store, tmp_path: Path) -> None:
    registry = registry_of(longer)
    reports = runs(registry, store, tmp_path)
    first, again = judge(registry, store, reports), judge(registry, store, reports)
    assert (again.asked, again.cached, again.run_id) == (0, 2 * (N - 1), None)
    assert len(registry.scripted.asked) == 2 * (N - 1)
    assert again.pairs == first.pairs
    turned = judge(registry, store, reports[::-1])  # both orders are known, whichever run is named first
    assert turned.asked == 0
    assert (turned.pairs[0].wins, turned.pairs[0].losses) == (first.pairs[0].losses, first.pairs[0].wins)


def test_verdicts_are_turns_of_history(store: Store, tmp_path: Path) -> None:
    registry = registry_of(longer)
    found = judge(registry, store, runs(registry, store, tmp_path))
    assert found.run_id is not None
    turns = store.run_turns(found.run_id)
    assert len(turns) == found.asked
    assert {turn.output for turn in turns} == {"A", "B"}
    assert [run.kind for run in store.runs()].count("eval") == 2


def test_a_model_may_judge_its_own_answers_and_is_named_for_it(store: Store, tmp_path: Path) -> None:
    def script(request: Request) -> str:
        return longer(request) if "[answer A]" in request.messages[-1].content else "Rain fell on many towns all day."

    registry = registry_of(script)
    found = judge(registry, store, runs(registry, store, tmp_path, "scripted", "lead-3"))
    assert found.pairs[0].n == N
    assert "scripted judges its own answers" in found.warnings[0]


def test_a_judge_that_is_stopped_says_nothing_and_goes_on_later(store: Store, tmp_path: Path) -> None:
    cancel = threading.Event()

    def script(request: Request) -> str:
        if len(registry.scripted.asked) == 6:
            cancel.set()
        return longer(request)

    registry = registry_of(script)
    reports = runs(registry, store, tmp_path)
    assert Judge(registry, store, "scripted").compare(reports, SETTINGS, cancel) is None
    rest = judge(registry, store, reports)
    assert 0 < rest.cached < 2 * (N - 1)
    assert rest.cached + rest.asked == 2 * (N - 1)


def test_who_cannot_chat_cannot_judge(store: Store) -> None:
    with pytest.raises(BadInput):
        Judge(registry_of("A"), store, "lead-3")


@pytest.mark.parametrize(
    ("text", "verdict"),
    [
        ("A", "A"),
        (" B.\n", "B"),
        ("**A**", "A"),
        ("Answer A is better.", "A"),
        ("Answer: B", "B"),
        ("The better answer is A.", "A"),
        ("A is better than B", "A"),
        ("B\nIt is shorter than A.", "B"),
        ("Tie", "tie"),
        ("It is a tie.", "tie"),
        ("A, B or tie", None),
        ("A good answer names the town.", None),
        ("Answer", None),
        ("Both", None),
        ("", None),
    ],
)
def test_a_verdict_is_read_only_where_one_stands(text: str, verdict: str | None) -> None:
    assert read_verdict(text) == verdict


def test_the_sign_test_counts_coins() -> None:
    assert sign_test(0, 0) == 1.0
    assert sign_test(3, 3) == 1.0
    assert sign_test(5, 0) == 2 / 2**5
    assert sign_test(1, 4) == sign_test(4, 1) == 2 * (1 + 5) / 2**5  # 5 over 0 and 5 over 1 ways of 32


def test_a_command_without_two_runs_has_nothing_to_judge(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["compare", "1", "--judge", "smollm2"]) == 2
    assert "at least two runs" in capsys.readouterr().err
