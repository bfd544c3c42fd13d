"""What twenty installed plugins cost the commands that need none of them, one of which imports torch.

    python tests/bench/bench_startup.py [ROUNDS]

Each command runs in turn without and with them. Printed: medians, and the difference for one plugin. The first command
after they are installed looks at them in a process of its own, and is not counted.
"""

from __future__ import annotations

import importlib.util
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

PLUGINS = 20
COMMANDS = (["--version"], ["--help"], ["plugins", "list"], ["history", "list"], ["doctor"])
TASK = '''
from palaver import task

@task
def task_{number}(text: str) -> str:
    """Task {number}."""
    return text
'''
HEAVY = "import torch\n" if importlib.util.find_spec("torch") else "import time; time.sleep(1)\n"
"""What the first plugin does when it is imported; without torch, something that takes as long."""


def main(rounds: int) -> None:
    """Print one line a command."""
    with tempfile.TemporaryDirectory() as place:
        site, empty = Path(place, "site"), Path(place, "empty")
        empty.mkdir()
        install(site)
        for folder in (empty, site):
            seconds(["--help"], folder)
        print(f"{'':<14}{'none':>9}{'with 20':>9}{'a plugin':>10}")
        for command in COMMANDS:
            pairs = [(seconds(command, empty), seconds(command, site)) for _ in range(rounds)]
            without, beside = (1000 * statistics.median(column) for column in zip(*pairs, strict=True))
            each = 1000 * statistics.median(slow - quick for quick, slow in pairs) / PLUGINS
            print(f"{' '.join(command):<14}{without:>6.0f} ms{beside:>6.0f} ms{each:>7.2f} ms")


def install(site: Path) -> None:
    for number in range(PLUGINS):
        info = site / f"palaver_bench_{number}-1.0.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: palaver-bench-{number}\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(f"[palaver]\nbench-{number} = palaver_bench_{number}\n")
        source = (HEAVY if number == 0 else "") + TASK.format(number=number)
        (site / f"palaver_bench_{number}.py").write_text(source)


def seconds(command: list[str], site: Path) -> float:
    environment = {**os.environ, "PYTHONPATH": str(site), "PALAVER_HOME": str(site / "home")}
    started = time.perf_counter()
    subprocess.run([sys.executable, "-m", "palaver", *command], env=environment, capture_output=True, check=False)
    return time.perf_counter() - started


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 15)
