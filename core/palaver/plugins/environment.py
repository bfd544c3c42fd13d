"""Virtual environments that see Palaver and what it needs, and put what is installed there before it."""

from __future__ import annotations

import os
import sys
import sysconfig
from pathlib import Path


def make_environment(folder: Path) -> Path:
    """The Python of a new environment, in which Palaver's packages come last: it may have others of the same names."""
    import venv

    venv.create(folder, with_pip=False, symlinks=os.name != "nt")
    python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    inside = sysconfig.get_path("purelib", vars={"base": str(folder), "platbase": str(folder)})
    ours = {path for path in sys.path if path and Path(path).is_dir() and _is_ours(Path(path))}
    (Path(inside) / "palaver-beside.pth").write_text("".join(f"{path}\n" for path in sorted(ours)), "utf-8")
    return python


def _is_ours(path: Path) -> bool:
    """Whether a folder of the path holds Palaver, its plugins or what they need, and is not Python's own library."""
    return path.name in ("site-packages", "dist-packages") or any(path.glob("palaver*"))
