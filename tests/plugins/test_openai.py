"""An answer from a server is whole only if the server says so, and the key goes nowhere else."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.plugins.misbehaving_server import Server, running

from palaver import ContextExceeded, Delta, GenerationConfig, Message, ModelFailed, Request, UsageError
from palaver.paths import config_file
from palaver_openai import palaver_backends
from palaver_openai.backend import OpenAICompatible
from palaver_openai.backend import Server as Client
from palaver_openai.keys import key_for

ASKED = Request((Message("system", "Be brief."), Message("user", "Good day")))


@pytest.fixture
def server() -> Iterator[Server]:
    with running() as server:
        yield server


def client(server: Server, model: str) -> Client:
    info = OpenAICompatible().resolve(f"openai:{server.url}#{model}")
    assert info is not None
    return OpenAICompatible().load(info)


def answer(server: Server, model: str, config: GenerationConfig | None = None) -> list[Delta]:
    asked = client(server, model)
    try:
        return list(asked.stream([ASKED], config or GenerationConfig(), threading.Event()))
    finally:
        asked.close()


def text(deltas: list[Delta]) -> str:
    return "".join(delta.text for delta in deltas)


def test_the_backend_is_offered_by_the_plugin() -> None:
    assert [backend.name for backend in palaver_backends()] == ["openai"]


def test_a_good_answer_streams_and_counts_its_tokens(server: Server) -> None:
    deltas = answer(server, "good", GenerationConfig(temperature=0.5, top_k=3, seed=9, max_new_tokens=11, stop=("X",)))
    assert text(deltas) == "Guten Tag"
    assert deltas[-1] == Delta(finish_reason="stop", prompt_tokens=7, output_tokens=2)
    path, _, body = server.seen[0]
    assert path == "/v1/chat/completions"
    assert body["messages"] == [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Good day"}]
    assert {key: body[key] for key in ("temperature", "top_k", "seed", "max_tokens", "stop", "stream")} == {
        "temperature": 0.5, "top_k": 3, "seed": 9, "max_tokens": 11, "stop": ["X"], "stream": True,
    }  # fmt: skip


def test_an_answer_that_ran_out_of_tokens_says_so(server: Server) -> None:
    assert answer(server, "long")[-1].finish_reason == "length"


@pytest.mark.parametrize(("model", "kept"), [("cut", "Half an"), ("no-reason", "Looks whole.")])
def test_a_stream_without_a_finish_reason_is_an_error_with_its_text(server: Server, model: str, kept: str) -> None:
    deltas = answer(server, model)
    assert text(deltas) == kept
    assert deltas[-1].finish_reason == "error"
    assert "without saying that it is whole" in deltas[-1].error


@pytest.mark.parametrize(
    ("model", "error", "sentence"),
    [
        ("bad-json", ModelFailed, "not JSON"),
        ("not-an-object", ModelFailed, "no completion"),
        ("error-event", ModelFailed, "out of memory"),
        ("huge-event", ModelFailed, "more than 1 MB"),
        ("redirect", ModelFailed, "redirects are not followed"),
        ("html", ModelFailed, "answered with text/html"),
        ("unauthorized", ModelFailed, r"refused the key \(401\)"),
        ("too-long", ContextExceeded, "longer than the server's model can read"),
        ("broken", ModelFailed, "The server answered 500."),
    ],
)
def test_whatever_else_a_server_does_is_one_sentence(
    server: Server, model: str, error: type[Exception], sentence: str
) -> None:
    with pytest.raises(error, match=sentence):
        answer(server, model)


def test_bytes_that_are_no_utf8_do_not_break_the_stream(server: Server) -> None:
    assert text(answer(server, "bad-utf8")) == "\ufffd\ufffd"


def test_no_server_is_a_sentence_with_its_address() -> None:
    info = OpenAICompatible().resolve("openai:http://127.0.0.1:9/v1#x")
    assert info is not None
    with pytest.raises(ModelFailed, match=r"There is no server at 127\.0\.0\.1:9\."):
        list(OpenAICompatible().load(info).stream([ASKED], GenerationConfig(), threading.Event()))


@pytest.mark.parametrize("model", ["endless", "silent"])
def test_cancel_ends_the_answer_at_once(server: Server, model: str) -> None:
    cancel, asked = threading.Event(), client(server, model)
    deltas = asked.stream([ASKED], GenerationConfig(), cancel)
    assert next(deltas).text
    cancel.set()
    started = time.monotonic()
    assert list(deltas)[-1].finish_reason == "cancelled"
    assert time.monotonic() - started < 0.2
    asked.close()


def test_cancel_closes_the_connection_so_that_the_server_stops_too(server: Server) -> None:
    cancel, asked = threading.Event(), client(server, "endless")
    deltas = asked.stream([ASKED], GenerationConfig(), cancel)
    next(deltas)
    cancel.set()
    list(deltas)
    assert server.gone.wait(5)
    asked.close()


@pytest.mark.parametrize("model", ["mute-once", "silent-once"])
def test_a_cancel_hangs_up_on_a_silent_server_and_frees_its_place(server: Server, model: str) -> None:
    info = OpenAICompatible().resolve(f"openai:{server.url}#{model}")
    assert info is not None
    asked, cancel, heard = Client(info, concurrency=1), threading.Event(), list[Delta]()
    first = threading.Thread(target=lambda: heard.extend(asked.stream([ASKED], GenerationConfig(), cancel)))
    first.start()
    while not server.seen:
        assert first.is_alive()
    cancel.set()
    first.join()
    assert heard[-1].finish_reason == "cancelled"
    assert server.gone.wait(5)  # not after 60 s of silence
    assert text(list(asked.stream([ASKED], GenerationConfig(), threading.Event()))) == "Guten Tag"
    asked.close()


def test_a_cancel_leaves_the_other_requests_of_the_server_alone(server: Server) -> None:
    asked, cancel = client(server, "silent-once"), threading.Event()
    silent = asked.stream([ASKED], GenerationConfig(), cancel)
    assert next(silent).text == "Hm"
    other = asked.stream([ASKED], GenerationConfig(), threading.Event())
    begun = next(other)
    cancel.set()
    assert list(silent)[-1].finish_reason == "cancelled"
    assert text([begun, *other]) == "Guten Tag"
    asked.close()


def test_several_requests_share_the_limit_and_each_ends(server: Server) -> None:
    asked = client(server, "good")
    deltas = list(asked.stream([ASKED] * 9, GenerationConfig(), threading.Event()))
    assert sorted(delta.request for delta in deltas if delta.finish_reason == "stop") == list(range(9))
    asked.close()


def test_never_more_than_four_requests_are_under_way(server: Server) -> None:
    asked = client(server, "counted")
    deltas = list(asked.stream([ASKED] * 12, GenerationConfig(), threading.Event()))
    assert sum(delta.finish_reason == "stop" for delta in deltas) == 12
    assert server.most_together == 4
    asked.close()


def test_an_answer_that_a_filter_ended_is_not_whole(server: Server) -> None:
    deltas = answer(server, "filtered")
    assert (text(deltas), deltas[-1].finish_reason) == ("Half an", "error")
    assert "filter" in deltas[-1].error


def test_in_a_batch_one_refusal_does_not_take_the_others_down(server: Server) -> None:
    asked = client(server, "broken")
    deltas = list(asked.stream([ASKED, ASKED], GenerationConfig(), threading.Event()))
    assert [(delta.finish_reason, delta.error) for delta in deltas] == [("error", "The server answered 500.")] * 2
    asked.close()
    asked = client(server, "too-long")
    codes = {delta.code for delta in asked.stream([ASKED, ASKED], GenerationConfig(), threading.Event())}
    assert codes == {"context_exceeded"}
    asked.close()


def test_the_key_goes_into_the_header_and_never_into_a_message(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PALAVER_API_KEY", "sk-very-secret")
    with pytest.raises(ModelFailed) as caught:
        answer(server, "echo-key")
    assert server.seen[0][1]["Authorization"] == "Bearer sk-very-secret"
    assert "sk-very-secret" not in str(caught.value)
    assert "(key)" in str(caught.value)


def test_a_server_has_5_seconds_to_connect_and_60_to_say_something(server: Server) -> None:
    asked = client(server, "good")
    limits = {(place.client.timeout.connect, place.client.timeout.read) for place in asked._places}
    assert limits == {(5.0, 60.0)}
    asked.close()


def test_a_server_that_falls_silent_is_given_up_and_what_came_is_kept(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("palaver_openai.backend.IDLE_SECONDS", 0.2)
    asked = client(server, "silent")
    heard: list[str] = []
    with pytest.raises(ModelFailed, match=r"did not send anything for 0\.2 s"):
        for delta in asked.stream([ASKED], GenerationConfig(), threading.Event()):
            heard.append(delta.text)
    asked.close()
    assert heard == ["Hm"]


CRASH = """
import sys
from palaver.command import parse_line
from palaver.cli.app import run
from palaver_openai.backend import Server
class Broken(Server):
    def _body(self, *given):
        key = self._key
        raise RuntimeError("a mistake with the key in a local variable")
import palaver_openai.backend
palaver_openai.backend.Server = Broken
sys.exit(run(sys.argv[1:]))
"""


@pytest.mark.parametrize("stored", ["environment", "file"])
def test_the_key_is_in_no_file_no_output_and_no_argument(
    server: Server, palaver_home: Path, monkeypatch: pytest.MonkeyPatch, stored: str
) -> None:
    """Whatever the server does: history, logs, crash reports, stdout and stderr are searched for its very bytes."""
    key = "sk-" + "q7Zp" * 8
    kept = config_file().with_name("secrets.toml")
    if stored == "environment":
        monkeypatch.setenv("PALAVER_API_KEY", key)
    else:
        kept.write_text(f'"{server.url.removesuffix("/v1")}" = "{key}"\n', "utf-8")
        kept.chmod(0o600)
    said = b""
    models = ("good", "cut", "bad-json", "echo-key", "echo-key-in-event", "echo-key-in-text", "broken", "unauthorized")
    for program, model in [("", model) for model in models] + [(CRASH, "good")]:
        start = ["-c", program] if program else ["-m", "palaver"]
        command = [sys.executable, *start, "generate", "-m", f"openai:{server.url}#{model}", "--json", "Write."]
        assert key not in " ".join(command)
        done = subprocess.run(command, capture_output=True, stdin=subprocess.DEVNULL)
        said += done.stdout + done.stderr
    assert {seen[1].get("Authorization") for seen in server.seen} == {f"Bearer {key}"}  # it was used
    assert said.count(b"(key)") >= 3
    assert key.encode() not in said
    files = [path for path in palaver_home.rglob("*") if path.is_file() and path != kept]
    assert any(path.name == "history.db" for path in files)
    assert [path.name for path in files if key.encode() in path.read_bytes()] == []


def test_a_key_is_for_one_origin_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PALAVER_API_KEY", "local")
    monkeypatch.setenv("OPENAI_API_KEY", "theirs")
    assert key_for("http://127.0.0.1:8080/v1") == "local"
    assert key_for("https://api.openai.com/v1") == "theirs"
    assert key_for("https://elsewhere.example/v1") == ""
    monkeypatch.setenv("PALAVER_API_KEY_FOR", "https://elsewhere.example")
    assert key_for("https://elsewhere.example/v1") == "local"
    assert key_for("https://elsewhere.example.evil/v1") == ""


def test_a_key_file_that_others_can_read_is_refused(tmp_path: Path) -> None:
    path = config_file().with_name("secrets.toml")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text('"https://a.example" = "sk"\n', "utf-8")
    path.chmod(0o644)
    with pytest.raises(UsageError, match="can be read by others"):
        key_for("https://a.example/v1")
    path.chmod(0o600)
    assert key_for("https://a.example/v1") == "sk"


@pytest.mark.parametrize(
    "name",
    ["openai:ftp://x#m", "openai:http://x/v1", "openai:#m", "openai:https://key@x/v1#m", "openai:https://x/?k=1#m"],
)
def test_a_name_that_is_no_server_is_refused(name: str) -> None:
    with pytest.raises(UsageError):
        OpenAICompatible().resolve(name)


def test_a_key_never_travels_unencrypted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PALAVER_API_KEY", "sk")
    monkeypatch.setenv("PALAVER_API_KEY_FOR", "http://far.example")
    with pytest.raises(UsageError, match="unencrypted"):
        OpenAICompatible().resolve("openai:http://far.example/v1#m")
