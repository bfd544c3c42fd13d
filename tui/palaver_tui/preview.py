"""What an answer would score against a reference that is still being typed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from palaver_tui.messages import Previewed

if TYPE_CHECKING:
    from palaver.metric import Score
    from palaver.session import Session


def preview(session: Session, turn_id: int, reference: str) -> Previewed:
    """Scores by the metrics that are not slow, and marks; none where the reference is no text yet."""
    from palaver.command import read_text
    from palaver.errors import PalaverError
    from palaver.example import Example
    from palaver.overlap import mark

    try:
        turn, text = session.store.turn(turn_id), read_text(reference)
    except PalaverError:  # a file whose name is half typed, a turn that is not there: enter says it
        return Previewed(turn_id, reference, (), ())
    texts = (*(one.text for one in turn.references), text)
    example = Example(turn.inputs, texts, str(turn.id), turn.language)
    scores: list[Score] = []
    for metric in session.registry.metrics_for(turn.task, True, session.metrics):
        if getattr(metric, "is_slow", False):  # one that asks a model waits for enter
            continue
        try:
            scores.append(metric.score(turn.output, example))
        except Exception:  # a metric plugin may raise anything at all; enter says what
            continue
    return Previewed(turn_id, reference, scores, mark(turn.output, texts))
