"""From what a user asks for to evaluations that can begin, and back from a run to its data set."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from palaver.choice import languages_of_first
from palaver.data import Dataset
from palaver.decoding import DECODING
from palaver.errors import NotFound, UsageError
from palaver.model import ModelInfo
from palaver.registry import Registry
from palaver.runs import Plan, plan_of
from palaver.sources import open_dataset
from palaver.store import Store
from palaver.task import Task

MANY = 32
"""Examples from which on another engine may answer: it takes seconds to load."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What is to be evaluated, in the words of whoever asks."""

    task: str
    dataset: str
    models: tuple[str, ...] = ()
    """Empty means the one that would be chosen for the task."""
    options: Mapping[str, str] = field(default_factory=dict)
    """The task's options and decoding parameters, as text."""
    references: tuple[str, ...] = ()
    """Files with references beside the data set, line by line."""
    columns: Mapping[str, str] = field(default_factory=dict)
    metrics: tuple[str, ...] = ()
    limit: int | None = None
    repeat: int = 1


def make_plans(registry: Registry, store: Store, wanted: Wanted) -> tuple[Dataset, list[Plan]]:
    """The data set, read, and one plan a model; every typo is an error before anything is asked.

    Raises:
        UsageError: an option is missing, unknown or no such value. NotFound: no such task, model or metric.
        NeedsDownload: a model is not on this machine. BadInput: the data set cannot be read.
    """
    given = {key.replace("-", "_"): value for key, value in wanted.options.items()}
    config = {key: value for key, value in given.items() if key in DECODING}
    task = _task(registry, wanted.task, {key: value for key, value in given.items() if key not in DECODING})
    registry.config(task, config)
    registry.metrics_for(task.name, True, wanted.metrics)
    for one in wanted.models:
        registry.choose(task.name, one)
    dataset = open_dataset(
        wanted.dataset, task, store, named=registry.dataset, references=wanted.references, columns=wanted.columns
    )
    languages = languages_of_first(task, dataset.examples)
    count = len(dataset.examples[: wanted.limit]) * wanted.repeat
    names = [
        engine_for(registry, one, registry.choose(task.name, one, languages=languages), count).name
        for one in (wanted.models or ("",))
    ]
    plan = Plan(
        task=task.name,
        options=task.options(),
        model="",
        config=config,
        dataset=str(Path(dataset.source).absolute()) if Path(dataset.source).exists() else dataset.source,
        name=dataset.name,
        digest=dataset.digest,
        references=tuple(str(Path(one).absolute()) for one in dataset.references),
        columns=wanted.columns,
        metrics=wanted.metrics,
        limit=wanted.limit,
        repeat=wanted.repeat,
        n=len(dataset.examples[: wanted.limit]),
        bad=len(dataset.bad),
    )
    return dataset, [dataclasses.replace(plan, model=name) for name in dict.fromkeys(names)]


def engine_for(registry: Registry, wanted: str, info: ModelInfo, count: int) -> ModelInfo:
    """The model with the fastest engine for so many examples, unless the wish names one: `llamacpp:smollm2`."""
    return info if count < MANY or wanted == info.ref else registry.for_batches(info)


def told(registry: Registry, plan: Plan) -> str:
    """Which engine answers, where it is not the model's own."""
    base, _, form = plan.model.rpartition("@")
    if not base:
        return ""
    info, own = registry.info(plan.model), registry.info(base)
    if info.backend == own.backend:
        return ""
    return (
        f"{own.name} is computed by {info.backend} in {form}, the faster engine for {MANY} examples or more; "
        f"-m {own.ref} keeps {own.backend}"
    )


def reopen(registry: Registry, store: Store, run: int) -> Dataset:
    """The data set that a run was begun with, read again.

    Raises:
        NotFound: no such run. BadInput: it is no evaluation, or the data set cannot be read any more.
    """
    try:
        plan = plan_of(store.run(run))
    except NotFound as error:
        raise NotFound(error.message, fix="palaver compare", code=error.code) from error
    task = registry.task(plan.task)(**plan.options)
    named = registry.dataset
    return open_dataset(plan.dataset, task, store, named=named, references=plan.references, columns=plan.columns)


def _task(registry: Registry, name: str, options: Mapping[str, str]) -> Task:
    task = registry.task(name)
    missing = [one.name for one in task.schema() if one.default is None and one.name not in options]
    if missing:
        raise UsageError(f"{name} needs {' and '.join(missing)}.", fix=f"-o {missing[0]}=...", code="missing_option")
    return task.from_strings(options)
