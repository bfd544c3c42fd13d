"""What the Evaluate screen says: a line a model, intervals, whether there is a winner yet, the poorest answers."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from textual.content import Content

from palaver.comparison import Interval, Pair
from palaver.present import UNSCORED, format_signed, format_value
from palaver.tally import CorpusScore
from palaver.terminal import cells, clip, safe_line
from palaver_tui.places import Keys
from palaver_tui.progress import ModelLine, Poor, View
from palaver_tui.widgets.footer import Hint
from palaver_tui.widgets.text import styled

LIST_HINTS = (
    Hint("n", "new", 1),
    Hint("enter", "open", 2),
    Hint("x", "mark", 6),
    Hint("c", "compare marked", 5),
    Hint("ctrl+t", "copy command", 7),
    Hint("esc", "back", 3),
    Hint("F1", "help", 4),
)
OPEN_HINTS = (
    Hint("n", "new", 5),
    Hint("space", "go on", 1),
    Hint("enter", "examples", 2),
    Hint("c", "compare", 3),
    Hint("ctrl+t", "copy command", 8),
    Hint("j k", "model", 7),
    Hint("esc", "back", 4),
    Hint("F1", "help", 6),
)
RUNNING_HINTS = (Hint("space", "pause", 1), Hint("s", "stop and keep", 2), *OPEN_HINTS[2:3], *OPEN_HINTS[4:])
KEYS: Keys = (
    ("n", "a new evaluation: task, data set, models"),
    ("↑ ↓ pgup pgdn", "move through the list; j k choose a model of an open one"),
    ("enter", "open an evaluation; in an open one, the examples of the chosen model in History"),
    ("x", "mark; enter then opens the marked runs side by side"),
    ("space", "pause, and go on: only what is missing is asked"),
    ("s", "stop and keep what is there; the command line that does the rest is shown"),
    ("c", "compare two runs, segment by segment"),
    ("ctrl+t", "copy the command line"),
    ("esc", "back to the list, which does not stop what runs; then to the chat"),
)

NAME, BAR = 20, 24
"""Cells of a model's name at most, and of a progress bar where there is room."""
_STATE = {"wait": "wait", "loading": "loading", "paused": "paused", "stopped": "stopped", "done": "done", "broken": "!"}
Piece = str | tuple[str, str]


def head_line(view: View) -> str:
    """`dev.jsonl.gz  50 examples × 2 models · summarize length=1 · 95 % intervals by bootstrap`."""
    plan = view.plan
    options = " ".join(f"{key}={value}" for key, value in plan.options.items() if value not in ("", None))
    times = f" × {plan.repeat} seeds" if plan.repeat > 1 else ""
    models = f" × {len(view.lines)} models" if len(view.lines) > 1 else ""
    parts = [f"{plan.name}  {plan.n:,} examples{times}{models}", f"{plan.task} {options}".strip()]
    if plan.bad:
        parts.append(f"{plan.bad:,} bad records left out")
    return " · ".join([*parts, "95 % intervals by bootstrap"])


def state_line(view: View) -> str:
    """What stands at the right of the first row."""
    runs = [one.run_id for one in view.lines]
    named = f"run {runs[0]}" if len(runs) == 1 else f"runs {runs[0]}–{runs[-1]}"
    then = datetime.fromtimestamp(view.started)
    today = then.date() == datetime.now().date()
    return f"{named} · started {then:%H:%M}" if today else f"{named} · {then:%Y-%m-%d}"


def standing(view: View) -> str:
    """What there is to say when nothing runs any more; nothing while something does."""
    states = {one.state for one in view.lines}
    if view.is_running or view.is_done:
        return ""
    if "broken" in states:
        return "it ended before its time; what is there is kept, space tries the rest again"
    return f"{'paused' if 'paused' in states else 'stopped'} · what is there is kept, space asks for the rest"


def command_of(view: View) -> str:
    """The command line that does the rest, or that compares what is done."""
    runs = [str(one.run_id) for one in view.lines]
    if not view.is_done:
        return "palaver eval " + " ".join(f"--resume {one.run_id}" for one in view.lines if one.state != "done")
    return "palaver compare " + " ".join(runs)


# -- a line a model


def models_text(view: View, width: int, chosen: int) -> Content:
    """One line a model; progress, speed and lesser scores leave first, the name and the main score never."""
    name = min(NAME, max((cells(safe_line(one.model)) for one in view.lines), default=0))
    titles = _titles(view)
    columns = _columns(width, name, len(titles))
    head = [("    " + "model".ljust(name) + "  ", "$muted")]
    head += [(title.rjust(size) if right else title.ljust(size), "$muted") for title, size, right in columns.fixed]
    head += [((score_title + " ").rjust(columns.score), "$muted") for score_title in titles[: columns.scores]]
    rows = [styled(*head)]
    for index, one in enumerate(view.lines):
        rows.append(_model(one, name, columns, titles, is_chosen=index == chosen and len(view.lines) > 1))
        if one.error:
            rows.append(styled((f"      ! {safe_line(one.error)}", "$error")))
    return Content("\n").join(rows)


class _Columns:
    def __init__(self, fixed: list[tuple[str, int, bool]], score: int, scores: int) -> None:
        self.fixed, self.score, self.scores = fixed, score, scores
        """Title, cells, and whether it stands at the right, of each column before the scores."""


def _columns(width: int, name: int, scores: int) -> _Columns:
    is_wide, is_medium = width >= 104, width >= 72
    fixed: list[tuple[str, int, bool]] = [("done", 12 if is_medium else 6, True)]
    if is_medium:
        fixed.append(("  progress", (BAR if is_wide else 10) + 2, False))
    fixed.append(("err", 5, True))
    if is_wide:
        fixed.append(("seg/s", 8, True))
    fixed.append(("left", 9, True))
    score = 13
    room = width - 1 - 6 - name - sum(size for _, size, _ in fixed)
    return _Columns(fixed, score, min(scores, max(1, room // score)))


def _model(one: ModelLine, name: int, columns: _Columns, titles: Sequence[str], *, is_chosen: bool) -> Content:
    sign = "▸" if is_chosen else "●" if one.state in ("running", "loading") else " "
    shown = clip(safe_line(one.model), name)
    pieces: list[Piece] = [(f"  {sign} ", "$accent"), (shown + " " * (name - cells(shown) + 2), "bold" * is_chosen)]
    answered = one.done - one.failed
    for title, size, _ in columns.fixed:
        if title == "done":
            share = f"{100 * answered // one.total if one.total else 0}%"
            pieces.append((f"{answered:,}/{one.total:,}" if size > 6 else share).rjust(size))
        elif title == "err":
            pieces.append((str(one.failed).rjust(size), "$error" if one.failed else "$muted"))
        elif title == "seg/s":
            pieces.append((f"{one.rate:.{1 if one.rate >= 0.1 else 2}f}" if one.rate else UNSCORED).rjust(size))
        elif title == "left":
            pieces.append((_left(one).rjust(size), "$muted"))
        else:
            filled = bar(answered, one.total, size - 2)
            pieces += ["  ", (filled, "$accent"), ("━" * (size - 2 - len(filled)), "$hairline")]
    by_title = {score.score.title: score for score in one.scores}
    for title in titles[: columns.scores]:
        pieces.append(with_margin(by_title.get(title)).rjust(columns.score))
    return styled(*[piece for piece in pieces if piece and piece[0]])


def _left(one: ModelLine) -> str:
    if one.state == "running":
        return "" if one.left is None else _clock(one.left)
    return _STATE.get(one.state, "")


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def bar(done: int, total: int, size: int) -> str:
    """The filled part of a bar of `size` cells: `━━━━╸`."""
    halves = 2 * size * done // total if total else 0
    return "━" * (halves // 2) + "╸" * (halves % 2)


def with_margin(score: CorpusScore | None) -> str:
    """`58.2 ±1.3`; half of the interval, which need not be even: the line below has its ends."""
    if score is None or score.score.value is None:
        return UNSCORED
    shown = format_value(score.score.metric, score.score.value)
    if score.interval is None:
        return shown
    return f"{shown} ±{format_value(score.score.metric, (score.interval.high - score.interval.low) / 2)}"


def _titles(view: View) -> list[str]:
    return list(dict.fromkeys(score.score.title for one in view.lines for score in one.scores))


# -- intervals and tests


def intervals_text(view: View, width: int) -> Content:
    """The main score of each model with its interval on one scale."""
    scored = [(one.model, one.scores[0]) for one in view.lines if one.scores and one.scores[0].interval is not None]
    if not scored:
        return Content("")
    ends = [end for _, score in scored if score.interval for end in (score.interval.low, score.interval.high)]
    pad = (max(ends) - min(ends)) * 0.1 or 1e-9
    scale = Interval(min(ends) - pad, max(ends) + pad)
    name = min(NAME, max(cells(safe_line(model)) for model, _ in scored))
    tails = [_ends(score) for _, score in scored]
    size = max(10, min(60, width - name - 7 - max(map(len, tails))))
    lines = [styled((f" {scored[0][1].score.title}" + ("" if view.is_done else " so far"), "bold"))]
    for (model, score), tail in zip(scored, tails, strict=True):
        shown = clip(safe_line(model), name)
        drawn = _drawn(score, scale, size)
        lines.append(styled(f" {shown}{' ' * (name - cells(shown))}  ", *drawn, f"  {tail}"))
    return Content("\n").join(lines)


def _ends(score: CorpusScore) -> str:
    name, interval = score.score.metric, score.interval
    assert interval is not None
    low, high = format_value(name, interval.low), format_value(name, interval.high)
    return f"{format_value(name, score.score.value)} [{low}, {high}]  n={score.score.n}"


def _drawn(score: CorpusScore, scale: Interval, size: int) -> list[Piece]:
    assert score.interval is not None and score.score.value is not None

    def at(value: float) -> int:
        return round((value - scale.low) / (scale.high - scale.low) * (size - 1))

    low, high, middle = at(score.interval.low), at(score.interval.high), at(score.score.value)
    inside = "".join("●" if place == middle else "━" for place in range(low, high + 1))
    return [("├" + "─" * low, "$muted"), (inside, "$accent"), ("─" * (size - 1 - high) + "┤", "$muted")]


def verdict_text(view: View, width: int) -> Content:
    """For each two models, what the paired test on their shared rows says; never a winner by looking at overlap."""
    lines: list[Content] = []
    for pair in view.pairs:
        rows, said, verdict = _verdict(pair, is_done=view.is_done)
        gap = "  " if cells(rows + said + verdict) + 6 <= width else "\n   "
        style = "$better" if pair.better == pair.first else "$worse" if pair.better else "$muted"
        lines.append(styled(f" {rows}{gap}{said}  ", (verdict, style)))
    return Content("\n").join(lines)


def _verdict(pair: Pair, *, is_done: bool) -> tuple[str, str, str]:
    difference = f"{pair.title} {format_signed(pair.metric, pair.difference)}"
    if pair.interval is not None:
        low, high = format_signed(pair.metric, pair.interval.low), format_signed(pair.metric, pair.interval.high)
        difference += f" [{low}, {high}]"
    verdict = "not distinguishable" if is_done else "no winner yet"
    if pair.better:
        arrow = "▲" if pair.better == pair.first else "▼"
        verdict = f"{arrow} {safe_line(pair.better)} " + ("is better" if is_done else "leads so far")
    noun = "row" if pair.n == 1 else "rows"
    rows = f"paired on {pair.n:,} shared {noun}: {safe_line(pair.first)} − {safe_line(pair.second)}"
    return rows, f"{difference}  p {pair.p_holm:.3f}", verdict


def left_out_line(view: View) -> str:
    """How many answers are in no score, and why."""
    parts = []
    for one in view.lines:
        for status, count in sorted(one.ended.items()):
            if status not in ("complete", "failed") and count:
                parts.append(f"{count} {status} of {one.model}")
    cached = sum(one.cached for one in view.lines)
    said = f"in no score: {', '.join(parts)}" if parts else ""
    taken = f"{cached:,} answers taken over from history" if cached else ""
    whole = " · ".join(part for part in (said, taken) if part)
    return f" {whole}" if whole else ""


# -- the poorest


def poor_text(view: View, chosen: int, width: int) -> Content:
    """The answers of one model that scored lowest so far, and those that failed, a line each."""
    if not view.lines:
        return Content("")
    one = view.lines[chosen]
    found = view.poor.get(one.run_id, ())
    titles = _titles(view)
    if not found or not titles:
        return Content("")
    so_far = "" if one.state == "done" else " so far"
    lines = [styled((f" poorest by {titles[0]}{so_far}, {safe_line(one.model)}", "bold"))]
    lines += [_poor(entry, titles[0], width) for entry in found]
    return Content("\n").join(lines)


def _poor(entry: Poor, title: str, width: int) -> Content:
    mark = clip(safe_line(entry.example_id), 12)
    mark += " " * (12 - cells(mark))
    room = max(8, width - 24)
    if entry.value is None:
        return styled((f"  {'error':>6}", "$error"), f"  {mark}  {clip(safe_line(entry.error), room)}")
    said = clip(safe_line(entry.input[: 4 * room]), (room - 4) // 2)
    answer = clip(safe_line(entry.output[: 4 * room]) or "(empty)", room - 4 - cells(said))
    return styled(f"  {format_value(title, entry.value):>6}  {mark}  {said}", ("  → ", "$muted"), answer)
