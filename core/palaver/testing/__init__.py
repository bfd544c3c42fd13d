"""What a plugin is tested with: a scripted model, hostile texts, and the contract that `palaver plugins check` runs.

In a plugin's `tests/conftest.py`, `pytest_plugins = ["palaver.testing.fixtures"]` gives its tests the fixtures.
"""

from palaver.testing.hostile import HOSTILE, SCRIPTS
from palaver.testing.scripted import Ask, Scripted, ScriptedRegistry, says

__all__ = ["HOSTILE", "SCRIPTS", "Ask", "Scripted", "ScriptedRegistry", "says"]
