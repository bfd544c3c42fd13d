"""The losses of a run as a picture, curves.png, where matplotlib is installed."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

from palaver_train.events import Interval, OverFitting, read_events

CURVES = "curves.png"


def draw(folder: Path) -> Path | None:
    """Draw what metrics.jsonl tells; None where nothing can be drawn."""
    if find_spec("matplotlib") is None:
        return None
    from matplotlib.backends.backend_agg import FigureCanvasAgg  # 0.4 s, and no window system is asked for
    from matplotlib.figure import Figure

    events = list(read_events(folder))
    told = [one for one in events if isinstance(one, Interval)]
    if not told:
        return None
    valid = [(one.step, one.validation_loss) for one in told if one.validation_loss is not None]
    figure = Figure(figsize=(8, 4.5), dpi=100, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    axes.plot([one.step for one in told], [one.train_loss for one in told], label="training", linewidth=1.2)
    if valid:
        axes.plot([step for step, _ in valid], [loss for _, loss in valid], label="validation", marker=".")
    for event in events:
        if isinstance(event, OverFitting):
            axes.axvline(event.since_step, linestyle=":", color="grey", label=f"best, epoch {event.since_epoch:.1f}")
            break
    axes.set_xlabel("step")
    axes.set_ylabel("loss, nats a token")
    axes.grid(alpha=0.3)
    axes.legend()
    path = folder / CURVES
    figure.savefig(path)
    return path
