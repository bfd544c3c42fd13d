"""Models of simonw's llm and of all its plugins: `llm:MODEL`, in a process of their own."""

from __future__ import annotations

from palaver import Backend, hookimpl
from palaver_llm.backend import Llm


@hookimpl
def palaver_backends() -> list[Backend]:
    return [Llm()]
