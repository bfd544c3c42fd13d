"""The result of one check of the contract."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Status = Literal["passed", "failed", "skipped"]

GROUPS = (
    "import", "metadata", "purity", "hostile text", "parse", "backends", "batch", "metrics", "datasets", "screens",
    "executors", "history", "docs", "packaging",
)  # fmt: skip
"""What is checked, in this order."""


@dataclass(frozen=True, slots=True)
class Check:
    """One claim of the contract about one thing that a plugin provides."""

    group: str
    subject: str
    """`task headline`, or the plugin itself."""
    status: Status
    message: str = ""
    """What was wrong, or why it was not looked at."""


def claim(group: str, subject: str, problems: Callable[[], Iterator[str]]) -> Check:
    """Passed if there are no problems, else failed with the first; what is raised is a problem too."""
    try:
        first = next(problems(), "")
    except Exception as error:  # a plugin may raise anything at all
        first = f"it raised {type(error).__name__}: {' '.join(str(error).split())[:200]}{_where(error)}"
    return Check(group, subject, "failed" if first else "passed", first)


def _where(error: Exception) -> str:
    frames = traceback.extract_tb(error.__traceback__)
    return f" ({Path(frames[-1].filename).name} line {frames[-1].lineno})" if frames else ""
