"""Decoding parameters: which there are, and what of a user's text is one."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

from palaver.errors import UsageError
from palaver.model import GenerationConfig
from palaver.task import Task

DECODING = tuple(field.name for field in dataclasses.fields(GenerationConfig) if field.name != "stop")
"""Names that `-o KEY=VALUE` takes for every task, beside the task's own options."""


def decoding(task: Task, given: Mapping[str, str]) -> GenerationConfig:
    """The task's decoding parameters with the given ones above.

    Raises:
        UsageError: an unknown parameter, or a value out of its range.
    """
    values: dict[str, float | int] = {}
    for key, text in given.items():
        if key not in DECODING:
            raise UsageError(f"There is no decoding parameter '{key}'. There are: {', '.join(DECODING)}.")
        whole = key in ("max_new_tokens", "top_k", "seed")
        try:
            values[key] = int(text) if whole else float(text)
        except ValueError as error:
            kind = "a whole number" if whole else "a number"
            raise UsageError(f"{key} is {kind}, not '{text}'.") from error
    config = dataclasses.replace(task.defaults, **values)  # type: ignore[arg-type]
    for ok, sentence in (
        (1 <= config.max_new_tokens <= 1_000_000, "max_new_tokens is 1 or more"),
        (0 <= config.temperature <= 10, "temperature is between 0 and 10"),
        (0 < config.top_p <= 1, "top_p is above 0 and at most 1"),
        (config.top_k >= 0, "top_k is 0 (all tokens) or more"),
        (0 <= config.seed < 2**32, "seed is between 0 and 4294967295"),
    ):
        if not ok:
            raise UsageError(f"{sentence}.")
    return config
