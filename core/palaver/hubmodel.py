"""What a model of the hub consists of: `hf:org/name`, or one file of it, `hf:org/name/FILE.gguf`, each file pinned.

The hub tells the SHA-256 of large files. Small ones it names by their Git blob, so they are fetched and hashed here.
Nothing but weights in safetensors or GGUF, configurations and tokenizers is ever taken.
"""

from __future__ import annotations

import fnmatch
import hashlib
import re
from typing import cast

from palaver.errors import BadInput, ModelFailed, NeedsDownload
from palaver.hub import hub_url, is_offline
from palaver.model import ModelFile

_NAME = re.compile(
    r"hf:([A-Za-z0-9][A-Za-z0-9._-]{0,95}/[A-Za-z0-9][A-Za-z0-9._-]{0,95})(?:/([A-Za-z0-9][A-Za-z0-9._+-]*\.gguf))?"
)
_WANTED = ("*.safetensors", "*.json", "*.model", "*.spm", "*.txt", "*.jinja")
_LARGEST_SMALL = 64 * 2**20
"""Bytes of a file that is no large one: vocabularies in JSON reach 35 MB."""


def hub_files(name: str, *, offline: bool = False) -> tuple[ModelFile, ...]:
    """The files of a hub model, pinned to the commit that the hub has now.

    Raises:
        BadInput: it is no name of the hub. NeedsDownload: nothing may be fetched.
        ModelFailed: there is no connection, no such model, or nothing in it that can be loaded.
    """
    found = _NAME.fullmatch(name)
    if found is None or ".." in name:
        raise BadInput(f"'{name}' is no name of the hub; one looks like hf:org/name or hf:org/name/FILE.gguf.")
    if offline or is_offline():
        raise NeedsDownload(
            f"{name} cannot be looked up: it was asked to stay offline.",
            fix="a copy that is here already is named by its path: -m PATH",
            code="offline",
        )
    repository, file = found[1], found[2]
    commit, listed = _listed(repository)
    names = [file] if file else _wanted(repository, sorted(listed))
    if file and file not in listed:
        ggufs = ", ".join(one for one in sorted(listed) if one.endswith(".gguf")) or "none"
        raise BadInput(f"{repository} has no {file}. Its GGUF files: {ggufs}.", code="no_such_file")
    return tuple(_pinned(repository, commit, one, listed[one]) for one in names)


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
