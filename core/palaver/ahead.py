"""Have the model read what is typed before it is sent, so that little is left to read when it is."""

from __future__ import annotations

import contextlib
import sys
import threading
from pathlib import Path

from palaver.command import parse_line
from palaver.example import Example
from palaver.model import ReadsAhead
from palaver.registry import Registry
from palaver.session import Ask, Session
from palaver.task import Chat

LONGEST = 8
"""Characters a token: a text of more cannot fit into the window, and is not handed over at every key to hear so."""


def read_ahead(session: Session, draft: str, cancel: threading.Event) -> None:
    """Have the conversation read with what is in the prompt, as it would go to the model now; an empty draft too.

    Blocks until it is read or `cancel` is set: call it from a worker. Does nothing where the settings say so, where the
    draft is no plain question, and where the model that would answer is not loaded, is busy, or cannot read ahead.
    Nothing of it is kept in history, and nothing that is wrong with it is told: whoever sends it will hear.
    """
    if not session.registry.settings.reads_ahead:
        return
    with contextlib.suppress(Exception):  # a file that cannot be read, or a plugin, which may raise anything at all
        ask = _question(draft, session.registry)
        if ask is None:
            return
        info, request = session.about_to_send(ask)
        if sum(len(one.content) for one in request.messages) > LONGEST * (info.context or sys.maxsize):
            return
        model = next((one for one in session.registry.running() if one.info.ref == info.ref), None)
        if isinstance(model, ReadsAhead) and session.registry.is_ready(info) and not cancel.is_set():
            model.read_ahead(request, cancel)


def _question(draft: str, registry: Registry) -> Ask | None:
    """What a draft asks; None for a command, and for what can be read only once, such as a pipe."""
    text = draft.strip()
    if text.startswith("/") and not text.startswith("//"):
        return None
    is_mention = text.startswith("@") and not text.startswith("@@") and len(text.split()) == 1
    if is_mention and not Path(text[1:]).expanduser().is_file():
        return None
    return parse_line(text, registry) if text else Ask(Chat(), Example({"text": ""}))
