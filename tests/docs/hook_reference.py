"""Write docs/hooks.md from the contract itself: `python -m tests.docs.hook_reference > docs/hooks.md`."""

from __future__ import annotations

import inspect
from collections.abc import Iterator

from palaver import (
    Backend,
    Desk,
    Executor,
    ExecutorKind,
    Exporter,
    Importer,
    Metric,
    Model,
    NamedDataset,
    ScreenKind,
    hookspecs,
)

HEAD = """# Hook reference

Written from [hookspecs.py](../core/palaver/hookspecs.py) and the protocols beside it; a test holds this page to them.
How to begin is in [Your first plugin](first-plugin.md), what to mind in [Plugins](plugins.md).

A hook is a function of the plugin's module, marked with `palaver.hookimpl`. It returns what it provides. Hooks are
add-only: a new one makes no plugin wrong, a changed one is a new `PALAVER_API`. This is API """


def page() -> str:
    """The whole page."""
    return "\n".join([HEAD + f"{hookspecs.API}.", "", *_hooks(), *_protocols()])


def _hooks() -> Iterator[str]:
    for name, hook in vars(hookspecs).items():
        if name.startswith("palaver_"):
            yield from (f"## {name}", "", "```text", f"{name}{_signature(hook)}", "```", "", _text(hook), "")


def _protocols() -> Iterator[str]:
    for protocol in (
        Backend,
        Model,
        Metric,
        NamedDataset,
        ExecutorKind,
        Executor,
        ScreenKind,
        Desk,
        Importer,
        Exporter,
    ):
        yield from (f"## {protocol.__name__}", "", _text(protocol), "")
        helps = _field_helps(protocol)
        for name, kind in inspect.get_annotations(protocol).items():
            yield f"- `{name}: {kind}`" + (f" — {helps[name]}" if name in helps else "")
        for name, member in vars(protocol).items():
            if isinstance(member, property):
                yield f"- `{name}: {inspect.get_annotations(member.fget)['return']}`"
        for name, member in vars(protocol).items():
            if inspect.isfunction(member) and not name.startswith("_"):
                yield from ("", f"`{name}{_signature(member)}`", "", _text(member))
        yield ""


def _signature(function: object) -> str:
    assert callable(function)
    return str(inspect.signature(function)).replace("'", "").replace("(self, ", "(").replace("(self)", "()")


def _text(thing: object) -> str:
    return inspect.getdoc(thing) or ""


def _field_helps(protocol: type) -> dict[str, str]:
    import ast

    (body,) = ast.parse(inspect.getsource(protocol)).body
    assert isinstance(body, ast.ClassDef)
    helps: dict[str, str] = {}
    for field, below in zip(body.body, body.body[1:], strict=False):
        if isinstance(field, ast.AnnAssign) and isinstance(below, ast.Expr) and isinstance(below.value, ast.Constant):
            helps[ast.unparse(field.target)] = str(below.value.value)
    return helps


if __name__ == "__main__":
    print(page(), end="")
