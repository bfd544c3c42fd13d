"""Our end of a plugin's screen: its process, the rows it has drawn, and whether it is alive."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from palaver import frames
from palaver.paths import state_dir
from palaver.plugins.found import Found, stamp
from palaver.plugins.isolation import isolation_of
from palaver.process import ModelProcess

START_SECONDS = 20.0
"""For the start of the process and the import of the plugin."""
STILL_SECONDS = 5.0
"""Without a sign of life the process is ended; $PALAVER_SCREEN_SECONDS is another number."""
STUCK_SECONDS = 0.6
"""Without a sign of life esc and ctrl+c are no longer left to the screen."""
LOOK_SECONDS = 0.2
"""Between two looks at it."""
_MOST = 1000
"""What it may say that nobody has heard yet."""


@dataclass(frozen=True, slots=True)
class Said:
    """Something that the process said beside rows: `unused`, `say`, `copy`, `bell`."""

    kind: str
    text: str = ""


class Link:
    """A running screen. `tell` is called in a thread of its own when there is something new."""

    def __init__(
        self, found: Found, name: str, *, history: Path, theme: str, size: tuple[int, int], tell: Callable[[], object]
    ) -> None:
        """
        Raises:
            OSError: no process can be started.
        """
        self.found, self.name, self.stamp = found, name, stamp(found)
        self.keys: tuple[tuple[str, str], ...] = ()
        """The keys of its own that it names now."""
        self.is_ready = False
        """It has drawn something."""
        self._tell = tell
        self._lock = threading.Lock()
        self._rows: dict[int, object] = {}
        self._said: deque[Said] = deque(maxlen=_MOST)
        self._broke = ""
        self._is_over = self._is_closed = False
        self._heard = time.monotonic()
        self._has_beaten = False
        self._silent_looks = 0
        self._heard_at_last_look = self._heard
        log = state_dir() / "logs" / f"screen-{found.name.replace('/', '_')}.log"
        self._process = ModelProcess(
            log=log, module=found.module, program="palaver_tui.hosted.guest", on_frame=self._receive
        )
        self._process.send(
            "open", found=frames.encode(found), memory=isolation_of(found).memory, screen=name, history=str(history),
            theme=theme, width=size[0], height=size[1], path=[] if found.python else sys.path,
        )  # fmt: skip

    @property
    def pid(self) -> int:
        """Of the process."""
        return self._process.pid

    @property
    def is_stuck(self) -> bool:
        """No sign of life for some time, or none yet."""
        return not self._has_beaten or time.monotonic() - self._heard > STUCK_SECONDS

    def send(self, kind: str, /, **values: object) -> None:
        """Tell the process; what is too long for it is not told."""
        try:
            self._process.send(kind, **values)
        except frames.FrameError:
            self._said.append(Said("bell"))

    def take(self) -> tuple[Mapping[int, object], list[Said]]:
        """Rows that changed since the last time, and what else was said; the next rows may come."""
        with self._lock:
            rows, self._rows = self._rows, {}
            said = list(self._said)
            self._said.clear()
        return rows, said

    @property
    def end(self) -> str | None:
        """Why it is over: empty where it ended as it should, None while it goes on."""
        if self._broke or self._is_over:
            return self._broke
        return f"its process {self._process.epitaph()}" if self._process.ended.is_set() else None

    def look(self) -> str | None:
        """The same, and whether it was silent for too long; to be called every LOOK_SECONDS.

        Looks are counted, not seconds: a machine that slept, or was busy elsewhere, is not the screen's fault.
        """
        if (reason := self.end) is not None:
            return reason
        self._silent_looks = 0 if self._heard != self._heard_at_last_look else self._silent_looks + 1
        self._heard_at_last_look = self._heard
        patience = still_seconds() if self._has_beaten else max(START_SECONDS, still_seconds())
        if self._silent_looks * LOOK_SECONDS < patience:
            return None
        return f"it did not answer for {patience:g} s"

    def close(self) -> None:
        """End the process; nobody waits for it."""
        self._is_closed = True
        threading.Thread(target=self._process.terminate_until_gone, daemon=True).start()

    def _receive(self, frame: Mapping[str, Any]) -> None:
        if self._is_closed:
            return
        self._heard = time.monotonic()
        kind = frame.get("type")
        if kind == "beat":
            self._has_beaten = True
            return
        with self._lock:
            if kind == "picture" and isinstance(rows := frame.get("rows"), dict):
                self._rows |= {int(at): row for at, row in rows.items() if str(at).isdecimal()}
                self.is_ready = True
            elif kind == "keys" and isinstance(keys := frame.get("keys"), list):
                self.keys = tuple((str(one[0]), str(one[1])) for one in keys if isinstance(one, list) and len(one) == 2)
            elif kind == "broke":
                self._broke = str(frame.get("reason")) or "it broke"
            elif kind == "over":
                self._is_over = True
            elif kind in ("unused", "say", "copy", "bell"):
                self._said.append(Said(kind, str(frame.get("key") or frame.get("line") or frame.get("text") or "")))
        self._tell()


def still_seconds() -> float:
    """How long a screen may be silent."""
    try:
        return float(os.environ.get("PALAVER_SCREEN_SECONDS") or STILL_SECONDS)
    except ValueError:
        return STILL_SECONDS
