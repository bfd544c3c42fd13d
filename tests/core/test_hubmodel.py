"""A model of the hub by its name alone: which files it is made of, each pinned before it is fetched."""

from __future__ import annotations

import hashlib
import json
import shutil
import threading
from collections import namedtuple
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from palaver import BadInput, ModelFailed, NeedsDownload, cli, paths, weights
from palaver.hubmodel import hub_files
from palaver.plugins import Plugins
from palaver.registry import Registry

COMMIT = "a" * 40
CONFIG = json.dumps({"architectures": ["LlamaForCausalLM"], "model_type": "llama"}).encode()
FILES = {
    "org/tiny": {
        "config.json": CONFIG,
        "tokenizer.json": b"{}",
        "model.safetensors": b"weights" * 1000,
        "pytorch_model.bin": b"a pickle",
        "modeling_tiny.py": b"import os",
        "onnx/model.onnx": b"other",
    },
    "org/ggufs": {"a.Q2_K.gguf": b"GGUF two", "a.Q4_K_M.gguf": b"GGUF four", "README.md": b"read me"},
    "org/pickled": {"config.json": CONFIG, "pytorch_model.bin": b"a pickle"},
}
LARGE = (".safetensors", ".gguf", ".bin", ".onnx")


class Answer(BaseHTTPRequestHandler):
    """The hub's listing and its files."""

    def do_GET(self) -> None:
        hub = self.server
        assert isinstance(hub, Hub)
        hub.asked.append(self.path)
        if self.path.startswith("/api/models/"):
            name = self.path.removeprefix("/api/models/").partition("?")[0]
            return self._say(json.dumps(hub.listing(name)).encode() if name in FILES else None)
        repository, _, rest = self.path.lstrip("/").partition(f"/resolve/{COMMIT}/")
        return self._say(hub.content(repository, rest))

    def _say(self, content: bytes | None) -> None:
        if content is None:
            self.send_error(404)
            return
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:
        return None


class Hub(ThreadingHTTPServer):
    """Serves FILES; `tampered` are other bytes than it lists."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Answer)
        self.asked: list[str] = []
        self.tampered: dict[str, bytes] = {}

    def content(self, repository: str, name: str) -> bytes | None:
        return self.tampered.get(name, FILES.get(repository, {}).get(name))

    def listing(self, repository: str) -> object:
        siblings: list[object] = []
        for name, content in FILES[repository].items():
            blob = hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()
            large = {"lfs": {"sha256": hashlib.sha256(content).hexdigest(), "size": len(content)}}
            siblings.append({"rfilename": name, "blobId": blob, **(large if name.endswith(LARGE) else {})})
        return {"sha": COMMIT, "siblings": siblings}


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    with Hub() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        monkeypatch.setenv("PALAVER_HUB", f"http://127.0.0.1:{server.server_port}")
        yield server
        server.shutdown()
        thread.join()


def test_only_weights_configurations_and_tokenizers_are_taken_each_pinned(hub: Hub) -> None:
    found = {file.name: file for file in hub_files("hf:org/tiny")}
    assert sorted(found) == ["config.json", "model.safetensors", "tokenizer.json"]
    for name, file in found.items():
        content = FILES["org/tiny"][name]
        assert (file.sha256, file.size) == (hashlib.sha256(content).hexdigest(), len(content))
        assert file.hub == f"org/tiny/resolve/{COMMIT}/{name}"
    assert not any(path.endswith((".bin", ".py", ".safetensors")) for path in hub.asked)  # not fetched to find out


@pytest.fixture
def no_hub(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PALAVER_HUB", "http://127.0.0.1:9")  # nobody listens there


@pytest.mark.usefixtures("no_hub")
def test_a_path_is_enough_without_a_network(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("config.json", "tokenizer.json", "model.safetensors", "pytorch_model.bin"):
        (tmp_path / name).write_bytes(FILES["org/tiny"][name])
    (tmp_path / "four.gguf").write_bytes(FILES["org/ggufs"]["a.Q4_K_M.gguf"])
    assert cli.main(["models", "pull", "hf:org/tiny", "--from", str(tmp_path), "--no-time"]) == 0
    folder = paths.model_dir("hf:org/tiny")
    kept = {path.name: path.read_bytes() for path in folder.iterdir() if path.name != weights.MANIFEST}
    assert sorted(kept) == [".lock", "config.json", "model.safetensors", "tokenizer.json"]
    assert kept["model.safetensors"] == FILES["org/tiny"]["model.safetensors"]
    told = capsys.readouterr().out
    assert f"sha256:{hashlib.sha256(FILES['org/tiny']['model.safetensors']).hexdigest()}" in told

    command = ["models", "pull", "hf:org/ggufs/a.Q4_K_M.gguf", "--no-time", "--offline", "--from"]
    assert cli.main([*command, str(tmp_path / "four.gguf")]) == 0  # whatever it is called there
    assert (paths.model_dir(command[2]) / "a.Q4_K_M.gguf").read_bytes() == b"GGUF four"
    assert cli.main([*command, str(tmp_path)]) == 4
    assert f"{tmp_path} has no a.Q4_K_M.gguf" in capsys.readouterr().err


def test_one_command_pulls_it_the_list_has_it_and_another_removes_it(
    hub: Hub, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["models", "pull", "hf:org/tiny"]) == 0
    folder = paths.model_dir("hf:org/tiny")
    assert folder.name == "hf--org--tiny"
    assert sorted(weights.read_manifest(folder)) == ["config.json", "model.safetensors", "tokenizer.json"]
    assert Registry(Plugins()).info("hf:org/tiny").path == str(folder)
    capsys.readouterr()
    cli.main(["models", "list", "--json"])
    listed = {one["name"]: one for one in json.loads(capsys.readouterr().out)["models"]}
    assert listed["hf:org/tiny"]["path"] == str(folder)
    assert cli.main(["models", "pull", "hf:org/tiny"]) == 0
    assert "already here" in capsys.readouterr().err
    assert cli.main(["models", "rm", "hf:org/tiny"]) == 0
    assert not folder.exists()


def test_one_gguf_file_of_a_repository_is_a_model_for_llama_cpp(hub: Hub, capsys: pytest.CaptureFixture[str]) -> None:
    name = "hf:org/ggufs/a.Q4_K_M.gguf"
    assert cli.main(["models", "pull", name]) == 0
    info = Registry(Plugins()).info(name)
    assert (info.backend, info.path) == ("llamacpp", str(paths.model_dir(name) / "a.Q4_K_M.gguf"))
    assert not any("Q2_K" in path for path in hub.asked)


def test_of_a_repository_of_gguf_files_one_is_named(hub: Hub) -> None:
    with pytest.raises(ModelFailed, match="has no safetensors, but 2 GGUF files") as caught:
        hub_files("hf:org/ggufs")
    assert caught.value.fix == "palaver models pull hf:org/ggufs/a.Q4_K_M.gguf"
    with pytest.raises(BadInput, match=r"Its GGUF files: a\.Q2_K\.gguf, a\.Q4_K_M\.gguf"):
        hub_files("hf:org/ggufs/a.Q8_0.gguf")


def test_what_cannot_be_had_is_one_sentence(hub: Hub) -> None:
    with pytest.raises(ModelFailed, match="has no safetensors weights"):
        hub_files("hf:org/pickled")
    with pytest.raises(ModelFailed, match=r"no open model org/absent \(404\)"):
        hub_files("hf:org/absent")
    with pytest.raises(NeedsDownload):
        hub_files("hf:org/tiny", offline=True)
    hub.tampered["config.json"] = b"{}"
    with pytest.raises(ModelFailed, match=r"config\.json is not what the hub lists"):
        hub_files("hf:org/tiny")


@pytest.mark.parametrize(
    "name", ["hf:tiny", "hf:../etc/passwd", "hf:org/../x", "hf:org/a/b.bin", "hf:-x/y", "hf:a/b\n"]
)
def test_a_name_that_is_none_is_refused_before_anything_is_asked(hub: Hub, name: str) -> None:
    with pytest.raises(BadInput, match="no name of the hub"):
        hub_files(name)
    assert hub.asked == []


def test_too_little_space_for_all_of_it_is_told_before_any_of_it_is_fetched(
    hub: Hub, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    Usage = namedtuple("Usage", "total used free")
    spare = 32 * 2**20
    free = spare + len(FILES["org/tiny"]["model.safetensors"])  # each file fits, all of them do not
    monkeypatch.setattr(shutil, "disk_usage", lambda path: Usage(10**9, 10**9 - free, free))
    assert cli.main(["models", "pull", "hf:org/tiny"]) == 1
    assert "are free" in capsys.readouterr().err
    assert not any(path.endswith(".safetensors") for path in hub.asked)


@pytest.mark.parametrize(
    ("name", "says"),
    [("lead-3", "has no weights"), ("openai:http://127.0.0.1:9/v1#m", "is on a server"), ("{file}", "is here already")],
)
def test_what_needs_no_download_says_why(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, says: str
) -> None:
    file = tmp_path / "mine.gguf"
    file.write_bytes(b"GGUF")
    assert cli.main(["models", "pull", name.format(file=file)]) == 0
    assert says in capsys.readouterr().out
