"""The chat's own commands in the line mode: the same names, and what they show said in lines."""

from __future__ import annotations

import shlex
import threading
import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from palaver.errors import BadInput, PalaverError, UsageError
from palaver.present import format_size, format_value
from palaver.terminal import safe_line
from palaver_tui import slash
from palaver_tui.asking import Question
from palaver_tui.branch import follow_branch, newest_turn
from palaver_tui.places import PLACES
from palaver_tui.plain.talk import Talk, pull_words
from palaver_tui.spelled import name_in
from palaver_tui.turn_orders import TURN_ORDERS, TurnOrder, unload

if TYPE_CHECKING:
    from palaver.model import ModelInfo
    from palaver.pull import PullProgress
    from palaver.store import TurnLine

T = TypeVar("T")

COMMAND_OF = {"evaluate": "eval"}
"""The command of a screen, where that is not its name."""
LISTED = 10
"""Turns that `/history` says."""
SHOWN = 80
"""Cells of an output that it says."""


class Orders:
    """Does what begins with a slash and is no task."""

    def __init__(self, talk: Talk) -> None:
        self._talk = talk
        self._session = talk.session
        self._registry = talk.session.registry
        self._say = talk.voice.say
        self.by_name: Mapping[str, Callable[[str], None]] = {
            "ref": self._ref,
            "again": self._again,
            **{name: partial(self._do_to_turn, order) for name, order in TURN_ORDERS.items()},
            "unload": lambda rest: self._say(f"{unload(self._session, rest)}."),
            "resume": self._resume,
            "model": self._model,
            "pull": self._pull,
            "new": self._new,
            "demo": self._demo,
            "details": self._details,
            "history": self._history,
            "help": self._help,
        }
        screens = [one.command for one in PLACES if one.source and one.command not in self.by_name]
        self.by_name = {**self.by_name, **{name: partial(self._shell, name) for name in screens}}
        """All but /quit, which is the loop's."""

    def do(self, name: str, rest: str) -> None:
        """Do one of them.

        Raises:
            PalaverError: it cannot be done.
        """
        self.by_name[name](rest)

    def start(self) -> None:
        """What can be done at once, where no model with weights is on this machine."""
        from palaver_tui.screens.words import first_choices, room_line

        if choices := first_choices(self._registry):
            self._say("No model is loaded yet. These work right now:")
            self._talk.offer([(one.line, f"{one.does.rstrip('.')}, {one.cost}") for one in choices])
            self._say(room_line())
        else:
            self._say("Ask anything. /help says the commands.")

    def _ref(self, rest: str) -> None:
        from palaver.command import read_text

        numbered, text = slash.referred(rest)
        turn_id = self._turn(numbered)
        if not text:
            raise UsageError("A reference is the answer you would have wanted.", fix="/ref TEXT, or /ref @FILE")
        references = [read_text(text)]
        self._talk.scores(self._wait(lambda: self._session.add_references(turn_id, references), "Still scoring."))

    def _again(self, rest: str) -> None:
        turn = self._session.store.turn(self._turn(slash.referred(rest)[0]))
        self._talk.ask(Question(turn.input_text, instead_of=turn.id, is_again=True))

    def _do_to_turn(self, order: TurnOrder, rest: str) -> None:
        numbered, text = slash.referred(rest)
        self._say(f"{order(self._session, self._turn(numbered), text)}.")

    def _resume(self, rest: str) -> None:
        turn_id = slash.referred(rest)[0] or newest_turn(self._session)
        branch = follow_branch(self._session, turn_id)
        last = branch.shown[-1].turn
        self._say(f"The conversation of turn {last.id} goes on, {len(branch.path)} turns long.")
        self._say(f"You: {safe_line(last.input_text, SHOWN)}")
        self._say(f"{last.model}: {safe_line(last.output, SHOWN)}")

    def _turn(self, numbered: int | None) -> int:
        turn_id = self._session.last_turn if numbered is None else numbered
        if turn_id is None:
            raise BadInput("There is no answer yet.", fix="ask something first")
        return turn_id

    def _model(self, name: str) -> None:
        if not name:
            infos = self._registry.models()
            self._talk.offer([(self._line(info), f"{self._state(info)}. {info.description}") for info in infos])
            return
        info = self._registry.installed(name_in(name))
        self._session.model = info.name
        self._say(f"{info.name} answers from now on. {info.description}")

    def _line(self, info: ModelInfo) -> str:
        return f"/{'model' if self._registry.is_installed(info) else 'pull'} {info.name}"

    def _state(self, info: ModelInfo) -> str:
        if info.is_baseline:
            return "no weights"
        if not self._registry.is_installed(info):
            return f"not downloaded, {format_size(info.download_size)}"
        return "loaded" if self._registry.is_ready(info) else "on this machine"

    def _pull(self, name: str) -> None:
        from palaver.pull import pull

        if not name:
            infos = [info for info in self._registry.models() if info.files and not self._registry.is_installed(info)]
            self._talk.offer([(f"/pull {info.name}", f"{self._state(info)}. {info.description}") for info in infos])
            return
        info = self._registry.info(name)
        if self._registry.is_installed(info):
            self._say(f"{info.name} is on this machine.")
            return
        self._say(f"{pull_words(self._registry, name)}. Ctrl+c stops, what has arrived is kept.")
        cancel, told = threading.Event(), _Quarters(info.name, self._say)
        self._talk.wait(partial(pull, info, on_progress=told, cancel=cancel), cancel, lambda: told.line)
        self._registry.forget_files()
        self._say(f"{info.name} is on this machine: just ask.")
        self._time(name)
        if waiting := self._talk.last:
            self._talk.offer([(waiting, "your text again")])

    def _time(self, name: str) -> None:
        """Measure the engines of a new model, as `palaver models pull` does."""
        from palaver import streams

        info = self._registry.info(name)
        if not streams.is_to_be_timed(self._registry, info):
            return
        self._say("Several engines can compute it: measuring them once. Ctrl+c skips that.")
        cancel = threading.Event()
        try:
            timings = self._talk.wait(
                partial(streams.measure, self._registry, info, cancel), cancel, lambda: "Still measuring."
            )
        except PalaverError as error:  # the model is here all the same
            self._say(f"It could not be timed: {error.message}")
            return
        if timings:
            self._say(f"{info.name} is streamed by {streams.verdict(timings)}")

    def _new(self, rest: str) -> None:
        self._session.forget()
        self._say("A new conversation: what was said before is forgotten, and stays in the history.")

    def _demo(self, rest: str) -> None:
        from palaver_tui.demo import score_demo

        for turn in self._wait(lambda: score_demo(self._session), "Still scoring."):
            self._say(f"Text: {turn.input_text}")
            self._say(f"demo: {turn.output}")
            self._say(f"Reference: {turn.references[0].text}")
            self._talk.scores(turn)
        self._say("/ref TEXT scores any answer like this.")

    def _details(self, rest: str) -> None:
        from palaver.cli.turn import facts

        number = rest.removeprefix("#") or str(self._session.last_turn or "")
        if not number.isdecimal():
            raise BadInput("There is no answer yet.", fix="/details NUMBER, of a turn in /history")
        turn = self._session.store.turn(int(number))
        self._say(f"Turn {turn.id}: {turn.task}, {turn.status}, {_when(turn.created)}.")
        self._say(f"Text: {turn.input_text}")
        if turn.output:
            self._say(f"Answer: {turn.output}")
        if turn.error:
            self._say(f"Error: {turn.error}")
        for name, value in facts(turn):
            self._say(f"{name.capitalize()}: {value}")
        for reference in turn.references:
            self._say(f"Reference: {reference.text}")
        for score in turn.scores:
            value = format_value(score.metric, score.value)
            self._say(f"Score: {score.title} {value}, {score.error or score.signature}")
        if turn.note:
            self._say(f"Note: {turn.note}")

    def _history(self, rest: str) -> None:
        from palaver.store import parse_filter

        query = parse_filter(rest)
        lines = self._session.store.page(query, limit=LISTED)
        for line in lines:
            self._say(_turn_line(line))
        total = self._session.store.count(query)
        if total > len(lines):
            self._say(f"{len(lines)} of {total} turns. /history FILTER finds others, as task:qa or since:7d.")
        elif not lines:
            self._say(f"No turn is like that. {query.advice}".rstrip() if rest else "Nothing has been asked yet.")
        if lines:
            self._say("/details NUMBER says all about one.")

    def _shell(self, name: str, rest: str) -> None:
        """What a screen shows, as the command line says it: `/models` is `palaver models`."""
        from palaver.cli.app import run

        try:
            words = shlex.split(rest)
        except ValueError as error:
            raise UsageError(f"{error}.", fix="close the quotes") from error
        if name == "compare" and words and not words[0].isdigit() and not words[0].startswith("-"):
            raise UsageError(
                "In lines only evaluations are compared, by the numbers of their runs.", fix="/compare RUN RUN"
            )
        command = [COMMAND_OF.get(name, name), *words]
        self._say(f"palaver {shlex.join(command)}")
        run(command)

    def _help(self, rest: str) -> None:
        for entry in slash.entries(self._registry):
            self._say(f"{f'{entry.text} {entry.usage}'.strip()}: {entry.summary}")
        self._say("A task takes --ref TEXT or @FILE, -m MODEL, -o KEY=VALUE.")
        self._say("A line that ends with a backslash goes on. !! asks the last text again.")
        self._say("Ctrl+c stops an answer and keeps what was written. Ctrl+d leaves.")

    def _wait(self, work: Callable[[], T], still: str) -> T:
        return self._talk.wait(work, threading.Event(), lambda: still)


class _Quarters:
    """Says how far a download is at each quarter."""

    def __init__(self, name: str, say: Callable[[str], None]) -> None:
        self.line = f"{name} begins."
        self._name, self._say = name, say
        self._said = ("", 0)

    def __call__(self, progress: PullProgress) -> None:
        if not progress.total_bytes or progress.state == "ready":
            return
        share = 100 * progress.done_bytes // progress.total_bytes
        self.line = f"{self._name}: {progress.state}, {share} % of {format_size(progress.total_bytes)}."
        if (now := (progress.state, share // 25)) != self._said:
            self._said = now
            self._say(self.line)


def _turn_line(line: TurnLine) -> str:
    """`Turn 12, 14:02, translate, smollm2, BLEU 62.4: Der Hund …`."""
    parts = [f"Turn {line.id}", _when(line.created), line.task, line.model]
    if line.main and line.main[1] is not None:
        parts.append(f"{line.main[0]} {format_value(*line.main)}")
    shown = f"failed: {line.error}" if line.status == "failed" else line.output_start
    return f"{', '.join(filter(None, parts))}: {safe_line(shown, SHOWN)}"


def _when(moment: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(moment))
