"""What a chat says while it opens."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

from textual.message import Message

from palaver.config import read_settings
from palaver.paths import history_file
from palaver.store import migrations
from palaver.store import sqlite as recipe
from palaver_tui import messages
from palaver_tui.conversation import Conversation
from palaver_tui.opening import open_session


def test_a_chat_says_once_that_an_older_history_is_brought_up_to_date(palaver_home: Path) -> None:
    with closing(recipe.connect(history_file(), write=True)) as db:
        recipe.prepare_for_writing(db)
        with recipe.writing(db):
            migrations.apply(db, stop_before="m006_find_words")
    posted: list[Message] = []
    conversation = Conversation(lambda: open_session(read_settings()), posted.append)
    conversation._do_open()
    told, opened = posted
    assert isinstance(told, messages.Told)
    assert "up to date, once" in told.sentence
    assert isinstance(opened, messages.Opened)
    opened.session.store.close()
    opened.session.close()
