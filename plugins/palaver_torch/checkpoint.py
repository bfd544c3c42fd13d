"""The only door for model folders: what a folder holds, and why one is refused before anything in it is run.

Weights are safetensors, never pickles; code that a folder brings along is never run. Nothing here imports torch.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, cast

from palaver import ModelFailed, paths

Kind = Literal["causal", "seq2seq", "span"]

INDEX = "model.safetensors.index.json"
WEIGHTS = "model.safetensors"
_PICKLES = (".bin", ".pt", ".pth", ".ckpt", ".pkl", ".pickle", ".joblib", ".msgpack", ".h5")
_RUNS_CODE = frozenset({"auto_map", "custom_pipelines", "trust_remote_code"})
_LARGEST_JSON = 64 * 2**20
"""Bytes. Vocabularies in JSON reach 35 MB."""
_HUB_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,95}/[A-Za-z0-9][A-Za-z0-9._-]{0,95}")

TASKS: Mapping[Kind, tuple[str, ...]] = {
    "causal": ("chat", "generate", "summarize", "translate", "qa"),
    "seq2seq": ("translate", "summarize", "generate"),
    "span": ("qa",),
}


_TRANSLATES = ("Marian", "M2M100", "MBart", "FSMT", "NllbMoe")
_SUMMARIZES = ("Bart", "Pegasus", "BigBirdPegasus", "LED", "ProphetNet")


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A model folder that may be loaded."""

    folder: Path
    config: Mapping[str, object]
    architecture: str
    kind: Kind
    files: tuple[Path, ...]
    """Its weights."""

    @property
    def size(self) -> int:
        """Bytes of the weights."""
        return sum(path.stat().st_size for path in self.files)

    def digest(self, name: str) -> str:
        """SHA-256 of the weights; of several files, that of their digests in order.

        Raises:
            ModelFailed: a file that the folder's manifest names, a tokenizer as well as weights, has changed since.
        """
        from palaver import weights

        for listed in weights.read_manifest(self.folder):
            path = self.folder / listed
            if Path(listed).name == listed and path.is_file() and path not in self.files:
                weights.verify(path, name=name)
        found = [weights.verify(path, name=name) for path in self.files]
        return found[0] if len(found) == 1 else hashlib.sha256("".join(found).encode()).hexdigest()


def looks_like_one(folder: Path) -> bool:
    """The folder has a config.json, whatever is in it."""
    return (folder / "config.json").is_file()


def kind_of(config: Mapping[str, object]) -> tuple[str, Kind]:
    """The architecture that a config names, and how such a model is used.

    Raises:
        ModelFailed: it is none of the kinds that are known here.
    """
    named = config.get("architectures")
    architecture = str(named[0]) if isinstance(named, list) and named else ""
    if architecture.endswith("ForQuestionAnswering"):
        return architecture, "span"
    if config.get("is_encoder_decoder") or architecture.endswith(("MTModel", "ForConditionalGeneration")):
        return architecture, "seq2seq"
    if architecture.endswith(("ForCausalLM", "LMHeadModel")):
        return architecture, "causal"
    raise ModelFailed(
        f"A model of the architecture '{architecture or 'unknown'}' cannot be used for any task.",
        fix="Use a causal, sequence-to-sequence or extractive question answering model.",
        code="model_unknown",
    )


def made_for(config: Mapping[str, object]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The tasks that a model with this config can do, and those of them that it was made for.

    A translator asked for a summary would translate. BART and Pegasus summarize once they were trained to, which their
    config tells by the settings for it.

    Raises:
        ModelFailed: it is none of the kinds that are known here.
    """
    architecture, kind = kind_of(config)
    family = architecture.removesuffix("MTModel").removesuffix("ForConditionalGeneration")
    if kind == "span":
        return TASKS[kind], ("qa",)
    if family in _TRANSLATES:
        return ("translate",), ("translate",)
    if family in _SUMMARIZES:
        special = config.get("task_specific_params")
        is_taught = isinstance(special, dict) and any(str(one).startswith("summarization") for one in special)
        return ("summarize", "generate"), ("summarize",) if is_taught or "Pegasus" in family else ()
    return TASKS[kind], ()


def read_checkpoint(folder: Path) -> Checkpoint:
    """The model in `folder`.

    Raises:
        ModelFailed: there is none, it wants to run code, or its weights are a pickle.
    """
    config = _read_json(folder / "config.json")
    for path in sorted(folder.glob("*.json")):
        if path.stat().st_size < _LARGEST_JSON and "vocab" not in path.name and "index" not in path.name:
            _refuse_code(path, folder)
    architecture, kind = kind_of(config)
    return Checkpoint(folder, config, architecture, kind, _weights(folder))


def hub_name(name: str) -> str:
    """The `org/name` of `hf:org/name`.

    Raises:
        ModelFailed: it is not a name of the hub.
    """
    bare = name.removeprefix("hf:")
    if not _HUB_NAME.fullmatch(bare) or ".." in bare:
        raise ModelFailed(f"'{name}' is no name of the hub; one looks like hf:org/name.", code="bad_name")
    return bare


def cached_snapshot(name: str) -> Path | None:
    """The folder of a hub model: what `palaver models pull` has fetched, else what another program left."""
    own = paths.model_dir(f"hf:{hub_name(name)}")
    is_whole = looks_like_one(own) and not any(own.glob("*.partial"))
    if is_whole and any(own.glob("*.safetensors")):
        return own
    home = Path(os.environ.get("HF_HOME") or Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache") / "huggingface")
    hub = Path(os.environ.get("HF_HUB_CACHE") or home / "hub").expanduser()
    repository = hub / f"models--{hub_name(name).replace('/', '--')}"
    try:
        commit = (repository / "refs" / "main").read_text("ascii").strip()
    except (OSError, ValueError):
        return None
    folder = repository / "snapshots" / commit
    return folder if re.fullmatch(r"[0-9a-f]{6,64}", commit) and looks_like_one(folder) else None


def _read_json(path: Path) -> Mapping[str, object]:
    try:
        if path.stat().st_size > _LARGEST_JSON:
            raise ValueError("it is too large")
        found = json.loads(path.read_text("utf-8"))
        if not isinstance(found, dict):
            raise ValueError("it is no object")
    except (OSError, ValueError, RecursionError) as error:
        raise ModelFailed(
            f"{path} cannot be read: {error}.", fix="Download the model again.", code="model_damaged"
        ) from error
    return cast("Mapping[str, object]", found)


def _refuse_code(path: Path, folder: Path) -> None:
    """
    Raises:
        ModelFailed: the file asks to run code that the model brings along or that lies elsewhere.
    """
    for key, value in _pairs(_read_any(path)):
        hub_kernel = key in ("attn_implementation", "_attn_implementation") and isinstance(value, str) and "/" in value
        if (key in _RUNS_CODE and value) or hub_kernel:
            raise ModelFailed(
                f"{folder.name} wants to run code of its own ('{key}' in {path.name}), which Palaver never does.",
                fix="Use a model whose architecture is part of transformers.",
                code="model_runs_code",
            )


def _read_any(path: Path) -> object:
    try:
        return json.loads(path.read_text("utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise ModelFailed(
            f"{path} cannot be read: {error}.", fix="Download the model again.", code="model_damaged"
        ) from error


def _pairs(value: object) -> Iterator[tuple[str, object]]:
    """Every key with its value, at any depth."""
    open_ones = [value]
    while open_ones:
        one = open_ones.pop()
        if isinstance(one, dict):
            yield from one.items()
            open_ones.extend(one.values())
        elif isinstance(one, list):
            open_ones.extend(one)


def _weights(folder: Path) -> tuple[Path, ...]:
    if (folder / WEIGHTS).is_file():
        return (folder / WEIGHTS,)
    if (folder / INDEX).is_file():
        names = _read_json(folder / INDEX).get("weight_map")
        plain = sorted({str(one) for one in names.values()}) if isinstance(names, dict) else []
        for name in plain:
            if not name.endswith(".safetensors") or Path(name).name != name or not (folder / name).is_file():
                raise ModelFailed(
                    f"{folder} lacks '{name[:100]}', which its index names.",
                    fix="Download the model again.",
                    code="model_damaged",
                )
        if plain:
            return tuple(folder / name for name in plain)
    pickles = sorted(path.name for path in folder.iterdir() if path.suffix.lower() in _PICKLES)
    if pickles:
        raise ModelFailed(
            f"The weights of {folder.name} are a pickle ({pickles[0]}), which can run code when it is loaded.",
            fix=f"python -m palaver_torch.convert {folder}",
            code="model_pickled",
        )
    raise ModelFailed(f"{folder} has no safetensors weights.", fix="Download the model again.", code="model_damaged")
