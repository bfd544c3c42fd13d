"""Evaluation on a Ray cluster: `palaver eval --on ray[:ADDRESS]`."""

from __future__ import annotations

from importlib.util import find_spec

from palaver import ExecutorKind, UsageError, hookimpl
from palaver_ray.executor import RayExecutor
from palaver_ray.place import place_of


class RayKind:
    """On the nodes of a Ray cluster, with the model in an actor of each."""

    name: str = "ray"
    summary: str = "on a Ray cluster: ray, ray:HOST:PORT, ray:auto?workers=8&gpus=1"

    def open(self, argument: str) -> RayExecutor:
        """The cluster of that address; nothing is connected before the first request.

        Raises:
            UsageError: Ray is not installed, or the argument means nothing.
        """
        if find_spec("ray") is None:
            raise UsageError("Ray is not installed.", fix="pip install 'palaver[ray]'", code="no_ray")
        return RayExecutor(place_of(argument))


@hookimpl
def palaver_executors() -> list[ExecutorKind]:
    return [RayKind()]
