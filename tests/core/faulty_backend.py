"""A backend that misbehaves as its model's name says: loaded by a real child process in the tests of isolation."""

from __future__ import annotations

import ctypes
import os
import resource
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Iterator, Sequence

from palaver import Delta, GenerationConfig, ModelFailed, ModelInfo, Request


class FaultyModel:
    def __init__(self, info: ModelInfo) -> None:
        self.info = info

    def stream(self, requests: Sequence[Request], config: GenerationConfig, cancel: threading.Event) -> Iterator[Delta]:
        for index, request in enumerate(requests):
            text = request.messages[-1].content
            if text.startswith("!"):
                yield Delta("so far ", request=index)
                yield from self.misbehave(text[1:], index, config, cancel)
            else:
                for word in text.split(" "):
                    yield Delta(word + " ", request=index)
                yield Delta(request=index, finish_reason="stop", prompt_tokens=3, output_tokens=len(text.split()))

    def misbehave(self, how: str, index: int, config: GenerationConfig, cancel: threading.Event) -> Iterator[Delta]:
        if how == "segv":
            ctypes.string_at(0)
        elif how == "abort":
            print("GGML_ASSERT(n > 0) failed")
            os.abort()
        elif how == "pid":
            yield Delta(str(os.getpid()), request=index, finish_reason="stop")
        elif how == "exit":
            os._exit(7)
        elif how == "sys.exit":
            sys.exit(7)
        elif how == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        elif how == "raise":
            raise ValueError("the tensors are\nupside down")
        elif how == "refuse":
            raise ModelFailed("No more paper.", fix="palaver paper --buy")
        elif how == "memory":
            resource.setrlimit(resource.RLIMIT_AS, (2**31, 2**31))  # what a container's limit does to an allocation
            bytearray(2**32)
        elif how == "loop":
            while True:
                pass
        elif how == "deaf loop":
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            while True:
                pass
        elif how == "think":
            for _ in range(20):
                time.sleep(0.1)
                yield Delta(request=index)  # a sign of life
            yield Delta("thought", request=index)
        elif how == "silence":
            return  # without a finish_reason
        elif how == "noise":
            print("from print")
            sys.stderr.write("from sys.stderr\n")
            os.write(1, b"from fd 1\n\x00\x00\x00\x05hello")
            os.write(2, b"from fd 2\n")
            subprocess.run([sys.executable, "-c", "print('from a grandchild')"], check=True)
            yield Delta("after the noise", request=index)
        elif how == "stdin":
            yield Delta(f"read {sys.stdin.read()!r}", request=index)
        elif how == "huge":
            yield Delta("x" * (80 * 2**20), request=index)
        elif how == "big":
            yield Delta("é" * 2**20, request=index)
        elif how == "surrogate":
            yield Delta("half \ud83d of a pair", request=index)
        elif how == "grandchild":
            with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], stdout=1) as sleeper:
                yield Delta(str(sleeper.pid), request=index)
                os._exit(3)
        elif how in ("slow", "slow and deaf"):
            for number in range(10_000):
                time.sleep(0.01)  # a token takes as long, whoever waits for it
                if how == "slow" and cancel.is_set():
                    yield Delta(request=index, finish_reason="cancelled", output_tokens=number)
                    return
                yield Delta(f"{number} ", request=index)
        yield Delta(request=index, finish_reason="stop")

    def close(self) -> None:
        pass


class AheadModel(FaultyModel):
    """The same, and it reads ahead: slowly, or as badly as the text says; `!read` tells what it has read to the end."""

    def __init__(self, info: ModelInfo) -> None:
        super().__init__(info)
        self.read: list[str] = []

    def read_ahead(self, request: Request, cancel: threading.Event) -> None:
        text = request.messages[-1].content
        print("begun")  # into the log, which is how a test knows
        if text == "long":
            assert cancel.wait(20)
            text = "long, stopped"
        elif text.startswith("!"):
            for _ in self.misbehave(text[1:], 0, GenerationConfig(), cancel):
                pass
        self.read.append(text)

    def misbehave(self, how: str, index: int, config: GenerationConfig, cancel: threading.Event) -> Iterator[Delta]:
        if how == "read":
            yield Delta("; ".join(self.read), request=index, finish_reason="stop")
        else:
            yield from super().misbehave(how, index, config, cancel)


class Faulty:
    name = "faulty"
    isolated = True

    def resolve(self, name: str) -> ModelInfo | None:
        return None

    def load(self, info: ModelInfo) -> FaultyModel:
        if info.name == "dies-at-load":
            os.abort()
        if info.name == "raises-at-load":
            raise ModelFailed("The file is no model.", fix="palaver models pull it")
        if info.name == "hangs-at-load":
            threading.Event().wait()
        if info.name == "noisy-at-load":
            os.write(1, b"\x7f\xff\xff\xffnot a frame")
        return AheadModel(info) if info.name == "ahead" else FaultyModel(info)


def palaver_backends() -> Iterable[Faulty]:
    return [Faulty()]
