"""Where Palaver keeps its files. Each folder can be moved with a variable of the environment."""

from __future__ import annotations

import os
import sys
from pathlib import Path


def _base(variable: str, xdg: str, linux: str, mac: str, windows: str) -> Path:
    if moved := os.environ.get(variable):
        return Path(moved).expanduser()
    if sys.platform == "darwin":
        return Path.home() / mac / "palaver"
    if sys.platform == "win32":
        return Path(os.environ.get(windows, str(Path.home()))) / "palaver"
    return Path(os.environ.get(xdg) or Path.home() / linux) / "palaver"


def data_dir() -> Path:
    """History and models: $PALAVER_HOME, else the platform's data folder."""
    return _base("PALAVER_HOME", "XDG_DATA_HOME", ".local/share", "Library/Application Support", "LOCALAPPDATA")


def state_dir() -> Path:
    """Logs and the plugin index: `state` under $PALAVER_HOME, else the platform's state folder."""
    if os.environ.get("PALAVER_HOME"):
        return data_dir() / "state"
    return _base("PALAVER_STATE", "XDG_STATE_HOME", ".local/state", "Library/Logs", "LOCALAPPDATA")


def runtime_dir() -> Path:
    """Sockets of running processes: under $XDG_RUNTIME_DIR, else one of the user's own in the temporary folder."""
    if session := os.environ.get("XDG_RUNTIME_DIR"):
        return Path(session) / "palaver"
    import tempfile

    user = os.getuid() if hasattr(os, "getuid") else 0
    return Path(tempfile.gettempdir()) / f"palaver-{user}"


def config_file() -> Path:
    """Settings: $PALAVER_CONFIG, else `config.toml` under $PALAVER_HOME or the platform's configuration folder."""
    if moved := os.environ.get("PALAVER_CONFIG"):
        return Path(moved).expanduser()
    if os.environ.get("PALAVER_HOME"):
        return data_dir() / "config.toml"
    return _base("", "XDG_CONFIG_HOME", ".config", "Library/Application Support", "APPDATA") / "config.toml"


def history_file() -> Path:
    """The SQLite file with every turn: $PALAVER_HISTORY, else `history.db` in the data folder."""
    if moved := os.environ.get("PALAVER_HISTORY"):
        return Path(moved).expanduser()
    return data_dir() / "history.db"


def models_dir() -> Path:
    """Downloaded weights, one folder a model."""
    return data_dir() / "models"


def model_dir(name: str) -> Path:
    """The folder of one downloaded model; of `hf:org/name` it is `hf--org--name`."""
    plain = name.replace("hf:", "hf--", 1).replace("/", "--") if name.startswith("hf:") else name
    return models_dir() / plain


def pulled_from_hub() -> list[str]:
    """The names of the hub models that were downloaded, or begun: `hf:org/name`, `hf:org/name/FILE.gguf`."""
    folders = sorted(one.name for one in models_dir().glob("hf--*--*") if one.is_dir())
    return [folder.replace("hf--", "hf:", 1).replace("--", "/") for folder in folders]


def private_dir(path: Path) -> Path:
    """`path`, created for the user alone (0700) if it was missing, as is each missing folder above it."""
    if not path.parent.exists():
        private_dir(path.parent)
    path.mkdir(exist_ok=True, mode=0o700)
    return path
