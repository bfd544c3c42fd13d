"""Packages as pip leaves them, a module and its dist-info on the path, and Palaver run beside them."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class Site:
    """A folder of installed packages, and a user of their own."""

    folder: Path
    home: Path
    variables: dict[str, str] = field(default_factory=dict)

    def install(self, name: str, source: str, *, point: str = "", version: str = "1.0", distribution: str = "") -> None:
        """A distribution `palaver-NAME` with one module."""
        distribution = distribution or f"palaver-{name}"
        module = f"fixture_{name}"
        self.folder.mkdir(exist_ok=True)
        (self.folder / f"{module}.py").write_text(source, "utf-8")
        info = self.folder / f"{distribution.replace('-', '_')}-{version}.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: {version}\n", "utf-8")
        (info / "entry_points.txt").write_text(f"[palaver]\n{point or name} = {module}\n", "utf-8")

    def palaver(self, *arguments: str, seconds: float = 60) -> subprocess.CompletedProcess[str]:
        """One command of this user."""
        return subprocess.run(
            [sys.executable, "-m", "palaver", *arguments],
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            timeout=seconds,
            cwd=self.home.parent,
            env={
                **os.environ,
                "PYTHONPATH": str(self.folder),
                "PALAVER_HOME": str(self.home),
                "PALAVER_NO_DAEMON": "1",
                **self.variables,
            },
        )

    def out(self, *arguments: str) -> str:
        """What a command that must succeed prints."""
        done = self.palaver(*arguments)
        assert done.returncode == 0, f"{arguments}: {done.stderr}{done.stdout}"
        return done.stdout
