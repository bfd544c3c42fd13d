"""A model that never finishes loading holds nobody: ctrl+c ends the command at once."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

HANGS = """
import threading
from pathlib import Path
from palaver import ModelInfo, hookimpl

class Hangs:
    name, isolated = "hangs", True
    def resolve(self, name): return None
    def examine(self, info): return None
    def load(self, info):
        Path(MARK).touch()
        threading.Event().wait()

@hookimpl
def palaver_backends(): return [Hangs()]

@hookimpl
def palaver_models(): return [ModelInfo("stuck", "hangs", tasks=("*",), path=__file__)]
"""


@pytest.mark.skipif(os.name == "nt", reason="no signals between processes")
def test_ctrl_c_ends_a_command_whose_model_does_not_load(palaver_home: Path, tmp_path: Path) -> None:
    mark, plugins = tmp_path / "loading", palaver_home / "plugins"
    plugins.mkdir()
    (plugins / "hangs.py").write_text(HANGS.replace("MARK", repr(str(mark))))
    command = [sys.executable, "-m", "palaver", "generate", "--no-daemon", "-m", "stuck", "Hello"]
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    while not mark.exists():
        with contextlib.suppress(subprocess.TimeoutExpired):
            pytest.fail(f"it ended with {process.wait(0.02)}: {process.communicate()[1]}")
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=10)  # loading has 300 s
    assert process.returncode == 130
    assert "stopped before the end" in err
