"""What runs in an actor on a node: the model in a child process of its own, and the answers to batches.

A model that crashes ends its child, which is replaced here: the driver notices only the end of an actor or a node.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from palaver import Asked, Job, ModelFailed, NeedsDownload, PalaverError, Prediction, __version__, answer_batch, paths
from palaver.isolated import IsolatedModel
from palaver.model import ModelInfo


@dataclass(frozen=True, slots=True)
class Hello:
    """What an actor says of itself, before it loads anything."""

    version: str
    pid: int
    node: str


@dataclass(frozen=True, slots=True)
class Trouble:
    """An error on its way to the driver, as values: exceptions of other machines do not always arrive whole."""

    message: str
    fix: str
    code: str
    is_download: bool = False

    def error(self) -> PalaverError:
        """The error, to raise."""
        kind = NeedsDownload if self.is_download else ModelFailed
        return kind(self.message, fix=self.fix, code=self.code)


class Worker:
    """One actor. Each method is called by the driver, one at a time."""

    def __init__(self, job: Job, threads: int) -> None:
        if threads:
            os.environ.setdefault("PALAVER_THREADS", str(threads))
        self._job = job
        self._model: IsolatedModel | None = None

    def hello(self) -> Hello:
        """That it was placed, and where."""
        return Hello(__version__, os.getpid(), os.uname().nodename)

    def load(self) -> Trouble | None:
        """Load the model's weights; what kept it from that."""
        try:
            info = located(self._job.model)
            log = paths.state_dir() / "logs" / f"ray-{os.getpid()}.log"
            self._model = IsolatedModel(info, module=self._job.module, log=log)
            found = self._model.load()
        except PalaverError as error:
            return Trouble(error.message, error.fix, error.code, isinstance(error, NeedsDownload))
        wanted = self._job.model.digest
        if wanted and found.digest and found.digest != wanted:
            return Trouble(
                f"{found.name} has other weights on {os.uname().nodename} ({found.digest[:12]}, here {wanted[:12]}).",
                f"palaver models pull {found.name} on that node",
                "other_weights",
            )
        return None

    def answer(self, batch: Sequence[Asked]) -> list[Prediction]:
        """One prediction for each request."""
        if self._model is None:
            raise RuntimeError("answer() before load()")
        return list(answer_batch(self._model, batch, self._job.config, threading.Event()))

    def close(self) -> None:
        """End the model's process."""
        if self._model is not None:
            with contextlib.suppress(PalaverError):
                self._model.close()


def located(info: ModelInfo) -> ModelInfo:
    """The model where this node has it: at the driver's path, or among the models that were pulled here.

    Raises:
        NeedsDownload: it is at neither.
    """
    if not info.path or Path(info.path).exists():
        return info
    parts = Path(info.path).parts
    for tail in range(1, len(parts)):
        if (here := paths.models_dir().joinpath(*parts[tail:])).exists():
            return replace(info, path=str(here))
    raise NeedsDownload(
        f"{info.name} is not on the node {os.uname().nodename}.",
        fix=f"palaver models pull {info.name} on each node, or a PALAVER_HOME that all of them see",
    )
