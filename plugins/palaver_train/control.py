"""Say something to a run while it runs: pause, go on, lower the learning rate, stop and keep.

An object does it inside a process; from another one it is a file in the run's folder, which each step looks at.
"""

from __future__ import annotations

import contextlib
import json
import threading
from pathlib import Path

from palaver import UsageError, weights

CONTROL = "control.json"
ORDERS = ("pause", "go", "lower", "stop")


class Control:
    """What is wanted of a run now. Each may be called from any thread."""

    def __init__(self, folder: Path | None = None) -> None:
        self._file = folder / CONTROL if folder else None
        self._seen: tuple[int, int] | None = None
        self._done = 0
        self._lock = threading.Lock()
        self._is_paused = self._is_stopped = False
        self._lowered = 0

    def order(self, what: str) -> None:
        """One of ORDERS. `lower` halves the learning rate, each time it is said."""
        with self._lock:
            if what == "lower":
                self._lowered += 1
            elif what == "stop":
                self._is_stopped, self._is_paused = True, False
            elif what in ("pause", "go"):
                self._is_paused = what == "pause"

    def look(self) -> None:
        """Read the file if it has changed: it holds all orders so far, in order."""
        if self._file is None:
            return
        with contextlib.suppress(OSError, ValueError):
            seen = self._file.stat()
            mark = (seen.st_mtime_ns, seen.st_ino)
            if mark == self._seen:
                return
            self._seen = mark
            orders = json.loads(self._file.read_text("utf-8"))["orders"]
            for one in orders[self._done :]:
                self.order(str(one))
            self._done = len(orders)

    @property
    def is_paused(self) -> bool:
        return self._is_paused

    @property
    def is_stopped(self) -> bool:
        return self._is_stopped

    def take_lowered(self) -> int:
        """How often `lower` was said since it was last asked."""
        with self._lock:
            found, self._lowered = self._lowered, 0
            return found


def tell(folder: Path, what: str) -> None:
    """Give an order to the run of a folder, whichever process it is in.

    Raises:
        UsageError: no such order.
    """
    if what not in ORDERS:
        raise UsageError(f"A run can be told: {', '.join(ORDERS)}; not '{what}'.")
    path = folder / CONTROL
    orders: list[str] = []
    with contextlib.suppress(OSError, ValueError, KeyError):
        orders = list(json.loads(path.read_text("utf-8"))["orders"])
    weights.replace(path, json.dumps({"orders": [*orders, what]}).encode())


def forget_orders(folder: Path) -> None:
    """Orders are for a run that runs: the next one begins without."""
    (folder / CONTROL).unlink(missing_ok=True)
