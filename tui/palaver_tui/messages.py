"""What the conversation's threads tell the chat screen; each message names the entry of the transcript it is about."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from textual.message import Message

if TYPE_CHECKING:
    from palaver.errors import PalaverError
    from palaver.metric import Score, Span
    from palaver.model import ModelInfo
    from palaver.pull import PullProgress
    from palaver.session import Session
    from palaver.store import Turn
    from palaver.window import ContextUse
    from palaver_tui.branch import Branch, Shown
    from palaver_tui.screens.hosted import HostedScreen


@dataclass
class Opened(Message):
    """The plugins are loaded and the history is open: questions are answered from now on."""

    session: Session


@dataclass
class NotOpened(Message):
    """The history or the settings cannot be used: there is no conversation."""

    error: PalaverError


@dataclass
class Began(Message):
    """A question is a row in history, and the model is being asked."""

    entry: int
    turn_id: int
    model: ModelInfo
    forgotten: int
    notice: str = ""
    """How the input is taken apart; comes with a second message about the same turn."""


@dataclass
class Ended(Message):
    """A turn is over, however it ended."""

    entry: int
    turn: Turn | None
    error: PalaverError | None
    spans: Sequence[Span] = ()
    baseline: tuple[str, list[Score]] | None = None
    siblings: Sequence[int] = ()
    """The turns in its place, itself among them."""
    context: ContextUse | None = None
    """How full the window was."""


@dataclass
class Referenced(Message):
    """A turn was scored against a reference given after it."""

    turn: Turn
    spans: Sequence[Span]
    baseline: tuple[str, list[Score]] | None


@dataclass
class DemoReady(Message):
    """The ready translations are scored."""

    turns: Sequence[tuple[Turn, Sequence[Span]]]


@dataclass
class Loaded(Message):
    """A model that was chosen is in memory."""

    model: ModelInfo


@dataclass
class Pulled(Message):
    """A download goes on."""

    name: str
    progress: PullProgress


@dataclass
class PullEnded(Message):
    """A download is over."""

    name: str
    error: PalaverError | None


@dataclass
class Timed(Message):
    """The engines of a model that has just arrived are measured, or were."""

    name: str
    step: str = ""
    """What is measured now; empty at the end."""
    verdict: str = ""
    """Which engine streams it from now on; empty where that was not found out."""


@dataclass
class Failed(Message):
    """Something other than a question failed."""

    error: PalaverError
    typed: str = ""


@dataclass
class Told(Message):
    """Something was done to a turn, or to a model; the sentence says what."""

    sentence: str
    turn: Turn | None = None


@dataclass
class BranchOpened(Message):
    """The conversation goes on behind another turn than before."""

    branch: Branch
    instead_of: int | None = None
    """The turn from which on the transcript is another one; None: all of it."""
    shown: int | None = None
    """The turn that stands there now."""


@dataclass
class TurnsRead(Message):
    """Turns from above or below those on the screen."""

    shown: Sequence[Shown]
    is_earlier: bool


@dataclass
class Previewed(Message):
    """What a turn would score against a reference that is still being typed."""

    turn_id: int
    reference: str
    scores: Sequence[Score]
    spans: Sequence[Span]


@dataclass
class Recalled(Message):
    """What was typed in earlier conversations, the newest at the end."""

    texts: Sequence[str]


@dataclass
class HostedOver(Message):
    """The process of a plugin's screen is no more; `reason` is empty where it ended as it should."""

    screen: HostedScreen
    reason: str


@dataclass
class HostedKey(Message):
    """A key that a plugin's screen has no use for, or that it is not asked about because it hangs."""

    key: str
    is_stuck: bool = False


@dataclass
class HostedLine(Message):
    """A plugin's screen wants this line sent in the chat."""

    line: str
