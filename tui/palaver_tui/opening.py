"""The session behind a front end: plugins that are on, the history file, the model that was asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from palaver.config import Settings
    from palaver.session import Session


def open_session(settings: Settings, model: str = "") -> Session:
    """A new conversation over the user's history.

    Raises:
        StoreError: the history cannot be opened.
    """
    from palaver.paths import history_file
    from palaver.plugins import Plugins
    from palaver.registry import Registry
    from palaver.session import Session
    from palaver.store import Store

    registry = Registry(Plugins(off=settings.plugins_off), settings)
    return Session(registry, Store.open(history_file()), model=model)
