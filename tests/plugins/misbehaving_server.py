"""A server on this machine that answers as an OpenAI-compatible one, well or badly, as the model's name says."""

from __future__ import annotations

import json
import select
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


def chunk(text: str | None = None, reason: str | None = None, **more: Any) -> bytes:
    delta = {} if text is None else {"content": text}
    body = {"choices": [{"index": 0, "delta": delta, "finish_reason": reason}], **more}
    return b"data: " + json.dumps(body).encode() + b"\n\n"


USAGE = b'data: {"choices": [], "usage": {"prompt_tokens": 7, "completion_tokens": 2}}\n\n'
DONE = b"data: [DONE]\n\n"

STREAMS: dict[str, list[bytes]] = {
    "good": [b": a comment\n\n", chunk("Guten "), chunk("Tag"), chunk(None, "stop"), USAGE, DONE],
    "long": [chunk("so far"), chunk(None, "length"), DONE],
    "filtered": [chunk("Half an"), chunk(None, "content_filter"), DONE],
    "cut": [chunk("Half an")],
    "no-reason": [chunk("Looks whole."), DONE],
    "bad-json": [chunk("Half"), b'data: {"choices": [\n\n'],
    "not-an-object": [b"data: [1, 2]\n\n"],
    "error-event": [chunk("Half"), b'data: {"error": {"message": "out of memory [/x]"}}\n\n'],
    "bad-utf8": [b'data: {"choices": [{"delta": {"content": "\xff\xfe"}, "finish_reason": "stop"}]}\n\n'],
    "huge-event": [b"data: " + b"x" * 600_000 + b"\n", b"data: " + b"x" * 600_000 + b"\n\n"],
    "escape": [chunk("\x1b]52;c;aGk=\x07"), chunk(None, "stop"), DONE],
}


class Handler(BaseHTTPRequestHandler):
    """Answers by the model's name; keeps what it was sent."""

    protocol_version = "HTTP/1.1"
    server: Server

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.seen.append((self.path, dict(self.headers), body))
        model = body["model"]
        if model == "redirect":
            return self._plain(307, b"", {"Location": "http://127.0.0.1:9/v1/chat/completions"})
        if model == "html":
            return self._plain(200, b"<html>Welcome</html>", {"Content-Type": "text/html"})
        if model == "unauthorized":
            return self._plain(401, b'{"error": {"message": "bad key"}}', {})
        if model == "too-long":
            told = {"error": {"code": 400, "type": "exceed_context_size_error", "message": "exceeds the context size"}}
            return self._plain(400, json.dumps(told).encode(), {})
        if model == "echo-key":
            told = {"error": {"message": f"no access with {self.headers.get('Authorization')}"}}
            return self._plain(400, json.dumps(told).encode(), {})
        if model in ("echo-key-in-event", "echo-key-in-text"):
            key = self.headers.get("Authorization")
            error = b'data: {"error": {"message": "no access with ' + str(key).encode() + b'"}}\n\n'
            STREAMS[model] = [error] if model == "echo-key-in-event" else [chunk(f"{key} "), chunk(None, "stop"), DONE]
        if model == "broken":
            return self._plain(500, b"oops", {})
        if model == "mute-once" and len(self.server.seen) == 1:
            return self._wait_for_the_end()
        return self._stream(model)

    def _stream(self, model: str) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Connection", "close")
        self.end_headers()
        self.close_connection = True
        try:
            if model == "endless":
                while not self.server.stopping.wait(0.01):
                    self.wfile.write(chunk("tick "))
                    self.wfile.flush()
            elif model == "silent":
                self.wfile.write(chunk("Hm"))
                self.wfile.flush()
                self.server.stopping.wait(30)
            elif model == "silent-once" and len(self.server.seen) == 1:
                self.wfile.write(chunk("Hm"))
                self.wfile.flush()
                self._wait_for_the_end()
            elif model == "counted":
                self._count()
            else:
                for piece in STREAMS["good" if model.endswith("-once") else model]:
                    self.wfile.write(piece)
        except OSError:
            self.server.gone.set()

    def _wait_for_the_end(self) -> None:
        """Say nothing; if the other side hangs up, say that it has."""
        self.close_connection = True
        while not self.server.stopping.is_set():
            if select.select([self.connection], [], [], 0.02)[0]:
                self.server.gone.set()
                return

    def _count(self) -> None:
        """An answer that ends once four are under way, or after half a second without a fourth."""
        server = self.server
        with server.counting:
            server.together += 1
            server.most_together = max(server.most_together, server.together)
            if server.together == 4:
                server.four.set()
        server.four.wait(0.5)
        with server.counting:  # before the end is told: the next one may come at once
            server.together -= 1
        for piece in STREAMS["good"]:
            self.wfile.write(piece)

    def _plain(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        return None


class Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.seen: list[tuple[str, dict[str, str], dict[str, Any]]] = []
        self.stopping = threading.Event()
        self.gone = threading.Event()
        self.together = 0
        self.most_together = 0
        self.counting = threading.Lock()
        self.four = threading.Event()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/v1"


@contextmanager
def running() -> Iterator[Server]:
    """The server, until the block ends."""
    server = Server()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield server
    finally:
        server.stopping.set()
        server.shutdown()
        thread.join()
        server.server_close()
