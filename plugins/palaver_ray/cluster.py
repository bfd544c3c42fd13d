"""The connection to a cluster, and what is said when there is none."""

from __future__ import annotations

import logging
import os
import secrets
import socket
from typing import Any

from palaver import ModelFailed, UsageError, paths
from palaver_ray.place import Place

OBJECT_STORE = 200_000_000
"""Bytes of shared memory for a cluster that is started here: batches of texts are small."""

ANSWER_SECONDS = 5.0
"""In which a cluster's address must take a connection."""


def connected(place: Place) -> Any:
    """The `ray` module, connected to the cluster; one is started on this machine where no other is named.

    Raises:
        UsageError: there is no cluster at the address. ModelFailed: it lets nobody in, or none can be started here.
    """
    address = place.address or os.environ.get("RAY_ADDRESS", "")
    _check_that_somebody_listens(address)
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nobody is told what runs here
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")  # as it will be; without it Ray warns
    if not address:
        _take_own_token()
    import ray.exceptions  # a second and 60 MB: paid by whoever evaluates on a cluster

    if ray.is_initialized():
        return ray
    quiet: dict[str, Any] = {"logging_level": logging.ERROR, "log_to_driver": False, "configure_logging": False}
    try:
        if address:
            ray.init(address=address, **quiet)
        else:
            ray.init(address="local", include_dashboard=False, object_store_memory=OBJECT_STORE, **quiet)
    except (ConnectionError, ValueError, RuntimeError, ray.exceptions.RayError) as error:
        where = f"The Ray cluster at '{address}' cannot be used" if address else "No Ray cluster can be started here"
        raise ModelFailed(f"{where}: {_first_line(error)}.", fix="ray status", code="no_cluster") from error
    _keep_off_stdout()
    return ray


def _check_that_somebody_listens(address: str) -> None:
    """Ray itself would try for more than a minute, and say little.

    Raises:
        UsageError: nobody does.
    """
    host, colon, port = address.removeprefix("ray://").rpartition(":")
    if not colon or not port.isdigit():
        return
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=ANSWER_SECONDS).close()
    except (OSError, OverflowError) as error:
        raise UsageError(
            f"There is no Ray cluster at '{address}': {_first_line(error)}.", fix="ray status", code="no_cluster"
        ) from error


def _take_own_token() -> None:
    """A cluster that is started here lets in whoever has its token: one of ours, that no later cluster asks for."""
    if any(name in os.environ for name in ("RAY_AUTH_MODE", "RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH")):
        return
    path = paths.private_dir(paths.state_dir()) / "ray-token"
    if not path.exists():
        path.touch(0o600)
        path.write_text(secrets.token_hex(32), "ascii")
    os.environ.update(RAY_AUTH_MODE="token", RAY_AUTH_TOKEN_PATH=str(path))


def _keep_off_stdout() -> None:
    """What Ray has to say of its nodes goes to the log: whatever it is told, it prints that to stdout, the answer's."""
    from ray._private import worker

    def log(data: Any, ignore_prefix: bool) -> None:
        logging.getLogger("palaver_ray").info("%s: %s", data.get("pid"), data.get("lines"))

    if hasattr(worker, "print_to_stdstream"):
        worker.print_to_stdstream = log


def workers_of(ray: Any, place: Place) -> tuple[int, float]:
    """How many actors, and how many GPUs each takes."""
    has_gpus = int(ray.cluster_resources().get("GPU", 0))
    gpus = place.gpus if place.gpus is not None else float(bool(has_gpus))
    if place.workers is not None:
        return place.workers, gpus
    nodes = sum(bool(node["Alive"]) for node in ray.nodes())
    return (max(1, int(has_gpus / gpus)) if gpus else max(1, nodes)), gpus


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")
