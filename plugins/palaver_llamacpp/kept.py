"""Keep what was read of a chat while the window is used for something else, in files without a name.

llama.cpp can keep it in memory too, where one conversation may take as much as the whole window. A file is written and
read in a hundredth of a second for 500 tokens. It ends with the process, however that ends. Linux only: it needs
names for open files.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from palaver import paths

MOST_BYTES = 512 * 2**20
"""Of all chats that are kept; the one used longest ago goes first."""

_LEAST_FREE = 4 * MOST_BYTES
"""Bytes; on a fuller disk nothing is kept."""

FILES = "/proc/self/fd/"
"""The folder in which llama.cpp finds them: an open file's name there is its number."""

_LEAST_CHARACTERS = 400
"""A chat of a hundred tokens is read again as fast as it is found."""

_SECONDS = 60.0
"""For one call: it waits for nothing but a disk."""


class Door:
    """The listener of one server with one slot, for what its functions do not offer."""

    def __init__(self, path: str, key: str) -> None:
        """`path` is its socket, whose name may be removed afterwards."""
        self._socket = os.open(path, os.O_PATH)  # type: ignore[attr-defined,unused-ignore]
        self._key = key

    def ask(self, action: str, file: int) -> bool:
        """Have the slot's state saved to that open file, or restored from it; False where that failed."""
        import socket

        body = json.dumps({"filename": str(file)})
        request = (
            f"POST /slots/0?action={action} HTTP/1.1",
            "Host: localhost",
            f"Authorization: Bearer {self._key}",
            "Content-Type: application/json",
            f"Content-Length: {len(body)}",
            "Connection: close",
        )
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as line:  # http.client would take 3 MB
                line.settimeout(_SECONDS)
                line.connect(f"{FILES}{self._socket}")
                line.sendall("\r\n".join((*request, "", body)).encode("ascii"))
                with line.makefile("rb") as answer:
                    told = answer.read()
                return told.split(maxsplit=2)[1:2] == [b"200"]
        except OSError:
            return False

    def close(self) -> None:
        os.close(self._socket)


@dataclass(slots=True)
class _Chat:
    said: tuple[str, ...]
    """Its messages as texts, the last answer included."""
    file: IO[bytes]


class KeptChats:
    """The chats of one server that are in files, and the one in its window."""

    def __init__(self, door: Door) -> None:
        self._door = door
        self._chats: list[_Chat] = []  # the one used last at the end
        self._now: tuple[str, ...] = ()
        self._is_kept = True

    def turn_to(self, messages: Sequence[Mapping[str, str]], *, is_chat: bool) -> None:
        """Before this is asked: keep the chat in the window if it would be lost, and bring back what this goes on."""
        said = _texts(messages) if is_chat else ()
        here = _shared(self._now, said)
        if self._now and not self._is_kept and here < _length(self._now) / 2 and _length(self._now) > _LEAST_CHARACTERS:
            self._keep()
        best = max(self._chats, key=lambda one: _shared(one.said, said), default=None)
        if best is not None and _shared(best.said, said) > here + _LEAST_CHARACTERS:
            self._chats.remove(best)
            if self._door.ask("restore", best.file.fileno()):
                self._chats.append(best)
            else:
                best.file.close()
        self._now, self._is_kept = said, not is_chat

    def answered(self, text: str) -> None:
        """What the window now holds after the messages."""
        if self._now:
            self._now = (*self._now, f"assistant {text.strip()}")

    def _keep(self) -> None:
        grown = [one for one in self._chats if self._now[: len(one.said)] == one.said]
        for one in grown:
            self._forget(one)
        import tempfile

        folder = paths.private_dir(paths.state_dir())
        disk = os.statvfs(folder)
        if disk.f_bavail * disk.f_frsize < _LEAST_FREE:
            return
        file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115 - stays open
        if not self._door.ask("save", file.fileno()):
            file.close()
            return
        self._chats.append(_Chat(self._now, file))
        while self._chats and sum(os.fstat(one.file.fileno()).st_size for one in self._chats) > MOST_BYTES:
            self._forget(self._chats[0])

    def _forget(self, chat: _Chat) -> None:
        self._chats.remove(chat)
        chat.file.close()

    def close(self) -> None:
        for one in list(self._chats):
            self._forget(one)
        self._door.close()


def is_possible() -> bool:
    """Whether open files have names here."""
    return sys.platform == "linux" and Path(FILES).is_dir()


def _texts(messages: Sequence[Mapping[str, str]]) -> tuple[str, ...]:
    return tuple(f"{one['role']} {one['content'].strip()}" for one in messages)


def _shared(one: tuple[str, ...], other: tuple[str, ...]) -> int:
    """Characters that both begin with: whole messages, and the beginning of the next, as of a draft that grew."""
    found = 0
    for here, there in zip(one, other, strict=False):
        if here != there:
            return found + len(os.path.commonprefix((here, there)))  # noqa: RUF071 - characters are meant
        found += len(here)
    return found


def _length(said: tuple[str, ...]) -> int:
    return sum(len(one) for one in said)
