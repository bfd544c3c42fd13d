"""What a model of the hub consists of: `hf:org/name`, or one file of it, `hf:org/name/FILE.gguf`, each file pinned.

The hub tells the SHA-256 of large files. Small ones it names by their Git blob, so they are fetched and hashed here.
Nothing but weights in safetensors or GGUF, configurations and tokenizers is ever taken.
"""

from __future__ import annotations

import fnmatch
import hashlib
import re
from dataclasses import replace
from pathlib import Path
from typing import cast

from palaver.errors import BadInput, ModelFailed, NeedsDownload
from palaver.hub import hub_url, is_offline
from palaver.model import ModelFile, ModelInfo
from palaver.weights import hash_file

_NAME = re.compile(
    r"hf:([A-Za-z0-9][A-Za-z0-9._-]{0,95}/[A-Za-z0-9][A-Za-z0-9._-]{0,95})(?:/([A-Za-z0-9][A-Za-z0-9._+-]*\.gguf))?"
)
_WANTED = ("*.safetensors", "*.json", "*.model", "*.spm", "*.txt", "*.jinja")
_LARGEST_SMALL = 64 * 2**20
"""Bytes of a file that is no large one: vocabularies in JSON reach 35 MB."""


def to_pull(info: ModelInfo, *, source: Path | None = None, offline: bool = False) -> ModelInfo:
    """`info` with the files that a pull of it brings: those of a hub model are looked up, or taken from `source`.

    Raises:
        BadInput, NeedsDownload, ModelFailed: as `hub_files` and `local_files` say.
    """
    if not info.name.startswith("hf:"):
        return info
    files = local_files(info.name, source) if source is not None else hub_files(info.name, offline=offline)
    return replace(info, files=files)


def hub_files(name: str, *, offline: bool = False) -> tuple[ModelFile, ...]:
    """The files of a hub model, pinned to the commit that the hub has now.

    Raises:
        BadInput: it is no name of the hub. NeedsDownload: nothing may be fetched.
        ModelFailed: there is no connection, no such model, or nothing in it that can be loaded.
    """
    repository, file = _parts(name)
    if offline or is_offline():
        raise NeedsDownload(
            f"{name} cannot be looked up: it was asked to stay offline.",
            fix=f"palaver models pull {name} --from PATH",
            code="offline",
        )
    commit, listed = _listed(repository)
    names = [file] if file else _wanted(repository, sorted(listed))
    if file and file not in listed:
        ggufs = ", ".join(one for one in sorted(listed) if one.endswith(".gguf")) or "none"
        raise BadInput(f"{repository} has no {file}. Its GGUF files: {ggufs}.", code="no_such_file")
    return tuple(_pinned(repository, commit, one, listed[one]) for one in names)


def local_files(name: str, source: Path) -> tuple[ModelFile, ...]:
    """The files of a hub model that lie at `source`, a folder or one GGUF file, by the SHA-256 that they have there.

    Nobody is asked what they should be: whoever names the path vouches for them.

    Raises:
        BadInput: it is no name of the hub, or nothing of the model is there.
        ModelFailed: what is there cannot be loaded.
    """
    repository, file = _parts(name)
    if not file and not source.is_dir():
        raise BadInput(f"{source} is no folder with the files of {repository}.")
    one = source if source.is_file() else source / file
    if file and not one.is_file():
        raise BadInput(f"{source} has no {file}.")
    names = [file] if file else _wanted(repository, sorted(one.name for one in source.iterdir() if one.is_file()))
    places = [one] if file else [source / wanted for wanted in names]
    return tuple(
        ModelFile(wanted, hash_file(place), place.stat().st_size) for wanted, place in zip(names, places, strict=True)
    )


def _parts(name: str) -> tuple[str, str]:
    """`org/name`, and the GGUF file or nothing.

    Raises:
        BadInput: it is no name of the hub.
    """
    found = _NAME.fullmatch(name)
    if found is None or ".." in name:
        raise BadInput(f"'{name}' is no name of the hub; one looks like hf:org/name or hf:org/name/FILE.gguf.")
    return found[1], found[2] or ""


def _wanted(repository: str, names: list[str]) -> list[str]:
    """The files of the folder itself that a model is loaded from."""
    kept = [one for one in names if "/" not in one and any(fnmatch.fnmatch(one, pattern) for pattern in _WANTED)]
    if any(one.endswith(".safetensors") for one in kept):
        return kept
    ggufs = [one for one in names if one.endswith(".gguf") and "/" not in one]
    if ggufs:
        told = f"{repository} has no safetensors, but {len(ggufs)} GGUF files."
        raise ModelFailed(told, fix=f"palaver models pull hf:{repository}/{_middle(ggufs)}", code="choose_file")
    raise ModelFailed(
        f"{repository} has no safetensors weights, and nothing else is loaded.",
        fix="use a model that has them",
        code="model_pickled",
    )


def _middle(ggufs: list[str]) -> str:
    """The file that most people want: four bits, of medium care."""
    return next((one for one in ggufs if "q4_k_m" in one.lower()), ggufs[0])


def _listed(repository: str) -> tuple[str, dict[str, dict[str, object]]]:
    """The commit, and what the hub says of each file by its name."""
    import json

    try:
        told = json.loads(_get(hub_url(f"api/models/{repository}?blobs=true"), repository))
        commit, siblings = str(told["sha"]), {str(one["rfilename"]): one for one in told["siblings"]}
    except (ValueError, KeyError, TypeError) as error:
        raise ModelFailed(f"The hub says nothing usable of {repository}.", code="download_failed") from error
    if not re.fullmatch(r"[0-9a-f]{7,64}", commit):
        raise ModelFailed(f"The hub names no commit of {repository}.", code="download_failed")
    return commit, siblings


def _pinned(repository: str, commit: str, name: str, told: dict[str, object]) -> ModelFile:
    place = f"{repository}/resolve/{commit}/{name}"
    large = told.get("lfs")
    if isinstance(large, dict) and re.fullmatch(r"[0-9a-f]{64}", str(large.get("sha256", ""))):
        return ModelFile(name, str(large["sha256"]), int(cast(int, large["size"])), hub=place)
    if name.endswith((".safetensors", ".gguf")):
        raise ModelFailed(f"The hub gives no SHA-256 of {name}.", code="download_failed")
    content = _get(hub_url(place), repository)
    blob = hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()
    if told.get("blobId") not in (None, blob):
        raise ModelFailed(f"{name} is not what the hub lists under its name.", code="wrong_hash")
    return ModelFile(name, hashlib.sha256(content).hexdigest(), len(content), hub=place)


def _get(url: str, repository: str) -> bytes:
    import httpx  # 50 ms: paid by whoever downloads

    try:
        with httpx.stream("GET", url, follow_redirects=True, timeout=httpx.Timeout(30, connect=5)) as answer:
            if answer.status_code in (401, 403, 404):
                raise ModelFailed(
                    f"The hub has no open model {repository} ({answer.status_code}).",
                    fix="check the name; models that ask for a login are downloaded by hand: use their folder's path",
                    code="no_such_model",
                )
            if answer.status_code != 200:
                raise ModelFailed(f"{url} could not be read: the server says {answer.status_code}.")
            content = b""
            for block in answer.iter_bytes():
                content += block
                if len(content) > _LARGEST_SMALL:
                    raise ModelFailed(f"{url} is longer than {_LARGEST_SMALL:,} bytes.", code="download_failed")
            return content
    except httpx.HTTPError as error:
        raise ModelFailed(
            f"{url} could not be read: {error or type(error).__name__}.",
            fix="check the network, or use --from PATH",
            code="download_failed",
        ) from error
