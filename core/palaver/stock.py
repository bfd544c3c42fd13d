"""How each model is doing: loaded, on disk, not downloaded or broken, with the memory and the disk that it takes."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from palaver import paths, weights
from palaver.choice import Languages, can, fits, preference, spoken
from palaver.errors import BadInput, PalaverError
from palaver.model import ModelInfo
from palaver.registry import Registry
from palaver.warm import Warm, engine_status

State = Literal["loaded", "installed", "absent", "broken", "baseline", "server"]
"""`installed`: on disk, or needs no file. `absent`: not downloaded. `server`: another program holds it."""


@dataclass(frozen=True, slots=True)
class Stocked:
    """A model and how it is doing just now."""

    info: ModelInfo
    state: State
    reason: str = ""
    """Why it is broken: one sentence."""
    fix: str = ""
    """The command for it: that mends it, or that downloads it."""
    memory_bytes: int = 0
    """Resident memory of the process that holds it; 0 where it is not loaded."""
    disk_bytes: int = 0
    """What its files take here, parts of a download included."""
    arrived_bytes: int = 0
    """Of a download that was stopped: what came so far. Pulling it again goes on from there."""
    engine: Literal["", "here", "warm"] = ""
    """Where it is loaded: in a process of this program, or in the engine that commands share."""
    answers: tuple[str, ...] = ()
    """The tasks that it would be chosen for if nobody named a model: `chat`, `translate en-fr`, `translate any of 202
    languages`."""


def stock(registry: Registry) -> list[Stocked]:
    """Every named model, then those that the settings name or that run. Loads and hashes nothing, starts no engine."""
    infos = {info.ref: info for info in registry.models()}
    settings = registry.settings
    for name in (settings.model, *settings.models.values()):
        with contextlib.suppress(PalaverError):  # whoever asks it will hear what is wrong with the name
            if name:
                found = registry.info(name)
                infos.setdefault(found.ref, found)
    warm = engine_status()
    for model in registry.running():
        infos.setdefault(model.info.ref, model.info)
    for one in warm:
        infos.setdefault(one.info.ref, one.info)
    chosen = dict(_chosen(registry))
    return [stocked(registry, info, warm, chosen.get(info.ref, ())) for info in infos.values()]


def stocked(
    registry: Registry, info: ModelInfo, warm: Sequence[Warm] | None = None, answers: tuple[str, ...] | None = None
) -> Stocked:
    """How one model is doing. What the shared engine holds and what it answers is found out where it is not given."""
    answers = dict(_chosen(registry)).get(info.ref, ()) if answers is None else answers
    size, arrived = _on_disk(info)
    if info.is_baseline:
        return Stocked(info, "baseline", answers=answers)
    running = next((one for one in registry.running() if one.info.ref == info.ref), None)
    if running is not None and registry.is_ready(info):
        resident = getattr(running, "memory_bytes", None)
        held = resident() if callable(resident) else 0
        memory = held if isinstance(held, int) else 0
        if memory:  # else it only reaches what another program holds
            return Stocked(_as_loaded(info, running.info), "loaded", "", "", memory, size, arrived, "here", answers)
    for one in engine_status() if warm is None else warm:
        if one.info.ref == info.ref and one.is_ready:
            return Stocked(
                _as_loaded(info, one.info), "loaded", "", "", one.memory_bytes, size, arrived, "warm", answers
            )
    if info.device == "server":
        return Stocked(info, "server", answers=answers)
    if not registry.is_installed(info) or (info.name.startswith("hf:") and not info.path):
        return Stocked(info, "absent", "", f"palaver models pull {info.name}", 0, size, arrived)
    if (wrong := problem(registry, info)) is not None:
        return Stocked(info, "broken", wrong.message, wrong.fix, 0, size, arrived)
    return Stocked(info, "installed", "", "", 0, size, arrived, "", answers)


def _as_loaded(info: ModelInfo, told: ModelInfo) -> ModelInfo:
    """What is known of a model, with what loading found out: where and in which precision it computes."""
    return replace(info, device=told.device, dtype=told.dtype, digest=told.digest, context=told.context)


def problem(registry: Registry, info: ModelInfo) -> PalaverError | None:
    """Why a model that is here would not load, as far as that can be told without reading its weights."""
    if (wrong := registry.examine(info)) is not None:
        return wrong
    path = Path(info.path) if info.path else None
    if path is None:
        return None
    pull = f"palaver models pull {info.name}" if info.files else "Download it again."
    if not path.exists():
        return PalaverError(f"{path} is gone.", fix=pull, code="model_missing")
    sizes = {file.name: (file.size, file.sha256) for file in info.files}
    folder = path if path.is_dir() else path.parent
    for entry in weights.read_manifest(folder).values():
        sizes.setdefault(entry.name, (entry.size, entry.sha256))
    for file in [path] if path.is_file() else [folder / name for name in sizes]:
        size, sha256 = sizes.get(file.name, (0, ""))
        if not size or not file.is_file():
            continue
        if file.stat().st_size != size:
            told = f"{file} has {file.stat().st_size:,} bytes instead of {size:,}."
            return PalaverError(told, fix=pull, code="model_damaged")
        known = weights.known_digest(file)
        if known and sha256 and known != sha256:
            return PalaverError(f"{file} has changed since it arrived.", fix=pull, code="model_damaged")
    return None


def folder_of(info: ModelInfo) -> Path | None:
    """The folder that a download of the model fills; None for what is not downloaded."""
    folder = paths.model_dir(info.name)
    is_pulled = bool(info.files) or info.name.startswith("hf:")
    return folder if is_pulled and folder.parent == paths.models_dir() else None


def remove_files(info: ModelInfo) -> int:
    """Delete what a download has left of the model, and return how many bytes that frees.

    Raises:
        BadInput: nothing was downloaded.
    """
    folder = folder_of(info)
    if folder is None:
        raise BadInput(f"{info.name} has no downloaded files.", fix="palaver models list")
    if not folder.exists():
        raise BadInput(f"{info.name} is not on this machine.", fix="palaver models list")
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    if folder.is_symlink():
        folder.unlink()
    else:
        shutil.rmtree(folder)
    return size


def _on_disk(info: ModelInfo) -> tuple[int, int]:
    """Bytes of its files here, and of those what a stopped download has left."""
    folder = folder_of(info)
    if folder is not None and folder.is_dir():
        sizes = {path.name: path.stat().st_size for path in folder.rglob("*") if path.is_file()}
        return sum(sizes.values()), sum(size for name, size in sizes.items() if name.endswith(".partial"))
    path = Path(info.path) if info.path and info.device != "server" else None
    with contextlib.suppress(OSError):
        if path is not None and path.is_file():
            return path.stat().st_size, 0
        if path is not None and path.is_dir():
            return sum(one.stat().st_size for one in path.iterdir() if one.is_file()), 0
    return 0, 0


def _chosen(registry: Registry) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Each model that answers some task if nobody names one, with the tasks."""
    tasks: dict[str, list[str]] = {}
    for task in registry.tasks():
        with contextlib.suppress(PalaverError):
            tasks.setdefault(registry.choose(task).ref, []).append(task)
        for pair in sorted({pair for info in registry.models() if task in info.tasks for pair in info.pairs}):
            with contextlib.suppress(PalaverError):
                source, _, target = pair.partition("-")
                found = registry.choose(task, languages=Languages(source, target))
                if found.pairs:
                    tasks.setdefault(found.ref, []).append(f"{task} {pair}")
        for ref, told in _chosen_for_many(registry, task):
            tasks.setdefault(ref, []).append(f"{task} {told}")
    yield from ((ref, tuple(names)) for ref, names in tasks.items())


def _chosen_for_many(registry: Registry, task: str) -> Iterator[tuple[str, str]]:
    """Each model of many languages that answers where no better one knows the pair, with what it speaks."""
    able = [info for info in registry.models() if can(info, task) and registry.is_installed(info)]
    for info in (one for one in able if one.languages and task in one.tasks):
        better = [one for one in able if preference(one, task) < preference(info, task)]
        hub, *others = sorted(info.languages, key=lambda code: (code != "en", code))
        pairs = (pair for other in others for pair in (Languages(hub, other), Languages(other, hub)))
        free = next((pair for pair in pairs if not any(fits(one, pair) for one in better)), None)
        with contextlib.suppress(PalaverError):
            if free is not None and registry.choose(task, languages=free).ref == info.ref:
                yield info.ref, spoken(info)
