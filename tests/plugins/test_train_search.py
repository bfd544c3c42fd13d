"""Trying settings: a grid or chance, a run each, a table; what failed is told, what is done is not done again."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner, Result
from tests.plugins.train_runs import SMALL, text_file

from palaver import UsageError
from palaver_train.commands import add_to
from palaver_train.control import Control
from palaver_train.search import Choices, Span, Trial, combinations, read_tries, search, table

pytest.importorskip("torch")

TINY: dict[str, Any] = {**SMALL, "width": 16, "layers": 1, "steps": 4, "evaluate_every": 2, "tokenizer": "char"}


@pytest.fixture(autouse=True)
def one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PALAVER_THREADS", "1")


def test_values_and_ranges_are_read_with_the_type_of_their_setting() -> None:
    assert read_tries("lm", ["width=16,32", "learning-rate=1e-4..1e-2", "lowercase=true,false"]) == {
        "width": Choices((16, 32)),
        "learning_rate": Span(1e-4, 1e-2, False),
        "lowercase": Choices((True, False)),
    }


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("width", "NAME=A,B,C"),
        ("wide=1,2", "no setting 'wide'"),
        ("width=a,b", "whole numbers, not 'a'"),
        ("width=64..16", "the first value is below the second"),
        ("lowercase=yes", "true and false"),
    ],
)
def test_a_slip_in_what_to_try_is_named(text: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        read_tries("lm", [text])


def test_a_grid_is_every_combination_and_chance_draws_different_ones_that_a_seed_repeats() -> None:
    tries = {"width": Choices((16, 32)), "layers": Choices((1, 2, 3))}
    assert len(combinations(tries, 0, 1)) == 6
    drawn = combinations(tries, 4, 1)
    assert len({json.dumps(one) for one in drawn}) == 4
    assert drawn == combinations(tries, 4, 1) != combinations(tries, 4, 2)
    assert len(combinations(tries, 50, 1)) == 6, "no more than there are"
    rates = [one["rate"] for one in combinations({"rate": Span(1e-4, 1e-2, False)}, 200, 1)]
    assert 60 < sum(rate < 1e-3 for rate in rates) < 140, "each power of ten is as likely as the next"
    with pytest.raises(UsageError, match="needs --random"):
        combinations({"rate": Span(1e-4, 1e-2, False)}, 0, 1)


def test_the_best_comes_first_and_a_combination_that_fails_is_told_with_its_reason(tmp_path: Path) -> None:
    settings = {**TINY, "text": str(text_file(tmp_path)), "steps": 12}
    # A rate of 1e-7 learns nothing in twelve steps; a context longer than the text cannot be.
    tries = [{"learning_rate": 1e-7, "context": 16}, {"learning_rate": 1e-2, "context": 16},
             {"learning_rate": 1e-2, "context": 10**6}]  # fmt: skip
    trials = search("lm", settings, tries, tmp_path / "out", control=Control())
    assert [one.number for one in trials] == [2, 1, 3]
    assert trials[0].validation_loss is not None
    assert trials[1].validation_loss is not None
    assert trials[0].validation_loss < trials[1].validation_loss
    assert "too few for a context" in trials[2].error
    rows = list(table(trials))
    assert rows[0].split()[:3] == ["trial", "learning_rate", "context"]
    assert rows[1].split()[:3] == ["2", "0.01", "16"]
    assert rows[-1].startswith("trial 3: ")
    kept = [json.loads(line) for line in (tmp_path / "out/search.jsonl").read_text("utf-8").splitlines()]
    assert [one["number"] for one in kept] == [2, 1, 3]


def test_a_search_goes_on_where_it_was_stopped(tmp_path: Path) -> None:
    settings = {**TINY, "text": str(text_file(tmp_path))}
    tries = [{"width": 16}, {"width": 32}]
    control = Control()
    first = search(
        "lm", settings, tries, tmp_path / "out", on_trial=lambda trial: control.order("stop"), control=control
    )
    assert [one.number for one in first] == [1]
    written = (tmp_path / "out/trial-001/metrics.jsonl").stat().st_mtime_ns
    told: list[Trial] = []
    again = search("lm", settings, tries, tmp_path / "out", on_trial=told.append, control=Control())
    assert [one.number for one in told] == [1, 2]
    assert first[0] in again, "its result is the one of before"
    assert (tmp_path / "out/trial-001/metrics.jsonl").stat().st_mtime_ns == written, "it was not trained again"
    with pytest.raises(UsageError, match="holds a search with other settings"):
        search("lm", settings, [{"width": 64}], tmp_path / "out", control=Control())


def run(*arguments: str) -> Result:
    group = click.Group("palaver")
    add_to(group)
    return CliRunner().invoke(group, ["train", *arguments])


def test_the_command_prints_the_table_on_stdout_and_talks_on_stderr(tmp_path: Path) -> None:
    flags = [part for name, value in TINY.items() for part in (f"--{name.replace('_', '-')}", str(value))]
    text, out = str(text_file(tmp_path)), str(tmp_path / "out")
    done = run("lm", text, *flags, "--out", out, "--try", "width=16,32", "--try", "dropout=0.0,0.1", "--random", "2")
    assert done.exit_code == 0, done.output
    assert len(done.stdout.splitlines()) == 3
    assert "trial 2 of 2 · width=" in done.stderr
    assert "the best one: " in done.stderr
    nothing = run("lm", text, "--random", "2")
    assert isinstance(nothing.exception, UsageError)
