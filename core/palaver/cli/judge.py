"""What `palaver compare --judge` does and prints."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

from palaver.cli.output import Progress, table
from palaver.cli.program import Program
from palaver.cli.stop import Stop

if TYPE_CHECKING:
    from palaver.comparison import Settings
    from palaver.judge import JudgedPair, Judgement
    from palaver.runs import Report
    from palaver.store import Store


def judgement(
    program: Program, store: Store, model: str, reports: Sequence[Report], settings: Settings
) -> Judgement | None:
    """What the model says of the runs; None when ctrl+c came before the end.

    Raises:
        PalaverError: it cannot be asked.
    """
    from palaver.judge import Judge

    line = Progress(program.output)
    judge = Judge(program.registry, store, model)
    try:
        with Stop(program.output) as stop:
            return judge.compare(
                reports,
                settings,
                stop.event,
                lambda done, total: line.show(f"{judge.info.name} · {done:,} of {total:,} verdicts"),
            )
    finally:
        line.clear()
        program.registry.close()


def record_of(found: Judgement) -> Mapping[str, object]:
    """As `palaver.compare/1` has it."""
    pairs = [{**asdict(one), "order_share": one.order_share} for one in found.pairs]
    return {**asdict(found), "pairs": pairs}


def told(found: Judgement) -> str:
    """For people."""
    rows = [
        (
            one.first,
            one.second,
            f"{one.wins} {one.ties} {one.losses}",
            f"{one.preference:+.2f}"
            + (f" [{one.interval.low:+.2f}, {one.interval.high:+.2f}]" if one.interval else ""),
            f"{one.p_holm:.4f}",
            one.better or "neither",
        )
        for one in found.pairs
    ]
    head = ("judged", "against", "win tie lose", "preference, 95 %", "p", "better")
    lines = [
        table(head, rows, whole=range(2, 5)),
        *(_order(one) for one in found.pairs),
        *(f"warning: {one}" for one in found.warnings),
    ]
    where = f" (run {found.run_id})" if found.run_id else ""
    lines.append(f"{found.asked:,} verdicts asked{where}, {found.cached:,} from history; {found.signature}")
    return "\n".join(lines)


def _order(pair: JudgedPair) -> str:
    line = f"{pair.first} : {pair.second}: n={pair.n}"
    if pair.order_share is not None:
        second = pair.by_order - pair.chose_first_shown
        line += (
            f"; the order decided {pair.order_share:.0%} of the pairs"
            f" (the answer shown first {pair.chose_first_shown}, the second {second}), which count as ties"
        )
    for count, why in (
        (pair.identical, "the same text"),
        (pair.unreadable, "left out: no verdict could be read"),
        (pair.failed, "left out: the judge failed"),
    ):
        line += f"; {count} {why}" if count else ""
    return line
