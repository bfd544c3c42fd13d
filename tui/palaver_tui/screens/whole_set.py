"""Two runs as whole sets, in words: difference, interval, p, who is better if anyone is, and what that rests on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from textual.content import Content

from palaver.comparison import Comparison, MetricComparison
from palaver.paired import Segment
from palaver.present import UNSCORED, format_signed, format_value
from palaver.runs import Report
from palaver.terminal import cells, clip, safe_line
from palaver_tui.places import Keys
from palaver_tui.widgets.footer import Hint
from palaver_tui.widgets.text import styled

ORDERS = ("largest difference", "A worse", "B worse", "as in the data set")
NAMED = (
    Hint("j k", "segment", 1),
    Hint("o", "order", 3),
    Hint("t", "metric", 7),
    Hint("h", "highlight", 8),
    Hint("w", "swap", 6),
    Hint("v", "vote A/B", 4),
    Hint("J", "judge", 9),
    Hint("esc", "back", 2),
    Hint("F1", "help", 5),
)
HIDDEN = (
    Hint("j k", "segment", 1),
    Hint("v", "vote A/B", 2),
    Hint("n", "names", 3),
    Hint("o", "order", 6),
    Hint("esc", "back", 4),
    Hint("F1", "help", 5),
)
VOTING = (Hint("a", "A is better", 1), Hint("b", "B is better", 1), Hint("t", "a tie", 2), Hint("esc", "no vote", 3))
KEYS: Keys = (
    ("j k ↑ ↓", "the next segment, the one before; g and G: the first, the last"),
    ("o", "order: largest difference, A worse, B worse, as in the data set"),
    ("t", "the metric that the order goes by"),
    ("h", "marks of what is in the reference, on and off"),
    ("w", "swap A and B"),
    ("n", "hide the names, scores and totals and shuffle each segment, to vote blind; show them again"),
    ("v", "vote on this segment: a, b, or t for a tie; the vote is kept, then the names are shown"),
    ("J", "ask a model which answers are better, each pair in both orders; esc stops it"),
    ("y", "copy both answers"),
    ("ctrl+t", "copy the command line"),
    ("esc", "back"),
)
Piece = str | tuple[str, str]


def ordered(segments: Sequence[Segment], metric: str, order: int, *, higher_is_better: bool) -> list[Segment]:
    """The segments in one of `ORDERS`, equal ones as in the data set."""
    sign = 1.0 if higher_is_better else -1.0
    if order == 0:
        return sorted(segments, key=lambda one: -abs(one.gap(metric)))
    if order == 1:
        return sorted(segments, key=lambda one: sign * one.gap(metric))
    if order == 2:
        return sorted(segments, key=lambda one: -sign * one.gap(metric))
    return list(segments)


def place_line(at: int, count: int, order: int, title: str) -> str:
    """`segment 17 of 120, by largest difference in chrF`."""
    how = ORDERS[order] + (f" in {title}" if order < 3 else "")
    return f"segment {at + 1:,} of {count:,}, {'' if order == 3 else 'sorted by '}{how}"


@dataclass(frozen=True, slots=True)
class _Sizes:
    """Cells of the columns: title, one score, difference, interval, p; 0 leaves a column out."""

    title: int
    score: int
    difference: int
    interval: int
    p: int


_SIZES = ((104, _Sizes(20, 9, 12, 21, 8)), (72, _Sizes(8, 7, 9, 17, 7)), (0, _Sizes(8, 7, 9, 0, 0)))


def whole_text(found: Comparison, reports: Sequence[Report], metric: str, width: int, *, room: int) -> Content:
    """The tests over all examples. With `room` for few metrics, the one that matters now comes first."""
    sizes = next(sizes for least, sizes in _SIZES if width + 1 >= least)
    chosen = [one for one in found.metrics if one.metric == metric]
    rows = found.metrics if len(found.metrics) <= room else [*chosen, *(o for o in found.metrics if o not in chosen)]
    lines = [_row(found, one, sizes, width, is_chosen=one.metric == metric and room > 1) for one in rows[:room]]
    if room == 1:
        return Content("\n").join(lines)
    dropped = sum(one.count for one in found.dropped)
    head = f" n={found.n:,}" + (f", {dropped:,} left out" if dropped else "")
    columns = f"{'A':>{sizes.score}}{'B':>{sizes.score}}{'A − B':>{sizes.difference}}"
    columns += f"{'95 % interval':>{sizes.interval}}{'p':>{sizes.p}}" if sizes.p else ""
    start = 1 + sizes.title
    # A head that is longer than the column of titles stands on a row of its own.
    title = styled((f"{head:<{start}}{columns}" if len(head) <= start else f"{head}\n{'':<{start}}{columns}", "$muted"))
    return Content("\n").join([title, *lines, *_below(found, reports, metric, width, is_full=room > 4)])


def _row(found: Comparison, one: MetricComparison, sizes: _Sizes, width: int, *, is_chosen: bool) -> Content:
    title = clip(one.title + (" ↓" if not one.higher_is_better else ""), sizes.title - 1)
    gap = " " * (sizes.title - cells(title))
    if not one.pairs:
        return styled(" ", (title, "bold"), gap, (clip(one.error or "not compared", width - sizes.title), "$muted"))
    pair = one.pairs[0]
    scores = {score.system: score.value for score in one.scores}
    pieces: list[Piece] = [" ", (title, "bold underline" if is_chosen else "bold"), gap]
    pieces += [f"{format_value(one.metric, scores[system]):>{sizes.score}}" for system in found.systems]
    style = "$better" if pair.better == pair.first else "$worse" if pair.better else ""
    arrow = "▲" if pair.better == pair.first else "▼" if pair.better else " "
    difference = f"{arrow} {format_signed(pair.metric, pair.difference)}".rjust(sizes.difference)
    pieces.append((difference, style) if style else difference)
    if sizes.p:
        span = ""
        if pair.interval is not None:
            low, high = format_signed(pair.metric, pair.interval.low), format_signed(pair.metric, pair.interval.high)
            span = f"[{low}, {high}]"
        p = "<0.001" if pair.p_holm < 0.001 else f"{pair.p_holm:.3f}"
        pieces.append(f"{span:>{sizes.interval}}{p:>{sizes.p}}")
    verdict = "not distinguishable"
    if pair.better:
        verdict = f"{'A' if pair.better == pair.first else 'B'} is better"
    return styled(*pieces, ("  " + verdict, style or "$muted"))


def _below(found: Comparison, reports: Sequence[Report], metric: str, width: int, *, is_full: bool) -> list[Content]:
    """Wins, what the set could have shown, what was left out, and how it was tested."""
    chosen = next((one for one in found.metrics if one.metric == metric), None)
    lines: list[Content] = []
    if chosen is not None and chosen.pairs:
        pair = chosen.pairs[0]
        said = f" wins / ties / losses   {pair.wins} / {pair.ties} / {pair.losses} by {pair.title}"
        said += speed(reports)
        if not pair.better and pair.smallest_detectable is not None:
            said += f"   such a set shows {format_value(metric, pair.smallest_detectable)} or more"
        lines.append(styled(clip(said, width)))
    for one in found.dropped[:2] if is_full else ():
        whose = f" ({safe_line(one.system)})" if one.system else ""
        lines.append(styled((clip(f" left out: {one.count:,} · {one.reason}{whose}", width), "$muted")))
    for warning in found.warnings[:1] if is_full else ():
        lines.append(styled((clip(f" {safe_line(warning)}", width), "$muted")))
    settings = found.settings
    signature = chosen.signature if chosen is not None else ""
    said = f" approximate randomization, {settings.trials:,} trials, seed {settings.seed} · {signature or UNSCORED}"
    lines.append(styled((clip(said, width), "$muted")))
    return lines


def speed(reports: Sequence[Report]) -> str:
    """How much faster A answered, where both were timed in these runs and nothing came from the cache."""
    if any(one.cached or one.seconds <= 0 for one in reports):
        return ""
    a, b = (one.seconds / max(1, sum(one.ended.values())) for one in reports)
    if a <= 0 or b <= 0 or max(a, b) < 1.05 * min(a, b):
        return ""
    times = max(a, b) / min(a, b)
    shown = "over 1,000" if times > 1000 else f"{times:.1f}"
    return f"   speed: {'A' if a < b else 'B'} {shown}× faster"
