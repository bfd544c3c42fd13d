"""Wheels made on the spot, and an environment with Palaver that pip installs them into."""

from __future__ import annotations

import os
import subprocess
import zipfile
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Shelf:
    """A folder of wheels, which is all that pip sees, and an environment to install them into."""

    folder: Path
    python: Path

    def put(self, package: str, version: str, source: str, *, needs: str = "", point: str = "") -> Path:
        """A wheel with one module."""
        stem = package.replace("-", "_")
        wheel = self.folder / f"{stem}-{version}-py3-none-any.whl"
        info = f"{stem}-{version}.dist-info"
        required = f"Requires-Dist: {needs}\n" if needs else ""
        files = {
            f"{stem}.py": source,
            f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {package}\nVersion: {version}\n{required}",
            f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        }
        if point:
            files[f"{info}/entry_points.txt"] = f"[palaver]\n{point} = {stem}\n"
        record = "".join(f"{name},,\n" for name in [*files, f"{info}/RECORD"])
        with zipfile.ZipFile(wheel, "w") as archive:
            for name, text in {**files, f"{info}/RECORD": record}.items():
                archive.writestr(name, text)
        return wheel

    def palaver(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """One command, in that environment."""
        return subprocess.run(
            [self.python, "-m", "palaver", *arguments],
            capture_output=True, text=True, timeout=120, stdin=subprocess.DEVNULL, cwd=self.folder.parent,
            env={
                **{key: value for key, value in os.environ.items() if key not in ("PYTHONPATH", "VIRTUAL_ENV")},
                "PALAVER_HOME": str(self.folder.parent / "home"),
                "PALAVER_NO_DAEMON": "1",
                "PIP_NO_INDEX": "1",
                "PIP_FIND_LINKS": str(self.folder),
            },
        )  # fmt: skip
