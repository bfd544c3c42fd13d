"""Which key a server gets: its own, from the environment or a file that only the user can read."""

from __future__ import annotations

import os
import stat
import tomllib
from pathlib import Path
from urllib.parse import urlsplit

from palaver import UsageError
from palaver.paths import config_file

LOOPBACK = ("localhost", "127.0.0.1", "::1")


def key_file() -> Path:
    """`secrets.toml` beside the settings: one line a server, `"https://host" = "key"`."""
    return config_file().with_name("secrets.toml")


def key_for(url: str) -> str:
    """The key for the server at `url`, or an empty string.

    A key belongs to one origin. $PALAVER_API_KEY goes to a server only when $PALAVER_API_KEY_FOR names its origin or
    the server is on this machine; $OPENAI_API_KEY goes to api.openai.com alone.

    Raises:
        UsageError: the file can be read by others, or is not TOML.
    """
    parts = urlsplit(url)
    origin = f"{parts.scheme}://{parts.netloc}"
    if key := _stored().get(origin, ""):
        return key
    if parts.hostname == "api.openai.com" and parts.scheme == "https":
        return os.environ.get("OPENAI_API_KEY", "")
    if parts.hostname in LOOPBACK or os.environ.get("PALAVER_API_KEY_FOR", "").rstrip("/") == origin:
        return os.environ.get("PALAVER_API_KEY", "")
    return ""


def _stored() -> dict[str, str]:
    path = key_file()
    try:
        mode = stat.S_IMODE(path.stat().st_mode)
    except OSError:
        return {}
    if os.name == "posix" and mode & 0o077:
        raise UsageError(f"{path} can be read by others, so its keys are not used.", fix=f"chmod 600 {path}")
    try:
        return {str(origin).rstrip("/"): str(key) for origin, key in tomllib.loads(path.read_text("utf-8")).items()}
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise UsageError(f"{path} cannot be read: {type(error).__name__}.", fix=f"edit or remove {path}") from None
