"""Turns and scores as tests of history write them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from palaver.metric import Score
from palaver.model import Generation
from palaver.store import Store, TurnStart
from palaver.store import sqlite as recipe


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.open(tmp_path / "home" / "history.db") as opened:
        yield opened


def start(store: Store, *, text: str = "The cat sat.", **changes: object) -> TurnStart:
    fields: dict[str, object] = {
        "run_id": store.begin_run("chat"),
        "task": "translate",
        "model": "opus-mt-en-de",
        "model_ref": "marian:opus-mt-en-de",
        "inputs": {"text": text},
        "input_text": text,
    }
    return TurnStart(**(fields | changes))  # type: ignore[arg-type]


def answer(store: Store, output: str = "Die Katze saß.", *, status: str = "complete", **changes: Any) -> int:
    turn_id = store.begin_turn(start(store, **changes))
    store.finish_turn(turn_id, output=output, raw=output, status=status, generation=Generation(output, "stop"))
    return turn_id


def scorable(store: Store) -> int:
    turn_id = answer(store)
    store.add_references(turn_id, ["Die Katze sass."])
    return turn_id


def score(
    value: float | None, *, metric: str = "chrf", stats: tuple[float, ...] = (1.0, 2.0), error: str = ""
) -> Score:
    return Score(metric, "chrF", value, "sentence", stats=stats, corpus_signature="corpus", error=error)


def raw_connection(path: Path) -> recipe.Connection:
    return recipe.connect(path, write=True)
