"""Three ready translations, one good, one fair, one poor: what the scores say without any model."""

from __future__ import annotations

from typing import TYPE_CHECKING

from palaver.model import Generation, GenerationConfig

if TYPE_CHECKING:
    from palaver.session import Session
    from palaver.store import Turn

TRIPLES = (
    (
        "The dog sleeps in the kitchen, and the cat sits by the window.",
        "Der Hund schläft in der Küche, und die Katze sitzt am Fenster.",
        "Der Hund schläft in der Küche, und die Katze sitzt am Fenster.",
    ),
    (
        "We meet at the station at eight o'clock.",
        "Wir treffen uns am Bahnhof um acht Uhr abends.",
        "Wir treffen uns um acht Uhr am Bahnhof.",
    ),
    (
        "Yesterday I read the book.",
        "Gestern ich lese das Heft.",
        "Ich habe das Buch gestern gelesen.",
    ),
)
"""English, a ready translation, the reference."""


def score_demo(session: Session) -> list[Turn]:
    """The three as turns of a run of their own, scored against their references."""
    from palaver.store import TurnStart

    run = session.store.begin_run("task", "demo")
    turns = []
    for source, output, reference in TRIPLES:
        start = TurnStart(
            run_id=run,
            task="translate",
            model="demo",
            model_ref="demo",
            inputs={"text": source},
            input_text=source,
            options={"target": "de", "source": "en"},
            config=GenerationConfig(),
            language="de",
        )
        turn_id = session.store.begin_turn(start)
        session.store.finish_turn(
            turn_id, output=output, raw=output, status="complete", generation=Generation(output, "stop")
        )
        turns.append(session.add_references(turn_id, [reference]))
    return turns
