"""The public API: all that a plugin may import. Names are loaded on use, so that `import palaver` costs nothing."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from palaver.version import __version__

if TYPE_CHECKING:
    from palaver.errors import (
        BadInput,
        ContextExceeded,
        ModelFailed,
        NeedsDownload,
        NotFound,
        PalaverError,
        PluginFailed,
        StoreError,
        UsageError,
    )
    from palaver.example import Example
    from palaver.executor import answer_batch
    from palaver.hookspecs import API, hookimpl
    from palaver.interchange import Exporter, ImportedTurn, Importer
    from palaver.job import Asked, Executor, ExecutorKind, Job, Prediction
    from palaver.languages import guess_language, stop_words
    from palaver.lines import BadRecord
    from palaver.metric import Metric, Score, Span
    from palaver.model import (
        Backend,
        Delta,
        FinishReason,
        Generation,
        GenerationConfig,
        Message,
        Model,
        ModelFile,
        ModelInfo,
        Part,
        Request,
    )
    from palaver.named import NamedDataset
    from palaver.passages import split_text
    from palaver.screen import Desk, ScreenKind
    from palaver.task import Chat, Task, task
    from palaver.terminal import safe_line, safe_text

_HOME = {
    "palaver.errors": (
        "BadInput", "ContextExceeded", "ModelFailed", "NeedsDownload", "NotFound", "PalaverError", "PluginFailed",
        "StoreError", "UsageError",
    ),
    "palaver.example": ("Example",),
    "palaver.executor": ("answer_batch",),
    "palaver.hookspecs": ("API", "hookimpl"),
    "palaver.interchange": ("Exporter", "ImportedTurn", "Importer"),
    "palaver.lines": ("BadRecord",),
    "palaver.job": ("Asked", "Executor", "ExecutorKind", "Job", "Prediction"),
    "palaver.languages": ("guess_language", "stop_words"),
    "palaver.metric": ("Metric", "Score", "Span"),
    "palaver.model": (
        "Backend", "Delta", "FinishReason", "Generation", "GenerationConfig", "Message", "Model", "ModelFile",
        "ModelInfo", "Part", "Request",
    ),
    "palaver.named": ("NamedDataset",),
    "palaver.passages": ("split_text",),
    "palaver.screen": ("Desk", "ScreenKind"),
    "palaver.task": ("Chat", "Task", "task"),
    "palaver.terminal": ("safe_line", "safe_text"),
}  # fmt: skip
_MODULE = {name: module for module, names in _HOME.items() for name in names}

__all__ = [
    "API",
    "Asked",
    "Backend",
    "BadInput",
    "BadRecord",
    "Chat",
    "ContextExceeded",
    "Delta",
    "Desk",
    "Example",
    "Executor",
    "ExecutorKind",
    "Exporter",
    "FinishReason",
    "Generation",
    "GenerationConfig",
    "ImportedTurn",
    "Importer",
    "Job",
    "Message",
    "Metric",
    "Model",
    "ModelFailed",
    "ModelFile",
    "ModelInfo",
    "NamedDataset",
    "NeedsDownload",
    "NotFound",
    "PalaverError",
    "Part",
    "PluginFailed",
    "Prediction",
    "Request",
    "Score",
    "ScreenKind",
    "Span",
    "StoreError",
    "Task",
    "UsageError",
    "__version__",
    "answer_batch",
    "guess_language",
    "hookimpl",
    "safe_line",
    "safe_text",
    "split_text",
    "stop_words",
    "task",
]


def __getattr__(name: str) -> object:
    if name not in _MODULE:
        raise AttributeError(f"module 'palaver' has no attribute {name!r}")
    return getattr(import_module(_MODULE[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
