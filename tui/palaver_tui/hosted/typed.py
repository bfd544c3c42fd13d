"""Keys, the mouse and what is pasted, as values that a frame carries."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from textual import events

MOUSE: Mapping[str, type[events.MouseEvent]] = {
    one.__name__: one
    for one in (
        events.MouseDown, events.MouseUp, events.MouseMove, events.MouseScrollDown, events.MouseScrollUp,
        events.MouseScrollLeft, events.MouseScrollRight,
    )
}  # fmt: skip


def told(event: events.Event) -> dict[str, object] | None:
    """The values of an event; None for one that is not the user's."""
    if isinstance(event, events.Key):
        return {"event": "Key", "key": event.key, "character": event.character}
    if isinstance(event, events.Paste):
        return {"event": "Paste", "text": event.text}
    if isinstance(event, events.MouseEvent) and type(event).__name__ in MOUSE:
        return {
            "event": type(event).__name__, "x": event.x, "y": event.y, "button": event.button,
            "delta": [event.delta_x, event.delta_y], "held": [event.shift, event.meta, event.ctrl],
        }  # fmt: skip
    return None


def made(frame: Mapping[str, Any]) -> events.Event | None:
    """The event that these values tell of."""
    kind = frame.get("event")
    if kind == "Key":
        return events.Key(str(frame["key"]), frame["character"])
    if kind == "Paste":
        return events.Paste(str(frame["text"]))
    if kind in MOUSE:
        x, y = float(frame["x"]), float(frame["y"])
        (across, down), (shift, meta, ctrl) = frame["delta"], frame["held"]
        return MOUSE[str(kind)](None, x, y, across, down, int(frame["button"]), shift, meta, ctrl, x, y)
    return None
