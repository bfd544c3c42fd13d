"""What memory a model's process and the whole chat take, with SmolLM2.

    python tests/bench/bench_memory.py [full]

The process is set beside its weights and its KV cache, which no engine can do without: after an answer, and with `full`
also once its window is full, which takes a minute or two. The chat is `palaver chat` in a terminal of its own, asked
once; its memory is the sum over all its processes. Resident memory counts a page that two processes share in both.
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


def of_the_process(info: ModelInfo, *, is_full: bool) -> None:
    """The child after an answer, beside weights and cache."""
    cache, weights = read_header(Path(info.path)).cache_bytes, Path(info.path).stat().st_size
    with IsolatedModel(info, module="palaver_llamacpp") as model:
        model.load()
        needed = weights + cache * (model.info.context or 0)
        print(f"weights {weights / MB:.0f} MB, with the KV cache of {model.info.context} tokens {needed / MB:.0f} MB")
        print(f"process, loaded: {model.memory_bytes() / MB:.0f} MB, {model.memory_bytes() / needed:.2f} times")
        for text in ("Tell me a long story about a lighthouse.", *(["one two three four " * 2000] if is_full else [])):
            asked = Request((Message("user", text),), "chat")
            last = list(model.stream([asked], GenerationConfig(max_new_tokens=64), threading.Event()))[-1]
            used, taken = (last.prompt_tokens or 0) + (last.output_tokens or 0), model.memory_bytes()
            print(f"process, {used} tokens in use: {taken / MB:.0f} MB, {taken / needed:.2f} times", flush=True)


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
    pull(SMOLLM2, on_progress=lambda progress: None, cancel=threading.Event())
    of_the_process(located(SMOLLM2), is_full="full" in sys.argv)
    of_the_chat()
