"""What memory a model's process and the whole chat take, with SmolLM2 or a file of one's own.

    python tests/bench/bench_memory.py [full] [FILE.gguf]

The process is set beside its weights and its KV cache, which no engine can do without: after an answer, and with `full`
also once its window is full, which takes minutes, and after something else was asked then. The most that it ever had is
the system's count (VmHWM). What it is made of is read from its mappings; the parts add up to the whole. The chat is
`palaver chat` in a terminal of its own, asked once; its memory is the sum over all its processes. Resident memory
counts a page that two processes share in both.
"""

from __future__ import annotations

import fcntl
import os
import pty
import select
import struct
import sys
import tempfile
import termios
import threading
import time
from pathlib import Path

from palaver import GenerationConfig, Message, ModelInfo, Request
from palaver.isolated import IsolatedModel
from palaver.pull import pull
from palaver_llamacpp.backend import LlamaCpp
from palaver_llamacpp.catalogue import SMOLLM2, located
from palaver_llamacpp.gguf import read_header

MB = 1e6


def resident(pid: int) -> int:
    """Bytes of resident memory."""
    return int(Path(f"/proc/{pid}/statm").read_text("ascii").split()[1]) * os.sysconf("SC_PAGE_SIZE")


def tree(pid: int) -> list[int]:
    """The process and all below it."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text("ascii").split()
    # A child is listed under the thread that started it.
    for task in Path(f"/proc/{pid}/task").iterdir():
        children += (task / "children").read_text("ascii").split()
    return [pid, *(one for child in sorted({int(text) for text in children}) for one in tree(child))]


def parts(pid: int, weights: str) -> dict[str, int]:
    """Resident bytes of the process by what they are."""
    found: dict[str, int] = {"weights": 0, "code": 0, "heap": 0, "window and other memory": 0}
    kind, is_file = "", False
    for line in Path(f"/proc/{pid}/smaps").read_text("utf-8", "replace").splitlines():
        words = line.split()
        if "-" in words[0] and not words[0].endswith(":"):
            name = " ".join(words[5:])
            kind = "weights" if name == weights else "heap" if name == "[heap]" else "window and other memory"
            is_file = kind != "weights" and words[4] != "0"
        elif words[0] in ("Rss:", "Anonymous:"):
            size = int(words[1]) * 1024
            if not is_file:
                found[kind] += size if words[0] == "Rss:" else 0
            elif words[0] == "Rss:":
                found["code"] += size
            else:  # pages of a program that differ from its file
                found["code"] -= size
                found[kind] += size
    return found


def peak(pid: int) -> int:
    """The most resident memory that the process ever had."""
    rows = Path(f"/proc/{pid}/status").read_text("ascii", "replace").splitlines()
    return next(int(row.split()[1]) * 1024 for row in rows if row.startswith("VmHWM:"))


def of_the_process(info: ModelInfo, *, is_full: bool) -> None:
    """The child after an answer, beside weights and cache."""
    weights = Path(info.path).stat().st_size
    with IsolatedModel(info, module="palaver_llamacpp") as model:
        window = model.load().context or 0
        needed = weights + read_header(Path(info.path)).cache_bytes * window
        print(f"weights {weights / MB:.0f} MB, with the KV cache of {window} tokens {needed / MB:.1f} MB")
        own = LlamaCpp().resolve(info.path)
        assert own is not None
        print(f"expected, with all of the window in use: {own.memory / MB:.0f} MB")

        def told(when: str) -> None:
            taken, most = model.memory_bytes(), peak(model.pid or 0)
            print(
                f"process, {when}: {taken / MB:.1f} MB, {taken / needed:.3f} times; at most {most / needed:.3f} times"
            )
            made = parts(model.pid or 0, str(Path(info.path).resolve()))
            print("   ", ", ".join(f"{name} {size / MB:.1f}" for name, size in made.items()), flush=True)

        told("loaded")
        asked = ["Tell me a long story about a lighthouse."]
        if is_full:
            asked += ["one two three four " * (window // 4 - 48), "Tell me a long story about a lighthouse."]
        for text in asked:
            request = Request((Message("user", text),), "chat")
            last = list(model.stream([request], GenerationConfig(max_new_tokens=64), threading.Event()))[-1]
            told(f"{last.prompt_tokens} tokens read and {last.output_tokens} written")


def of_the_chat() -> None:
    """`palaver chat` after an answer."""
    with tempfile.TemporaryDirectory(prefix="pv") as folder:
        history = str(Path(folder) / "history.db")
        pid, terminal = pty.fork()
        if pid == 0:
            os.environ.update(PALAVER_HISTORY=history, TERM="xterm-256color")
            os.execv(sys.executable, [sys.executable, "-m", "palaver", "chat"])
        fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 36, 120, 0, 0))
        try:
            read_until(terminal, b"smollm2", 30)
            os.write(terminal, b"Say hello.\r")
            read_until(terminal, b"tok/s", 60)
            taken = {one: resident(one) for one in tree(pid)}
        finally:
            os.kill(pid, 15)
            os.waitpid(pid, 0)
    print(f"chat {sum(taken.values()) / MB:.0f} MB in {len(taken)} processes", end=": ")
    print(", ".join(f"{size / MB:.0f} MB" for size in taken.values()))


def read_until(terminal: int, text: bytes, seconds: float) -> None:
    """Read what the chat draws until `text` was in it; what comes in one go after it too."""
    seen, deadline = b"", time.monotonic() + seconds
    while text not in seen:
        if not select.select([terminal], [], [], max(0.0, deadline - time.monotonic()))[0]:
            raise TimeoutError(f"no {text!r} in {seconds} s")
        seen += os.read(terminal, 2**16)
    while select.select([terminal], [], [], 1.0)[0] and time.monotonic() < deadline:
        os.read(terminal, 2**16)


if __name__ == "__main__":
    file = next((one for one in sys.argv[1:] if one.endswith(".gguf")), "")
    if not file:
        pull(SMOLLM2, on_progress=lambda progress: None, cancel=threading.Event())
    own = LlamaCpp().resolve(file) if file else located(SMOLLM2)
    assert own is not None
    of_the_process(own, is_full="full" in sys.argv)
    if not file:
        of_the_chat()
