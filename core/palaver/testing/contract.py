"""Check a plugin against the contract, in processes of their own: it may be broken in any way."""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict
from importlib import import_module
from pathlib import Path
from typing import Any

from palaver.plugins import Found
from palaver.plugins.probe import import_seconds
from palaver.plugins.watched import Ended, reports
from palaver.testing.check import Check, Status, claim

IMPORT_SECONDS = 0.25
"""Of the processor's time for the import of a plugin, beside what Palaver has imported itself."""
HEAVY = frozenset({"torch", "tensorflow", "jax", "transformers", "numpy", "pandas", "scipy", "sklearn", "textual"})
"""Imported by the function that needs them, not by the module."""
PATIENCE = 60.0
"""Seconds for one check."""
MARGIN = 2.0
"""Seconds for what is imported before a plugin is."""

Say = Callable[[dict[str, object]], None]


def check_plugin(found: Found, *, project: Path | None = None) -> Iterator[Check]:
    """What each check of the contract says of an installed plugin, or of the one in a project's folder."""
    given = {"found": asdict(found), "path": str(source_folder(project, found)) if project else found.place}
    imported = list(_watched("import", {**given, "part": "import"}, seconds=MARGIN + import_seconds()))
    yield from imported
    if imported[0].status == "passed" or imported[0].subject != "import":  # else it ended or hung its process
        yield from _watched("contract", {**given, "part": "contract"}, seconds=PATIENCE)


def source_folder(project: Path, found: Found) -> Path:
    """Where in a project its module is: in `src`, or beside the pyproject."""
    top = found.module.partition(".")[0]
    return next((one for one in (project / "src", project) if list(one.glob(f"{top}*"))), project)


def _watched(part: str, given: dict[str, object], *, seconds: float) -> Iterator[Check]:
    current = part
    try:
        for line in reports(__name__, given, seconds=seconds):
            if "begin" in line:
                current = str(line["begin"])
            else:
                yield _heard(line)
    except Ended as end:
        yield Check("import" if current == "import" else "purity", current, "failed", str(end))


def _heard(line: Mapping[str, object]) -> Check:
    status: Status = {"passed": "passed", "failed": "failed"}.get(str(line["status"]), "skipped")  # type: ignore[assignment]
    return Check(str(line["group"]), str(line["subject"]), status, str(line["message"]))


# What follows runs in the process that may be ended.


def report(given: dict[str, Any], say: Say) -> None:
    """One part of the contract, check by check."""
    found = Found(**given["found"])
    if given["path"]:
        sys.path.insert(0, given["path"])
    with tempfile.TemporaryDirectory() as home:
        os.environ["PALAVER_HOME"] = home  # nothing of the user's is read or written
        say({"begin": given["part"]})
        for check in _import(found) if given["part"] == "import" else _contract(found, say):
            say(asdict(check))


def _import(found: Found) -> Iterator[Check]:
    """What importing the module costs and does; Palaver's own modules are there already."""
    for name in ("session", "registry", "testing.tasks", "testing.metrics", "testing.backends", "testing.places"):
        import_module(f"palaver.{name}")
    import palaver

    for name in palaver.__all__:
        getattr(palaver, name)
    import click  # noqa: F401 - every plugin with a command has it already

    contacted: list[str] = []
    sys.addaudithook(lambda event, arguments: contacted.append(event) if event in _NETWORK else None)
    before = set(sys.modules)
    with tempfile.TemporaryFile() as noise:
        os.dup2(noise.fileno(), 1)
        start = time.process_time()
        problem = next(_failure(found), "")
        seconds = time.process_time() - start
        if sys.stdout is not None:
            sys.stdout.flush()
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        printed = os.fstat(noise.fileno()).st_size
    yield Check("import", "it can be imported", "failed" if problem else "passed", problem)
    heavy = sorted(HEAVY & {name.partition(".")[0] for name in set(sys.modules) - before})
    for subject, is_bad, message in (
        (
            f"it takes {1000 * IMPORT_SECONDS:.0f} ms at most",
            seconds > IMPORT_SECONDS,
            f"{1000 * seconds:.0f} ms: import inside the function that needs it",
        ),
        ("nothing heavy", bool(heavy), f"{', '.join(heavy)}: import inside the function that needs it"),
        ("no network", bool(contacted), f"it used {', '.join(sorted(set(contacted)))}"),
        ("no output", printed > 0, f"it printed {printed} bytes"),
    ):
        yield Check("import", subject, "failed" if is_bad else "passed", message if is_bad else "")


_NETWORK = {"socket.connect", "socket.getaddrinfo", "socket.gethostbyname", "socket.sendto", "urllib.Request"}


def _failure(found: Found) -> Iterator[str]:
    try:
        import_module(found.module)
    except BaseException as error:  # a plugin may raise anything at all, SystemExit included
        yield f"{type(error).__name__}: {error}"


def _contract(found: Found, say: Say) -> Iterator[Check]:
    from palaver.plugins import Plugins, find
    from palaver.registry import Registry
    from palaver.testing.backends import check_backend
    from palaver.testing.metrics import check_metric
    from palaver.testing.places import check_dataset, check_executor, check_screen
    from palaver.testing.tasks import check_task

    plugins = Plugins([found], is_apart=False)
    plugins.load()
    plugin = next(iter(plugins))
    yield claim("metadata", "it fits this Palaver", lambda: iter([plugin.reason] if plugin.health != "ok" else []))
    yield claim("metadata", "it adds something", lambda: iter([] if plugin.adds else ["it provides nothing"]))
    provided = {hook: [one for _, ones in plugins.call(hook) for one in ones] for hook in _HOOKS}
    for task in provided["palaver_tasks"]:
        say({"begin": f"task {task.name}"})
        yield from check_task(task, found)
    beside = [one for one in find() if one.is_built_in and one.name != found.name]
    tasks = Registry(Plugins([*beside, found], is_apart=False)).tasks()
    for backend in provided["palaver_backends"]:
        say({"begin": f"backend {backend.name}"})
        yield from check_backend(backend, provided["palaver_models"], tasks)
    for metric in provided["palaver_metrics"]:
        say({"begin": f"metric {metric.name}"})
        yield from check_metric(metric)
    for dataset in provided["palaver_datasets"]:
        say({"begin": f"dataset {dataset.name}"})
        yield from check_dataset(dataset, tasks)
    for screen in provided["palaver_screens"]:
        say({"begin": f"screen {screen.name}"})
        yield from check_screen(screen)
    for kind in provided["palaver_executors"]:
        say({"begin": f"executor {kind.name}"})
        yield from check_executor(kind)


_HOOKS = (
    "palaver_tasks", "palaver_models", "palaver_backends", "palaver_metrics", "palaver_datasets", "palaver_screens",
    "palaver_executors",
)  # fmt: skip
