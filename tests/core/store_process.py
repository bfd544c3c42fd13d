"""One of several processes that use the same history: `store_process.py ROLE PATH`; what it did goes to stdout."""

from __future__ import annotations

import sys
import time
from pathlib import Path

from palaver.model import Generation
from palaver.store import Store, TurnStart


def say(*words: object) -> None:
    print(*words, flush=True)


def question(store: Store, run_id: int, text: str) -> int:
    return store.begin_turn(TurnStart(run_id, "chat", "m", "b:m", {"text": text}, text))


def turn(store: Store, run_id: int, text: str) -> int:
    turn_id = question(store, run_id, text)
    store.finish_turn(turn_id, output=text, raw=text, status="complete", generation=Generation(text, "stop"))
    return turn_id


def write(store: Store) -> None:
    """200 turns, each read back before the next, and a reference set that is read, then written."""
    run_id = store.begin_run("task")
    for number in range(200):
        turn_id = turn(store, run_id, f"answer {number} " + "x" * 500)
        if number % 20 == 0:
            store.add_references(turn_id, [f"reference {number}"])
        say(turn_id, store.turn(turn_id).input_text.split()[1])


def write_for_ever(store: Store) -> None:
    run_id = store.begin_run("task")
    while True:
        say(turn(store, run_id, "acknowledged " + "y" * 2000))


def stream(store: Store) -> None:
    """A question, a draft that is on the disk, and then nothing more."""
    turn_id = question(store, store.begin_run("chat"), "tell me a story")
    store.draft(turn_id, "Once upon a ti").result()
    say(turn_id)
    time.sleep(600)


def visit(store: Store) -> None:
    say(turn(store, store.begin_run("chat"), "hello"))


if __name__ == "__main__":
    with Store.open(Path(sys.argv[2])) as opened:
        {"write": write, "write_for_ever": write_for_ever, "stream": stream, "visit": visit}[sys.argv[1]](opened)
