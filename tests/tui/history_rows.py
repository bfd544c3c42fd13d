"""Turns for the tests of the History screen: many by SQL, telling ones through the store."""

from __future__ import annotations

import time
from contextlib import closing
from pathlib import Path

from palaver.metric import Score
from palaver.model import Generation
from palaver.store import Store, TurnStart
from palaver.store.rows import reference_set
from palaver.store.sqlite import connect

HOSTILE = "[red]x[/red] [/x] [@click=app.quit]q[/] 日本 \x1b[31m\x1b]0;t\x07 مرحبا 👩‍👩‍👧 \u202eevil\r"
"""Markup, actions, escapes, wide and right-to-left text in one line."""


def fill(path: Path, rows: int, *, models: int = 3) -> None:
    """`rows` scored turns, a minute apart, written as the store would have written them."""
    with Store.open(path) as store:
        run = store.begin_run("chat")
    reference = "Der Hund schläft in der Küche."
    name = reference_set([reference])
    start = time.time() - rows * 60
    turns = (
        (
            run, start + 60 * i, start + 60 * i, "complete", "translate", f"model-{i % models}", f"x:{i % models}",
            name, "stop", 0.5, "de", "x", "palaver", "0.1", "0.1", "", 1, "", "", "{}", "{}",
            f"Der Hund Nummer {i} schläft.", f"The dog number {i} sleeps.", reference, '{"text":"A dog sleeps."}', "[]",
        )
        for i in range(rows)
    )  # fmt: skip
    scores = (
        (i + 1, name, metric, float(i % 100), position, title, "v:1", 1, "[]", "", "", "", start)
        for i in range(rows)
        for position, (metric, title) in enumerate((("bleu", "BLEU"), ("chrf", "chrF")))
    )
    with closing(connect(path, write=True)) as db:
        db.execute("PRAGMA synchronous=OFF")
        db.execute("BEGIN")
        db.executemany(
            "INSERT INTO turns (run_id, created, touched, status, task, model, model_ref, reference_set, "
            "finish_reason, seconds, language, backend, plugin, plugin_version, palaver_version, model_digest, pid, "
            "process_start, boot_id, options, config, output, input_text, reference_text, inputs, prompt) "
            f"VALUES ({', '.join('?' * 26)})",
            turns,
        )
        db.executemany(
            "INSERT INTO refs (turn_id, text, origin, created) VALUES (?, ?, 'written', ?)",
            ((i + 1, reference, start) for i in range(rows)),
        )
        db.executemany(
            "INSERT INTO scores (turn_id, reference_set, metric, value, position, title, signature, n, stats, "
            f"corpus_signature, error, output_hash, created) VALUES ({', '.join('?' * 13)})",
            scores,
        )
        db.execute("COMMIT")


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
