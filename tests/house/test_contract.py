"""What plugins rely on changes only on purpose: the public names, and each hook with its signature and docstring."""

from __future__ import annotations

import dataclasses
import inspect

import palaver
from palaver import hookspecs

PUBLIC = [
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
HOOKS = {
    "palaver_backends": "() -> 'Iterable[Backend]'",
    "palaver_commands": "(group: 'click.Group') -> 'None'",
    "palaver_datasets": "() -> 'Iterable[NamedDataset]'",
    "palaver_executors": "() -> 'Iterable[ExecutorKind]'",
    "palaver_exporters": "() -> 'Iterable[Exporter]'",
    "palaver_importers": "() -> 'Iterable[Importer]'",
    "palaver_metrics": "() -> 'Iterable[Metric]'",
    "palaver_models": "() -> 'Iterable[ModelInfo]'",
    "palaver_screens": "() -> 'Iterable[ScreenKind]'",
    "palaver_tasks": "() -> 'Iterable[type[Task]]'",
}


def test_the_public_names_are_these() -> None:
    assert palaver.__all__ == PUBLIC


def test_every_public_name_can_be_had() -> None:
    for name in palaver.__all__:
        assert getattr(palaver, name) is not None


def test_the_version_is_the_one_in_pyproject() -> None:
    import importlib.metadata

    assert palaver.__version__ == importlib.metadata.version("palaver")


def test_the_hooks_are_these_with_these_signatures() -> None:
    found = {
        name: str(inspect.signature(hook)) for name, hook in vars(hookspecs).items() if name.startswith("palaver_")
    }
    assert found == HOOKS
    assert hookspecs.API == 1


def test_every_hook_says_what_it_is_for() -> None:
    for name in HOOKS:
        assert (inspect.getdoc(getattr(hookspecs, name)) or "").endswith(".")


def test_every_public_class_has_a_docstring_of_its_own() -> None:
    for name in palaver.__all__:
        value = getattr(palaver, name)
        if inspect.isclass(value):
            # A dataclass without one gets its signature as docstring, which says nothing.
            assert value.__doc__, name
            assert not (dataclasses.is_dataclass(value) and value.__doc__.startswith(f"{name}(")), name
