"""Ask an OpenAI-compatible server, several questions at a time, and stop at once when told to."""

from __future__ import annotations

import contextlib
import queue
import threading
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

from palaver import Delta, GenerationConfig, ModelFailed, ModelInfo, PalaverError, Request, UsageError
from palaver_openai.connection import Place
from palaver_openai.events import read_events, refusal
from palaver_openai.keys import LOOPBACK, key_for

CONNECT_SECONDS = 5.0
IDLE_SECONDS = 60.0
CONCURRENCY = 4
"""Requests under way at one server at a time."""
POLL_SECONDS = 0.05


class OpenAICompatible:
    """`openai:URL#MODEL`, as in `openai:http://127.0.0.1:8080/v1#smollm2`."""

    name = "openai"
    isolated = False  # no weights and no native code here: the server is the other process

    def resolve(self, name: str) -> ModelInfo | None:
        if not name.startswith("openai:"):
            return None
        url, _, model = name.removeprefix("openai:").partition("#")
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname or not model:
            raise UsageError(
                f"'{name}' names no server's model.",
                fix="write openai:http://127.0.0.1:8080/v1#MODEL",
                code="bad_model_name",
            )
        if parts.username or parts.password or parts.query:
            raise UsageError(
                "A key does not belong into a model's name.", fix="put it into secrets.toml", code="key_in_name"
            )
        if parts.scheme == "http" and parts.hostname not in LOOPBACK and key_for(url):
            raise UsageError(
                f"A key would go to {parts.hostname} unencrypted.", fix="use https", code="key_unencrypted"
            )
        return ModelInfo(
            f"openai:{url.rstrip('/')}#{model}",
            "openai",
            title=model,
            tasks=("*",),
            path=url.rstrip("/"),
            description=f"{model} on {parts.netloc}",
            digest=f"server {parts.netloc} model {model}",
            device="server",
        )

    def load(self, info: ModelInfo) -> Server:
        return Server(info)


class Server:
    """One model of one server."""

    def __init__(self, info: ModelInfo, *, concurrency: int = CONCURRENCY) -> None:
        import httpx  # 50 ms: paid by whoever asks a server

        self.info = info
        self._model = info.name.partition("#")[2]
        self._key = key_for(info.path)
        self._free: queue.LifoQueue[Place] = queue.LifoQueue()  # the one used last has a connection that is open
        trusted = httpx.create_ssl_context()  # 30 ms: once for all
        # Redirects are refused: the key and the text go where the user said, nowhere else.
        self._places = [
            Place(
                httpx.Client(
                    timeout=httpx.Timeout(IDLE_SECONDS, connect=CONNECT_SECONDS),
                    follow_redirects=False,
                    trust_env=urlsplit(info.path).hostname not in LOOPBACK,
                    verify=trusted,
                )
            )
            for _ in range(concurrency)
        ]
        for place in self._places:
            self._free.put(place)

    def stream(self, requests: Sequence[Request], config: GenerationConfig, cancel: threading.Event) -> Iterator[Delta]:
        found: queue.SimpleQueue[tuple[int, Delta | PalaverError]] = queue.SimpleQueue()
        stop = threading.Event()
        askers = [
            threading.Thread(target=self._ask, args=(index, request, config, stop, found), daemon=True)
            for index, request in enumerate(requests)
        ]
        for asker in askers:
            asker.start()
        open_requests = set(range(len(requests)))
        try:
            while open_requests and not cancel.is_set():
                try:
                    index, item = found.get(timeout=POLL_SECONDS)
                except queue.Empty:
                    continue
                if isinstance(item, PalaverError):
                    if len(requests) == 1:
                        raise item
                    item = Delta(request=index, finish_reason="error", error=str(item), code=item.code)
                if item.finish_reason:
                    open_requests.discard(index)
                yield item
        finally:
            stop.set()
            for place in self._places:
                place.cut(stop)
        for index in sorted(open_requests):
            yield Delta(request=index, finish_reason="cancelled")

    def close(self) -> None:
        for place in self._places:
            place.client.close()

    def _ask(
        self,
        index: int,
        request: Request,
        config: GenerationConfig,
        stop: threading.Event,
        found: queue.SimpleQueue[tuple[int, Delta | PalaverError]],
    ) -> None:
        import httpx

        with self._place(stop) as place:
            if stop.is_set():
                return
            try:
                for delta in self._events(index, request, config, stop, place):
                    found.put((index, self._without_key(delta)))
            except PalaverError as error:
                error.message = self._redact(error.message)
                found.put((index, error))
            except httpx.ConnectError:
                where = urlsplit(self.info.path).netloc
                found.put((index, ModelFailed(f"There is no server at {where}.", fix="start it, or check the address")))
            except httpx.TimeoutException as error:
                what = (
                    "answer the call"
                    if isinstance(error, httpx.ConnectTimeout)
                    else f"send anything for {IDLE_SECONDS:g} s"
                )
                found.put((index, ModelFailed(f"The server did not {what}; what it said is kept.")))
            except httpx.HTTPError as error:
                found.put((index, ModelFailed(f"The connection to the server broke: {self._redact(str(error))}.")))
            except Exception as error:  # this thread has nobody else to tell
                found.put((index, ModelFailed(f"Reading the server's answer failed: {self._redact(str(error))}.")))

    @contextlib.contextmanager
    def _place(self, stop: threading.Event) -> Iterator[Place]:
        """One of the server's places, as soon as one is free."""
        place = self._free.get()
        place.begin(stop)
        try:
            yield place
        finally:
            place.end()
            self._free.put(place)

    def _events(
        self, index: int, request: Request, config: GenerationConfig, stop: threading.Event, place: Place
    ) -> Iterator[Delta]:
        headers = {"Authorization": f"Bearer {self._key}"} if self._key else {}
        url = f"{self.info.path}/chat/completions"
        body, told = self._body(request, config), {"trace": place.trace}
        with place.client.stream("POST", url, json=body, headers=headers, extensions=told) as response:
            if response.is_redirect:
                raise ModelFailed(
                    "The server sends this elsewhere, and redirects are not followed.", fix="use its address"
                )
            if response.status_code in (401, 403):
                raise ModelFailed(
                    f"The server refused the key ({response.status_code}).",
                    fix="see 'Servers and their keys' in docs/models.md",
                )
            if response.is_error:
                response.read()
                raise self._refused(response.status_code, response.text)
            kind = response.headers.get("content-type", "")
            if "event-stream" not in kind:
                raise ModelFailed(f"This is no OpenAI-compatible server: it answered with {kind or 'no type'}.")
            yield from read_events(_until(stop, response.iter_lines()), index)

    def _body(self, request: Request, config: GenerationConfig) -> dict[str, Any]:
        body: dict[str, Any] = {
            "model": self._model,
            "messages": [{"role": message.role, "content": message.content} for message in request.messages],
            "stream": True,
            "stream_options": {"include_usage": True},
            "max_tokens": config.max_new_tokens,
            "temperature": config.temperature,
            "top_p": config.top_p,
            "seed": config.seed,
        }
        if config.top_k:
            body["top_k"] = config.top_k
        if config.stop:
            body["stop"] = list(config.stop)
        return body

    def _refused(self, status: int, text: str) -> PalaverError:
        import json

        try:
            body = json.loads(text)
        except ValueError:
            body = None
        if isinstance(body, dict) and "error" in body:
            error = refusal(body)
            error.message = self._redact(error.message)
            return error
        return ModelFailed(f"The server answered {status}.")

    def _without_key(self, delta: Delta) -> Delta:
        """What a server echoes goes into history and onto the screen."""
        if not self._key or self._key not in delta.text + delta.error:
            return delta
        return replace(delta, text=self._redact(delta.text), error=self._redact(delta.error))

    def _redact(self, text: str) -> str:
        return text.replace(self._key, "(key)") if self._key else text


def _until(stop: threading.Event, lines: Iterator[str]) -> Iterator[str]:
    for line in lines:
        if stop.is_set():
            return
        yield line
