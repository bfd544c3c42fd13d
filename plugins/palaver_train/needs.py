"""Packages that training needs and the core does not."""

from __future__ import annotations

from importlib.util import find_spec

from palaver import ModelFailed


def require(*packages: str) -> None:
    """
    Raises:
        ModelFailed: one of them is not installed.
    """
    for one in packages:
        if find_spec(one) is None:
            raise ModelFailed(
                f"This needs {one}, which is not installed.", fix="pip install 'palaver[train]'", code="no_torch"
            )
