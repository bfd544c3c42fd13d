"""The backends of a plugin in a process of its own; each of their models is loaded in one more."""

from __future__ import annotations

from palaver import frames
from palaver.errors import PalaverError, PluginFailed
from palaver.life import error_of
from palaver.model import Model, ModelInfo
from palaver.plugins.remote import Process

QUICK_SECONDS = 2.0
"""For what is asked while somebody types: a backend looks then, and neither hashes nor loads."""


class RemoteBackend:
    """A backend whose models are loaded in processes of their own, in the environment of the plugin."""

    isolated: bool = True

    def __init__(self, process: Process, name: str) -> None:
        self._process, self.name = process, name

    def resolve(self, name: str) -> ModelInfo | None:
        """See `Backend`."""
        found = self._process.call("resolve", self.name, seconds=QUICK_SECONDS, model=name)
        return None if found is None else frames.decode(ModelInfo, found)

    def load(self, info: ModelInfo) -> Model:
        """Never here: the registry starts a process for it."""
        raise PluginFailed(f"{info.name} is loaded in a process of its own.")

    def _form(self, do: str, info: ModelInfo, **given: object) -> ModelInfo | None:
        found = self._process.call(do, self.name, seconds=QUICK_SECONDS, info=frames.encode(info), **given)
        return None if found is None else frames.decode(ModelInfo, found)


class _Examines(RemoteBackend):
    """One that can say why a model would not load."""

    def examine(self, info: ModelInfo) -> PalaverError | None:
        """See `Examines`."""
        told = self._process.call("examine", self.name, seconds=QUICK_SECONDS, info=frames.encode(info))
        if told is None:
            return None
        kind, message, fix, code = map(str, told)
        return error_of({"kind": kind, "message": message, "fix": fix, "code": code})


class _TakesOver(RemoteBackend):
    """One that computes other backends' files."""

    def take_over(self, info: ModelInfo, form: str) -> ModelInfo | None:
        """See `TakesOver`."""
        return self._form("take_over", info, form=form)

    def for_batches(self, info: ModelInfo) -> ModelInfo | None:
        """See `TakesOver`."""
        return self._form("for_batches", info)


class _Streams(RemoteBackend):
    """One that streams answers from other backends' files."""

    def for_streams(self, info: ModelInfo) -> ModelInfo | None:
        """See `Streams`."""
        return self._form("for_streams", info)


def backend_class(*, examines: bool, takes_over: bool, streams: bool) -> type[RemoteBackend]:
    """The class of a backend that can do these things, and has no method for the others."""
    wanted = ((_Examines, examines), (_TakesOver, takes_over), (_Streams, streams))
    bases = tuple(kind for kind, is_wanted in wanted if is_wanted)
    return type("RemoteBackend", bases or (RemoteBackend,), {})
