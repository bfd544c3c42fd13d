"""Which cluster, and what a worker takes of it: the part after `ray:`."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import parse_qsl

from palaver import UsageError

MOST_WORKERS = 10_000


@dataclass(frozen=True, slots=True)
class Place:
    """A cluster and the pool on it."""

    address: str = ""
    """`HOST:PORT`, `auto` or `ray://...`; empty for the cluster that RAY_ADDRESS names, or one on this machine."""
    workers: int | None = None
    """Actors, each with the model; None for one a GPU, or one a node where there is none."""
    cpus: float = 1.0
    """That Ray sets aside for each actor."""
    gpus: float | None = None
    """None for one where the cluster has any."""


def place_of(argument: str) -> Place:
    """The place that `ADDRESS?workers=N&cpus=N&gpus=N` means; each part may be missing.

    Raises:
        UsageError: an unknown word or no number.
    """
    address, _, query = argument.partition("?")
    given = dict(parse_qsl(query, keep_blank_values=True))
    unknown = set(given) - {"workers", "cpus", "gpus"}
    if unknown:
        raise UsageError(f"'ray' takes workers, cpus and gpus after the ?, not '{min(unknown)}'.")
    workers = _number(given, "workers")
    if workers is not None and not (workers.is_integer() and 1 <= workers <= MOST_WORKERS):
        raise UsageError(f"workers is a whole number from 1 to {MOST_WORKERS:,}, not '{given['workers']}'.")
    cpus = _number(given, "cpus")
    return Place(
        address,
        None if workers is None else int(workers),
        Place().cpus if cpus is None else cpus,
        _number(given, "gpus"),
    )


def _number(given: dict[str, str], name: str) -> float | None:
    if name not in given:
        return None
    try:
        found = float(given[name])
    except ValueError:
        found = -1.0
    if not 0 <= found < float("inf"):
        raise UsageError(f"{name} is a number of 0 or more, not '{given[name]}'.")
    return found
