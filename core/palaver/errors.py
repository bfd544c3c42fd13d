"""What can go wrong, in words a user can act on.

    PalaverError              1   something failed; base of all below
    ├── UsageError            2   the command line or an option is wrong
    ├── NotFound              3   no such task, model, plugin, metric or turn
    ├── BadInput              4   the text, file or data row cannot be used
    │   └── ContextExceeded   4   the input is longer than the model's window
    ├── ModelFailed           1   the model could not load or stopped half-way
    ├── PluginFailed          1   a plugin raised, or does not fit this Palaver
    ├── StoreError            1   the history file cannot be used
    └── NeedsDownload         7   the model's files are not on this machine yet

The number is the exit code of `palaver`. Every error is a whole sentence; `fix` is the one command or change that
helps.
"""

from __future__ import annotations

from collections.abc import Iterable


class PalaverError(Exception):
    """An error meant for the user: a sentence, and where there is one, its remedy."""

    exit_code = 1
    code = "failed"

    def __init__(self, message: str, *, fix: str = "", code: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.fix = fix
        """A command line to run, or a short imperative sentence."""
        if code:
            self.code = code

    def __str__(self) -> str:
        return self.message


class UsageError(PalaverError):
    """The command line, an option or its value is wrong."""

    exit_code = 2
    code = "usage"


class NotFound(PalaverError):
    """A name that nothing installed answers to."""

    exit_code = 3
    code = "not_found"


class BadInput(PalaverError):
    """The text, file or data row cannot be used as it is."""

    exit_code = 4
    code = "bad_input"


class ContextExceeded(BadInput):
    """The input is longer than the model's context window."""

    code = "context_exceeded"


class ModelFailed(PalaverError):
    """The model could not be loaded, or stopped half-way."""

    code = "model_failed"


class PluginFailed(PalaverError):
    """A plugin raised, or does not fit this version of Palaver."""

    code = "plugin_failed"


class StoreError(PalaverError):
    """The history file cannot be read or written."""

    code = "history_failed"


class NeedsDownload(PalaverError):
    """The model is known, its files are not on this machine."""

    exit_code = 7
    code = "needs_download"


def in_words(error: BaseException) -> str:
    """What an error says, for the middle of a sentence: with its class before it, unless it speaks for itself."""
    if isinstance(error, PalaverError) or getattr(error, "is_described", False):
        return str(error).rstrip(".")
    return f"{type(error).__name__}: {error}"


def not_found(kind: str, name: str, known: Iterable[str], *, fix: str = "") -> NotFound:
    """The NotFound for `name`, with the nearest known names as a question.

    The result is returned, not raised, so that the caller's `raise` stays visible.
    """
    names = sorted(set(known))
    import difflib  # paid by whoever mistypes

    near = difflib.get_close_matches(name, names, n=3, cutoff=0.55)
    if near:
        hint = " Did you mean " + " or ".join(f"'{one}'" for one in near) + "?"
    elif names:
        hint = " There are: " + ", ".join(names) + "."
    else:
        hint = ""
    return NotFound(f"There is no {kind} named '{name}'.{hint}", fix=fix, code=f"{kind}_not_found")
