"""`palaver chat --plain` from its first line to its last."""

from __future__ import annotations

from palaver import __version__, streams
from palaver.config import read_settings
from palaver.errors import PalaverError
from palaver.session import Session
from palaver_tui import slash
from palaver_tui.asking import Question
from palaver_tui.opening import open_session
from palaver_tui.plain.orders import Orders
from palaver_tui.plain.reader import Reader
from palaver_tui.plain.talk import Left, Talk
from palaver_tui.plain.voice import Voice

STOPPED = 130


def run_plain(model: str = "", *, resume: int | None = None) -> int:
    """Talk until the user leaves; the exit code of the process.

    Raises:
        PalaverError: the settings or the history cannot be read.
    """
    voice = Voice()
    session = open_session(read_settings(), model)
    try:
        return talk_in_lines(session, voice, resume=resume)
    finally:
        session.close()
        session.store.close()


def talk_in_lines(session: Session, voice: Voice, *, resume: int | None = None) -> int:
    """Read, do and say until `/quit`, the end of the input, or ctrl+c twice."""
    talk, reader = Talk(session, voice), Reader(voice)
    orders = Orders(talk)
    session.registry.tasks()
    session.store.mark_orphans()
    who, wrong = "", None
    try:
        who = _answering(session)
    except PalaverError as error:
        wrong = error if session.model else None
    voice.say(f"Palaver {__version__}, line mode.{who}")
    if wrong is not None:
        talk.fail(wrong)
    if resume is None:
        orders.start()
    else:
        _take(talk, orders, f"/resume #{resume}" if resume >= 0 else "/resume")
    was_pressed = False
    while True:
        try:
            text = reader.read()
            was_pressed = False
            if text is None or not _take(talk, orders, text):
                return 0
        except KeyboardInterrupt:
            if was_pressed:
                return 0
            was_pressed = True
            voice.say("\nCtrl+c again leaves.")
        except Left:
            return STOPPED


def _take(talk: Talk, orders: Orders, text: str) -> bool:
    """Do what was typed; False if it was to leave."""
    line = _meant(talk, text.strip())
    if not line:
        return True
    name, rest = slash.split(line)
    if name == "quit":
        return False
    if not text.strip().isdecimal():
        talk.choices = ()
    try:
        if name:
            orders.do(name, rest)
        else:
            talk.ask(Question(line))
    except PalaverError as error:
        talk.fail(error, line)
    return True


def _meant(talk: Talk, text: str) -> str:
    """The line that a number of the last choices, or `!!`, stands for."""
    if text == "!!":
        return talk.last
    if text.isdecimal() and 1 <= int(text) <= len(talk.choices):
        line = talk.choices[int(text) - 1]
        talk.voice.say(line)
        return line
    return text


def _answering(session: Session) -> str:
    info = streams.choose(session.registry, "chat", session.model)
    engine = streams.told(session.registry, info)
    return f" {info.name} answers{f', computed by {engine}' if engine else ''}."
