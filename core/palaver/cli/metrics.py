"""Names of metrics as a command line gives them."""

from __future__ import annotations

from collections.abc import Sequence

from palaver.errors import UsageError
from palaver.metric import Metric
from palaver.registry import Registry


def split_names(given: Sequence[str]) -> tuple[str, ...]:
    """`--metric bleu,chrf --metric ter` as three names."""
    return tuple(name.strip() for one in given for name in one.split(",") if name.strip())


def single(registry: Registry, name: str) -> Metric:
    """The one metric of that name.

    Raises:
        NotFound: there is none. UsageError: the name is that of a family.
    """
    members = [one.name for one in registry.metrics().values() if getattr(one, "family", "") == name]
    if members and name not in registry.metrics():
        raise UsageError(f"'{name}' is several metrics: {', '.join(members)}.", fix=f"--metric {members[0]}")
    return registry.metric(name)


def check_margin(metric: Metric, margin: float) -> None:
    """
    Raises:
        UsageError: the margin is as wide as the metric's whole scale.
    """
    if metric.higher_is_better and margin >= metric.maximum:
        raise UsageError(
            f"{metric.title} goes from 0 to {metric.maximum:g}: a margin of {margin:g} lets everything pass.",
            fix=f"--margin {metric.maximum / 100:g}",
        )
