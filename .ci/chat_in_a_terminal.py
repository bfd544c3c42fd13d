"""Run a command line that ends in the chat, on a terminal of its own: ask one thing, stop the answer, leave.

    python chat_in_a_terminal.py 'palaver models pull smollm2 && palaver chat'

Exits with the command's code, or with 1 and the last screen if what should be on the screen does not come.
"""

from __future__ import annotations

import fcntl
import os
import pty
import select
import struct
import sys
import termios
import time

import pyte

COLUMNS, ROWS = 120, 36
STEPS = (
    ("chat · smollm2", True, b"Say hello.\r", 480.0),  # until here the command installs and downloads
    ("esc stop", True, b"", 30.0),
    ("words", True, b"\x1b", 60.0),  # the first of the answer is there: escape stops it
    ("esc stop", False, b"\x11", 30.0),  # stopped, or faster than the key: ctrl+q
)
"""What must be on the screen or must not, what to type then, and the seconds to wait at most."""


def main(line: str) -> int:
    """Play the steps and return the exit code."""
    child, terminal = pty.fork()
    if child == 0:
        os.environ["TERM"] = "xterm-256color"
        os.execvp("bash", ["bash", "-c", line])
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
    screen = pyte.Screen(COLUMNS, ROWS)
    stream = pyte.ByteStream(screen)
    for text, is_there, keys, seconds in STEPS:
        deadline = time.monotonic() + seconds
        while any(text in row for row in screen.display) != is_there:
            if time.monotonic() > deadline or not read_into(stream, terminal):
                print(
                    f"Waited for '{text}', {is_there}. The screen:\n"
                    + "\n".join(row.rstrip() for row in screen.display)
                )
                return 1
        print(f"'{text}': {is_there}")
        os.write(terminal, keys)
    while read_into(stream, terminal):
        pass
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def read_into(stream: pyte.ByteStream, terminal: int) -> bool:
    """Take what the program has written, waiting a second at most; False when it has gone."""
    if not select.select([terminal], [], [], 1.0)[0]:
        return True
    try:
        written = os.read(terminal, 65536)
    except OSError:  # Linux says EIO when the last process has let go of the terminal
        return False
    stream.feed(written)
    return bool(written)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
