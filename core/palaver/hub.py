"""Download a file from a model hub over HTTPS, and go on where a cut connection or an earlier attempt stopped."""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from palaver import weights
from palaver.errors import ModelFailed

if TYPE_CHECKING:
    import httpx

HUB = "https://huggingface.co"

_ATTEMPTS = 4
"""In a row without a single new byte."""
_FIRST_PAUSE = 0.5
"""Seconds before the second attempt; doubled for each one more."""


def hub_url(place: str) -> str:
    """The address of `org/name/resolve/revision/file`; $PALAVER_HUB names a mirror."""
    return f"{(os.environ.get('PALAVER_HUB') or HUB).rstrip('/')}/{place}"


def is_offline() -> bool:
    """The user wants nothing fetched: PALAVER_OFFLINE is set, and not to 0."""
    return os.environ.get("PALAVER_OFFLINE", "") not in ("", "0")


def download(url: str, into: Path, *, size: int, on_bytes: Callable[[int], None], cancel: threading.Event) -> None:
    """Append to `into` what it lacks of the `size` bytes at `url`. Whether they are the right ones is not known here.

    Raises:
        ModelFailed: no connection, no such file, or another length; what has arrived is kept.
        Cancelled: `cancel` was set.
    """
    import httpx  # 50 ms: paid by whoever downloads

    failed, reason = 0, ""
    limits = httpx.Timeout(30, connect=5)
    # No credentials, no cookies: every file of the catalogue is public.
    with httpx.Client(follow_redirects=True, max_redirects=5, timeout=limits) as client:
        while failed < _ATTEMPTS:
            before = _size(into)
            if before == size:
                return
            try:
                _append(client, url, into, size=size, on_bytes=on_bytes, cancel=cancel)
                reason = f"it ended after {_size(into):,} of {size:,} bytes"
            except httpx.ConnectError as error:
                if not before:
                    raise _failed(url, "there is no connection") from error
                reason = "there is no connection"
            except httpx.HTTPError as error:
                reason = str(error) or type(error).__name__
            failed = 0 if _size(into) > before else failed + 1
            if _size(into) < size and cancel.wait(_FIRST_PAUSE * 2**failed if failed else 0):
                raise weights.Cancelled
    raise _failed(url, reason)


def _append(
    client: httpx.Client, url: str, into: Path, *, size: int, on_bytes: Callable[[int], None], cancel: threading.Event
) -> None:
    have = _size(into)
    with (
        client.stream("GET", url, headers={"Range": f"bytes={have}-"} if have else {}) as answer,
        into.open("ab") as growing,
    ):
        begins = re.match(r"bytes (\d+)-", answer.headers.get("Content-Range", ""))
        if answer.status_code == 416 or (answer.status_code == 206 and (not begins or int(begins[1]) != have)):
            growing.truncate(0)  # another file lies there now: from the beginning
            return
        if answer.status_code not in (200, 206):
            raise _failed(url, f"the server says {answer.status_code} {answer.reason_phrase}".rstrip())
        if answer.status_code == 200:  # no ranges there: from the beginning
            growing.truncate(0)
            have = 0
        for block in answer.iter_raw():
            if cancel.is_set():
                raise weights.Cancelled
            have += len(block)
            if have > size:
                growing.truncate(0)
                raise _failed(url, f"it is longer than {size:,} bytes")
            growing.write(block)
            on_bytes(have)
        growing.flush()
        os.fsync(growing.fileno())


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _failed(url: str, why: str) -> ModelFailed:
    return ModelFailed(
        f"{url} could not be downloaded: {why}.",
        fix="Check the network, then pull again: it resumes.",
        code="download_failed",
    )
