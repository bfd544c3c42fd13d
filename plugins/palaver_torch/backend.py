"""The backend `torch`: folders of safetensors, models of the hub and the catalogue's, through transformers."""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Mapping
from pathlib import Path

from palaver import Model, ModelFailed, ModelInfo, NeedsDownload, PalaverError
from palaver_torch.checkpoint import (
    TASKS,
    WEIGHTS,
    cached_snapshot,
    hub_name,
    looks_like_one,
    made_for,
    read_checkpoint,
)
from palaver_torch.gguf import knows
from palaver_torch.languages import is_taught, spoken
from palaver_torch.names import FOUR_BITS, batch_form, form_of, gguf_file, missing_packages, taken_over

_INSTALL = "pip install 'palaver[torch]'"


class Torch:
    """Loads transformers models with PyTorch."""

    name = "torch"
    isolated = True

    def resolve(self, name: str) -> ModelInfo | None:
        """`hf:org/name`, the path of a folder with a config.json, or `FILE.gguf@4bit`, `FILE.gguf@bfloat16`."""
        if (file := gguf_file(name)) is not None:
            found = ModelInfo(name=file.stem, backend="gguf", title=file.stem, tasks=TASKS["causal"], path=str(file))
            return taken_over(found, form_of(name))
        if name.startswith("hf:"):
            return self._described(ModelInfo(name=name, backend=self.name, title=hub_name(name)), cached_snapshot(name))
        folder = Path(name).expanduser()
        if not looks_like_one(folder):
            return None
        folder = folder.resolve()
        return self._described(ModelInfo(name=folder.name, backend=self.name, title=folder.name), folder)

    def load(self, info: ModelInfo) -> Model:
        """Load the model's folder, or its GGUF file.

        Raises:
            NeedsDownload: it is not on this machine; with the command that fetches it and shows how far it is.
            ModelFailed: it is damaged, wants to run code, or is of no kind that is known.
        """
        if (missing := _without_torch(info)) is not None:
            raise missing
        if info.path.lower().endswith(".gguf"):
            from palaver_torch import quantized

            return quantized.load(info, Path(info.path))
        from palaver_torch.loader import load  # torch and transformers: two seconds, paid by who loads a model

        folder = self._folder(info)
        was_bundle = info.path not in ("", str(folder), str(folder / WEIGHTS))
        return load(dataclasses.replace(info, digest="") if was_bundle else info, folder)

    def take_over(self, info: ModelInfo, form: str) -> ModelInfo | None:
        """A GGUF file as a model of this backend: in four bits, as it is, or in plain numbers."""
        return taken_over(info, form)

    def for_batches(self, info: ModelInfo) -> ModelInfo | None:
        """A GGUF file in plain numbers, where PyTorch is installed and knows the architecture."""
        found = None if missing_packages() else taken_over(info, batch_form())
        return found if found is not None and knows(Path(found.path)) else None

    def for_streams(self, info: ModelInfo) -> ModelInfo | None:
        """A GGUF file in its own four bits, where PyTorch is installed and knows the architecture."""
        found = None if missing_packages() else taken_over(info, FOUR_BITS)
        return found if found is not None and knows(Path(found.path)) else None

    def examine(self, info: ModelInfo) -> PalaverError | None:
        """PyTorch is missing, or the folder is one that is always refused."""
        if (missing := _without_torch(info)) is not None:
            return missing
        folder = Path(info.path) if info.path else None
        if folder is None or not (folder / "config.json").is_file() or folder.is_file():
            return None
        try:
            read_checkpoint(folder)
        except PalaverError as refused:
            return refused
        return None

    def _folder(self, info: ModelInfo) -> Path:
        if info.name.startswith("hf:"):
            cached = cached_snapshot(info.name)
            whole = cached is not None and any(cached.glob("*.safetensors"))  # not only its config
            if cached is None or not whole:
                raise NeedsDownload(f"{info.name} is not on this machine yet.", fix=f"palaver models pull {info.name}")
            return cached
        path = Path(info.path) if info.path else None
        if path is None or not path.exists():
            if info.files:
                size = f"{info.download_size / 1e6:,.0f} MB"
                raise NeedsDownload(
                    f"{info.name} is not on this machine yet ({size}).", fix=f"palaver models pull {info.name}"
                )
            raise ModelFailed(f"There is no folder {info.path}.", fix="Check the path.", code="model_missing")
        if info.files and path.name == info.files[0].name:
            from palaver_torch.convert import unpack_bundle

            return unpack_bundle(info, path)
        return path if path.is_dir() else path.parent

    @staticmethod
    def _described(info: ModelInfo, folder: Path | None) -> ModelInfo:
        """`info` with what the folder says of itself; a folder that is to be refused is refused when it is loaded."""
        if folder is None:
            return dataclasses.replace(info, description="A model of the hub: palaver models pull fetches it.")
        try:
            config = json.loads((folder / "config.json").read_text("utf-8"))
            tasks, good_at = made_for(config)
        except (OSError, ValueError, AttributeError, ModelFailed):
            return dataclasses.replace(info, path=str(folder))
        size = sum(path.stat().st_size for path in folder.glob("*.safetensors"))
        pairs, languages = spoken(info.name, config, folder) if "translate" in good_at else ((), ())
        return dataclasses.replace(
            info,
            path=str(folder),
            tasks=tasks,
            pairs=pairs,
            languages=languages,
            good_at=good_at if is_taught(info.name) else (),
            description=f"{config['architectures'][0]}, a model of yours.",
            memory=_memory(size, config),
        )


def _memory(size: int, config: Mapping[str, object]) -> int:
    """Bytes for weights of `size` on disk, in the precision that is computed in: a quarter more, and PyTorch itself."""
    computed = os.environ.get("PALAVER_TORCH_DTYPE") or batch_form()
    stored = str(config.get("dtype") or config.get("torch_dtype") or "float32")
    half = ("bfloat16", "float16")
    if stored in half and computed not in half:
        size *= 2
    elif stored not in half and computed in half:
        size //= 2
    return size + size // 4 + 250_000_000


def _without_torch(info: ModelInfo) -> ModelFailed | None:
    missing = missing_packages()
    if not missing:
        return None
    return ModelFailed(f"{info.name} needs {missing[0]}, which is not installed.", fix=_INSTALL, code="no_torch")
