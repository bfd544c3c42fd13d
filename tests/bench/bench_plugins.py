"""What a process of its own costs a plugin, beside Palaver's own process: a whole command, and one call.

    python tests/bench/bench_plugins.py [ROUNDS]

Both levels in turn, in the same run. Ratios are of medians; above 1 the process of its own takes longer.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

ROOT = Path(__file__).parents[2]
SHOUT = ROOT / "docs/examples/palaver-shout/palaver_shout.py"
LEVELS = ("process", "inproc")
COMMANDS = {
    "a command of the plugin, its model too": ("shout", "-m", "upper", "--no-log", "hello"),
    "a command beside the plugin": ("summarize", "-m", "lead-3", "--no-log", "One. Two."),
}
CALLS = 1000


def seconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def run(*arguments: str) -> None:
    subprocess.run(
        [sys.executable, "-m", "palaver", *arguments], check=True, capture_output=True, stdin=subprocess.DEVNULL
    )


def set_level(home: Path, level: str) -> None:
    (home / "config.toml").write_text(f'[isolation]\npalaver_shout = "{level}"\n', "utf-8")


def call_seconds(home: Path, level: str) -> float:
    """One request of a task that is there already."""
    from palaver import Example
    from palaver.plugins import Plugins
    from palaver.registry import Registry

    set_level(home, level)
    registry = Registry(Plugins())
    task, example = registry.task("shout")(), Example({"text": "hello"})
    task.request(example)
    spent = seconds(lambda: [task.request(example) for _ in range(CALLS)]) / CALLS
    registry.close()
    return spent


def main(rounds: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        os.environ |= {"PALAVER_HOME": folder, "PALAVER_NO_DAEMON": "1"}
        (home / "plugins").mkdir()
        (home / "plugins/palaver_shout.py").write_text(SHOUT.read_text("utf-8"), "utf-8")
        run("plugins", "list", "--check")
        for name, command in COMMANDS.items():
            spent: dict[str, list[float]] = {level: [] for level in LEVELS}
            for _ in range(rounds):
                for level in LEVELS:
                    set_level(home, level)
                    spent[level].append(seconds(lambda command=command: run(*command)))  # type: ignore[misc]
            ours, theirs = (median(spent[level]) for level in LEVELS)
            print(f"{name}: process / inproc {ours / theirs:.2f} ({ours:.2f} s, {theirs:.2f} s)")
        calls = {level: median(call_seconds(home, level) for _ in range(3)) for level in LEVELS}
        print(f"one call: {1000 * (calls['process'] - calls['inproc']):.2f} ms longer")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 7)
