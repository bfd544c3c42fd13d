"""How long until the first frame of `palaver chat` is on the terminal, beside the smallest Textual app there can be.

Prints seconds, processor seconds and megabytes of both, measured in turn, and the ratio of the seconds. Run as
`python tests/bench/bench_first_paint.py [TIMES]`. POSIX only: it reads a pseudo-terminal.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import re
import select
import signal
import statistics
import struct
import subprocess
import sys
import tempfile
import termios
import time
from pathlib import Path

FIRST = "Ask, or / for tasks"
"""The prompt's placeholder: when it is there, one can type."""
CONTROL = re.compile(rb"\x1b\[[0-9;?]*[A-Za-z]")


BARE = f"""
from textual.app import App
from textual.widgets import TextArea

class Bare(App):
    def compose(self):
        yield TextArea(placeholder={FIRST!r})

Bare().run()
"""


def measure(home: str, *command: str) -> tuple[float, float, float]:
    """Seconds until the first frame, its processor seconds, and megabytes of memory then."""
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 36, 120, 0, 0))
    env = {**os.environ, "PALAVER_HOME": home, "TERM": "xterm-256color"}
    # As after an installation: with bytecode, which some environments forbid to write.
    env.pop("PYTHONDONTWRITEBYTECODE", None)
    env["PYTHONPYCACHEPREFIX"] = f"{home}/bytecode"
    began = time.perf_counter()
    process = subprocess.Popen([sys.executable, *command], stdin=slave, stdout=slave, stderr=slave, env=env)
    seen = b""
    while FIRST.encode() not in CONTROL.sub(b"", seen):
        if select.select([master], [], [], 10)[0]:
            seen += os.read(master, 65536)
    seconds = time.perf_counter() - began
    stat = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
    cpu = (int(stat[11]) + int(stat[12])) / os.sysconf("SC_CLK_TCK")  # utime and stime, proc(5)
    pages = int(Path(f"/proc/{process.pid}/statm").read_text().split()[1])
    process.send_signal(signal.SIGTERM)
    while process.poll() is None:
        if select.select([master], [], [], 0.1)[0]:
            with contextlib.suppress(OSError):
                os.read(master, 65536)
    os.close(master)
    os.close(slave)
    return seconds, cpu, pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def modules() -> int:
    """Modules that are imported before the first frame."""
    script = "import sys, palaver.cli.app, palaver_tui.app; print(len(sys.modules))"
    return int(subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout)


def main() -> None:
    """Print the median of some starts; the first one, which fills caches, does not count."""
    times = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    chat, bare = [], []
    with tempfile.TemporaryDirectory() as home:
        for _ in range(times + 1):
            chat.append(measure(home, "-m", "palaver", "chat"))
            bare.append(measure(home, "-c", BARE))
    for name, found in (("palaver chat", chat[1:]), ("bare Textual", bare[1:])):
        seconds, cpu, memory = (statistics.median(values) for values in zip(*found, strict=True))
        print(f"{name}: first frame {seconds:.2f} s · processor {cpu:.2f} s · {memory:.0f} MB")
    ratios = [one[0] / other[0] for one, other in zip(chat[1:], bare[1:], strict=True)]
    print(f"ratio of seconds, median of {times} pairs: {statistics.median(ratios):.2f} · {modules()} modules")


if __name__ == "__main__":
    main()
