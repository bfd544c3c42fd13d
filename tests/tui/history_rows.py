"""Turns for the tests of the History screen: many at once, and telling ones."""

from __future__ import annotations

import time
from pathlib import Path

from palaver.metric import Score
from palaver.model import Generation
from palaver.store import Answered, GoodOutput, Store, TurnStart

GROUP = 2000
"""Turns in a commit."""

HOSTILE = "[red]x[/red] [/x] [@click=app.quit]q[/] 日本 \x1b[31m\x1b]0;t\x07 مرحبا 👩‍👩‍👧 \u202eevil\r"
"""Markup, actions, escapes, wide and right-to-left text in one line."""


def fill(path: Path, rows: int, *, models: int = 3) -> None:
    """`rows` scored turns, a minute apart."""
    reference = (GoodOutput("Der Hund schläft in der Küche.", "written"),)
    started = time.time() - rows * 60

    def turn(i: int) -> Answered:
        output = f"Der Hund Nummer {i} schläft."
        start = TurnStart(
            run, "translate", f"model-{i % models}", f"x:{i % models}", {"text": "A dog sleeps."},
            f"The dog number {i} sleeps.", backend="x", plugin="palaver", plugin_version="0.1", language="de",
        )  # fmt: skip
        scores = tuple(
            Score(name, title, float(i % 100), "v:1") for name, title in (("bleu", "BLEU"), ("chrf", "chrF"))
        )
        generation = Generation(output, "stop", seconds=0.5)
        return Answered(
            start, "complete", output, output, generation, references=reference, scores=scores, created=started + 60 * i
        )

    with Store.open(path) as store:
        run = store.begin_run("chat")
        for first in range(0, rows, GROUP):
            store.add_answers([turn(i) for i in range(first, min(first + GROUP, rows))]).result()


def add(
    store: Store,
    output: str,
    *,
    task: str = "translate",
    model: str = "opus-mt-en-de",
    text: str = "The dog sleeps in the kitchen, and the cat sits by the window.",
    references: tuple[str, ...] = (),
    scores: tuple[Score, ...] = (),
    status: str = "complete",
    error: str = "",
    options: dict[str, object] | None = None,
) -> int:
    """One finished turn, as a session would leave it."""
    start = TurnStart(
        run_id=store.begin_run("chat"),
        task=task,
        model=model,
        model_ref=f"x:{model}",
        inputs={"text": text},
        input_text=text,
        options=options or {},
        plugin="translate",
        plugin_version="0.4.1",
        language="de",
    )
    turn_id = store.begin_turn(start)
    if status != "running":
        generation = Generation(output, "stop", seconds=0.84)
        store.finish_turn(turn_id, output=output, raw=output, status=status, generation=generation, error=error)
    if references:
        store.add_references(turn_id, references)
    if scores:
        store.add_scores(turn_id, scores)
    return turn_id
