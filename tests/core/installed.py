"""Packages as pip leaves them, a module and its dist-info on the path, and Palaver run beside them."""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

SITTING = """
import json, os, sys, tempfile
from palaver.cli.app import run

answers = os.fdopen(os.dup(1), "w")
for line in sys.stdin:
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        os.dup2(out.fileno(), 1), os.dup2(err.fileno(), 2)
        code = run(json.loads(line))
        sys.stdout.flush(), sys.stderr.flush()
        out.seek(0), err.seek(0)
        print(json.dumps([code, out.read().decode(), err.read().decode()]), file=answers, flush=True)
"""
"""Runs command lines in one process, and answers each with its exit code and what descriptors 1 and 2 got."""


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
            env=self.environment(),
        )

    def environment(self) -> dict[str, str]:
        """The variables of this user's shell."""
        here = {"PYTHONPATH": str(self.folder), "PALAVER_HOME": str(self.home), "PALAVER_NO_DAEMON": "1"}
        return {**os.environ, **here, **self.variables}

    def out(self, *arguments: str) -> str:
        """What a command that must succeed prints."""
        done = self.palaver(*arguments)
        assert done.returncode == 0, f"{arguments}: {done.stderr}{done.stdout}"
        return done.stdout

    @contextmanager
    def sitting(self) -> Iterator[Sitting]:
        """One process for many commands: what would end it or hang it ends the test."""
        with subprocess.Popen(
            [sys.executable, "-c", SITTING],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=self.home.parent,
            env=self.environment(),
        ) as process:
            try:
                yield Sitting(self.folder, self.home, self.variables, process=process)
            finally:
                process.kill()


@dataclass(frozen=True)
class Sitting(Site):
    """The same, with all commands in one process."""

    process: subprocess.Popen[str] = field(kw_only=True)

    def palaver(self, *arguments: str, seconds: float = 60) -> subprocess.CompletedProcess[str]:
        """One more command of this process."""
        assert self.process.stdin
        assert self.process.stdout
        self.process.stdin.write(json.dumps(arguments) + "\n")
        self.process.stdin.flush()
        ready, _, _ = select.select([self.process.stdout], [], [], seconds)
        assert ready, f"{arguments} hangs"
        answer = self.process.stdout.readline()
        assert answer, f"{arguments} ended the process: {self.process.wait()}"
        code, out, err = json.loads(answer)
        return subprocess.CompletedProcess(arguments, code, out, err)
