"""Make safetensors of a pickle, in a process that may do nothing else and is thrown away.

`python -m palaver_torch.convert FOLDER` converts a folder's pytorch_model.bin. The catalogue's translation models come
as pieces of an archive that no one may run anything of either: `unpack_bundle` takes their files out and converts.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import struct
import subprocess
import sys
import tempfile
import zlib
from pathlib import Path
from typing import IO, TYPE_CHECKING

from palaver import ModelFailed, ModelInfo, safe_line, weights
from palaver_torch.catalogue import MEMBERS, PICKLE
from palaver_torch.checkpoint import WEIGHTS

if TYPE_CHECKING:
    import torch

_TIMEOUT = 600
"""Seconds that a conversion may take: 300 MB need about three."""
_LOCAL_HEADER = struct.Struct("<4s5H3I2H")  # APPNOTE.TXT 4.3.7
_SIGNATURE, _DEFLATED = b"PK\x03\x04", 8
_BLOCK = 2**20


def unpack_bundle(info: ModelInfo, bundle: Path) -> Path:
    """The folder with the model's files, taken out of its bundle, the weights as safetensors; the bundle is removed.

    Raises:
        ModelFailed: what the bundle holds is not what was pinned, or cannot be converted.
    """
    folder = bundle.parent
    with tempfile.TemporaryDirectory(prefix=".staging-", dir=folder) as staging:
        names = _members(bundle, Path(staging), MEMBERS[info.name], info.name)
        convert(Path(staging) / PICKLE, Path(staging) / WEIGHTS)
        entries = weights.read_manifest(folder)
        for name in (*(one for one in names if one != PICKLE), WEIGHTS):
            path = Path(staging) / name
            digest = weights.hash_file(path)
            entries[name] = weights.Entry.now(name, digest, path.stat().st_size, f"{bundle.name}, converted")
            path.replace(folder / name)
        entries.pop(bundle.name, None)
        weights.sync_folder(folder)
        weights.write_manifest(folder, entries)
    bundle.unlink()
    return folder


def convert(pickle: Path, target: Path) -> None:
    """Write the tensors of `pickle` to `target`, from a process of its own that reads tensors and nothing else.

    Raises:
        ModelFailed: it holds more than tensors, or is damaged.
    """
    command = [sys.executable, "-P", "-m", "palaver_torch.convert", "--pickle", str(pickle), str(target)]
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_TIMEOUT,
            start_new_session=True,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise ModelFailed(f"{pickle.name} could not be converted in {_TIMEOUT} seconds.") from error
    if done.returncode != 0:
        lines = done.stderr.decode("utf-8", "replace").strip().splitlines()
        why = safe_line(lines[-1] if lines else f"its process ended with {done.returncode}", 300)
        raise ModelFailed(
            f"{pickle} cannot be converted: {why}", fix="Use a model with safetensors weights.", code="model_pickled"
        )


def _members(bundle: Path, staging: Path, pinned: dict[str, str], model: str) -> list[str]:
    """Write the archive's entries to `staging`, one after the other; only pinned names with pinned contents."""
    names: list[str] = []
    with bundle.open("rb") as archive:
        while header := archive.read(_LOCAL_HEADER.size):
            if len(header) < _LOCAL_HEADER.size:
                break
            signature, _, flags, method, *_, packed, _, name_length, extra = _LOCAL_HEADER.unpack(header)
            if signature != _SIGNATURE or method != _DEFLATED or flags & 1:
                break
            name = archive.read(name_length).decode("utf-8", "replace").rpartition("/")[2]
            archive.seek(extra, 1)
            end = archive.tell() + packed
            if name in pinned:
                digest = _inflate(archive, packed, staging / name)
                if digest != pinned[name]:
                    raise _not_pinned(model, name)
                names.append(name)
            archive.seek(end)
    if missing := sorted(set(pinned) - set(names)):
        raise _not_pinned(model, missing[0])
    return names


def _inflate(archive: IO[bytes], packed: int, target: Path) -> str:
    """Unpack the next `packed` bytes to `target`; the SHA-256 of what came out."""
    stream, digest = zlib.decompressobj(-zlib.MAX_WBITS), hashlib.sha256()
    with target.open("wb") as file:
        while packed > 0 and (block := archive.read(min(_BLOCK, packed))):
            packed -= len(block)
            out = stream.decompress(block)
            digest.update(out)
            file.write(out)
        out = stream.flush()
        digest.update(out)
        file.write(out)
        file.flush()
        os.fsync(file.fileno())
    return digest.hexdigest()


def _not_pinned(model: str, name: str) -> ModelFailed:
    return ModelFailed(
        f"The download of {model} does not hold the {name} that was pinned.",
        fix=f"palaver models pull {model}",
        code="wrong_hash",
    )


def _main() -> None:
    """Convert what the command line names; inside `--pickle` nothing but tensors is read."""
    parser = argparse.ArgumentParser(
        prog="python -m palaver_torch.convert", description=(__doc__ or "").partition("\n")[0]
    )
    parser.add_argument("--pickle", action="store_true", help="SOURCE is a pickle: convert it here")
    parser.add_argument("source", type=Path, help="a folder with pytorch_model.bin")
    parser.add_argument("target", type=Path, nargs="?", help="the safetensors file to write")
    given = parser.parse_args()
    if given.pickle:
        _convert_here(given.source, given.target)
        return
    pickles = sorted(given.source.glob("pytorch_model*.bin")) if given.source.is_dir() else [given.source]
    if len(pickles) != 1:
        parser.error(f"{given.source} has {len(pickles)} files pytorch_model*.bin; one can be converted")
    target = given.target or pickles[0].with_name(WEIGHTS)
    try:
        convert(pickles[0], target)
    except ModelFailed as error:
        parser.exit(1, f"{error.message}\n{error.fix}\n")
    parser.exit(0, f"Wrote {target}. Nothing needs {pickles[0].name} any more.\n")


def _convert_here(pickle: Path, target: Path) -> None:
    import torch
    from safetensors.torch import save_file

    found = torch.load(pickle, map_location="cpu", weights_only=True)
    if not isinstance(found, dict) or not all(isinstance(one, torch.Tensor) for one in found.values()):
        sys.exit("it holds something other than a table of tensors")
    draft = target.with_name(f"{target.name}.{os.getpid()}.new")
    save_file(_without_twins(found), str(draft), metadata={"format": "pt"})
    with draft.open("rb") as file:
        os.fsync(file.fileno())
    draft.replace(target)


def _without_twins(tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Tensors that share their memory are one weight under several names: transformers ties them again."""
    seen: set[tuple[int, tuple[int, ...], tuple[int, ...]]] = set()
    kept: dict[str, torch.Tensor] = {}
    for name, one in tensors.items():
        key = (one.data_ptr(), tuple(one.shape), one.stride())
        if key not in seen or one.numel() == 0:
            seen.add(key)
            kept[name] = one.contiguous().clone()
    return kept


if __name__ == "__main__":
    _main()
