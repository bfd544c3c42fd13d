"""A plugin in a process of its own: what it is asked, how long that may take, and how it ended.

What is called goes to the process as a frame, with a deadline. A process that hangs is ended, one that dies is told
of by how it died; the next call starts a new one.
"""

from __future__ import annotations

import itertools
import queue
import sys
import threading
import time
from typing import Any

from palaver import frames
from palaver.errors import PalaverError, PluginFailed
from palaver.life import error_of
from palaver.paths import state_dir
from palaver.plugins.failures import ENOUGH, add_failure, clear_failures
from palaver.plugins.found import Found
from palaver.plugins.index import forget
from palaver.plugins.isolation import Isolation
from palaver.plugins.patience import CANCEL
from palaver.plugins.told import Told
from palaver.process import ModelProcess

OPEN_SECONDS = 20.0
"""For the start of the process and the import, at least."""
DRAWING_SECONDS = 2.0
"""For a call in the thread that draws a screen, which stands still meanwhile."""
_POLL = 0.05


class Raised(Exception):
    """What the plugin raised in its process, in words."""

    is_described = True


class Process:
    """The process of one plugin, started at the first call and again after its end.

    A process that dies or is ended counts as a failure of the plugin. After three in a row it is left alone.
    """

    def __init__(self, found: Found, isolation: Isolation) -> None:
        self.found, self.isolation = found, isolation
        self._numbers = itertools.count(1)
        self._turn = threading.Lock()
        self._running: ModelProcess | None = None
        self._heard: queue.SimpleQueue[frames.Frame] = queue.SimpleQueue()
        self._ends = 0
        """How often it died or was ended since a call last succeeded."""
        self._is_late = False
        """What must be quick was not: nobody who types waits for it a second time."""

    @property
    def pid(self) -> int | None:
        """Of the process, while there is one."""
        return self._running.pid if self._running and self._running.alive else None

    def told(self) -> Told:
        """What the plugin provides.

        Raises:
            PalaverError: it cannot be imported, with the reason.
        """
        with self._turn:
            return self._opened()

    def call(self, do: str, name: str, /, seconds: float | None = None, **given: Any) -> Any:
        """What the plugin answers, within `seconds` or what the user allows it.

        Raises:
            Raised: the plugin raised. PalaverError: it raised one, its process died, it took too long, or the user
                did not want to wait.
        """
        if _draws():
            seconds = min(DRAWING_SECONDS, self.isolation.seconds if seconds is None else seconds)
        is_quick = seconds is not None
        seconds = self.isolation.seconds if seconds is None else min(seconds, self.isolation.seconds)
        if is_quick and self._is_late:
            raise PluginFailed(f"The plugin {self.found.name} was too slow before.", code="plugin_late")
        if self._ends >= ENOUGH:
            raise PluginFailed(
                f"The plugin {self.found.name} ended its process {ENOUGH} times in a row and is set aside.",
                code="plugin_aside",
                fix=f"palaver plugins enable {self.found.name}",
            )
        if not self._turn.acquire(timeout=seconds):
            raise PluginFailed(f"The plugin {self.found.name} is busy with another call.", code="plugin_slow")
        try:
            if self.pid is None:
                self._open_again()
            answer = self._ask("call", seconds=seconds, do=do, name=name, **given)
        except PluginFailed as failed:
            if failed.code in ("plugin_died", "plugin_slow"):
                self._ends += 1
                self._is_late = self._is_late or (is_quick and failed.code == "plugin_slow")
                add_failure(self.found.name, f"{do} {name}", failed.message)
            raise
        finally:
            self._turn.release()
        if self._ends:
            self._ends = 0
            clear_failures(self.found.name, f"{do} {name}")
        return answer

    def close(self) -> None:
        """End the process."""
        running, self._running = self._running, None
        if running is not None:
            running.stop()

    def _open_again(self) -> None:
        """
        Raises:
            PluginFailed: it can no longer be imported; the next start looks at it anew.
        """
        try:
            self._opened()
        except PalaverError as error:
            if error.code != "plugin_broken":
                raise
            forget(self.found.name)
            raise PluginFailed(
                f"The plugin {self.found.name} can no longer be imported: {error.message}.",
                fix="palaver plugins list --check",
            ) from error

    def _opened(self) -> Told:
        self.close()
        log = state_dir() / "logs" / f"plugin-{self.found.name.replace('/', '_')}.log"
        heard = self._heard = queue.SimpleQueue()
        try:
            self._running = ModelProcess(
                log=log, module=self.found.module, program="palaver.plugins.guest", on_frame=heard.put
            )
        except OSError as error:
            raise PluginFailed(f"The process for the plugin {self.found.name} cannot be started: {error}.") from error
        value = self._ask(
            "open",
            seconds=2 * DRAWING_SECONDS if _draws() else max(OPEN_SECONDS, self.isolation.seconds),
            found=frames.encode(self.found),
            memory=self.isolation.memory,
            path=[] if self.found.python else sys.path,
        )
        try:
            return frames.decode(Told, value)
        except frames.FrameError as error:
            raise PluginFailed(f"The plugin {self.found.name} says nonsense of itself: {error}.") from error

    def _ask(self, kind: str, *, seconds: float, **given: object) -> Any:
        running, cancel = self._running, CANCEL.get()
        assert running is not None
        number = next(self._numbers)
        try:
            running.send(kind, id=number, **given)
        except frames.FrameError as error:
            raise PluginFailed(f"It is too much for the plugin {self.found.name}: {error}.") from error
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            try:
                frame = self._heard.get(timeout=min(left, _POLL))
            except queue.Empty:
                if cancel is not None and cancel.is_set():
                    self._leave(running)
                    raise PalaverError(
                        f"Stopped while the plugin {self.found.name} was at it.", code="stopped"
                    ) from None
                if not running.ended.is_set():
                    continue
                if self._heard.empty():
                    self._running = None
                    raise PluginFailed(
                        f"The plugin {self.found.name} {running.epitaph()}.", code="plugin_died", fix=self._remedy()
                    ) from None
                continue
            if frame.get("id") != number:
                continue
            if frame.get("type") == "result":
                return frame.get("value")
            raise error_of(frame) if frame.get("kind") else Raised(str(frame.get("message")))
        self._leave(running)
        level = self.isolation.level
        raise PluginFailed(
            f"The plugin {self.found.name} took more than {seconds:g} s and was ended.",
            code="plugin_slow",
            fix=f"palaver plugins isolate {self.found.name} {level} --seconds N"
            if seconds == self.isolation.seconds
            else self._remedy(),
        )

    def _leave(self, running: ModelProcess) -> None:
        """End a process that is at something that nobody waits for any more; the next call starts another."""
        self._running = None
        threading.Thread(target=running.terminate_until_gone, daemon=True).start()

    def _remedy(self) -> str:
        return f"palaver plugins info {self.found.name}"


def _draws() -> bool:
    """Whether this thread runs an event loop, as the one that draws a screen does."""
    asyncio = sys.modules.get("asyncio")  # where nobody has imported it there is none
    try:
        return asyncio is not None and asyncio.get_running_loop() is not None
    except RuntimeError:
        return False
