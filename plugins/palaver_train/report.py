"""What happens in a run, as lines for people."""

from __future__ import annotations

from palaver import safe_line
from palaver_train.events import Begun, Controlled, Ended, Event, Interval, OverFitting, Sampled

_WHY = {
    "finished": "done",
    "patience": "ended: the validation loss did not get better",
    "minutes": "ended: the time is over",
    "stopped": "stopped, and kept",
}


def lines(event: Event, *, steps: int) -> list[str]:
    """The lines of an event; none where there is nothing to say."""
    if isinstance(event, Begun):
        many = f" · {event.processes} processes" if event.processes > 1 else ""
        first = (
            f"{event.architecture} · {event.parameters / 1e6:.2f} million weights · vocabulary {event.vocabulary:,} · "
            f"{event.train_tokens:,} tokens to learn from, {event.valid_tokens:,} to validate on · "
            f"{event.device}, {event.precision}{many}"
        )
        more = [f"goes on after step {event.step:,}"] if event.step else []
        return [first, *event.notes, *more]
    if isinstance(event, Interval):
        valid = f" · valid {event.validation_loss:.4f}" if event.validation_loss is not None else ""
        return [
            f"step {event.step:,} of {steps:,} · epoch {event.epoch:.2f} · train {event.train_loss:.4f}{valid} · "
            f"rate {event.learning_rate:.1e} · {event.tokens_per_second:,.0f} tokens/s · {_time(event.seconds)}"
        ]
    if isinstance(event, Sampled):
        return [f"  {safe_line(prompt)[:70]} → {safe_line(text)[:200]}".rstrip() for prompt, text in event.samples]
    if isinstance(event, OverFitting):
        return [
            f"warning: the validation loss has turned up since epoch {event.since_epoch:.2f} "
            f"({event.best_loss:.4f} then, {event.loss:.4f} now): the model over-fits. Its best checkpoint is kept."
        ]
    if isinstance(event, Controlled):
        return [f"step {event.step:,}: {event.what}"]
    if isinstance(event, Ended):
        best = f" · best {event.best_loss:.4f} at step {event.best_step:,}" if event.best_loss is not None else ""
        return [f"{_WHY.get(event.reason, event.reason)} · step {event.step:,}{best} · {_time(event.seconds)}"]
    return []


def _time(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes} min {rest:02} s" if minutes else f"{rest} s"
