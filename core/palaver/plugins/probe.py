"""Import plugins that nobody has looked at yet where they can do no harm: in a process with a deadline."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import asdict

from palaver import frames
from palaver.plugins.describe import describe
from palaver.plugins.found import Found, stamp
from palaver.plugins.index import Known, remember
from palaver.plugins.isolation import isolation_of
from palaver.plugins.told import Told
from palaver.plugins.watched import Ended, reports

SECONDS = 10.0
"""Deadline for the import of one plugin; $PALAVER_PLUGIN_SECONDS is another."""


def probe(plugins: Sequence[Found]) -> dict[str, Known]:
    """What importing each of these does, by name; the index remembers it.

    They are imported one after the other in one process. The one that ends or hangs it is known by name, and the rest
    go on in the next.
    """
    waiting = {one.name: one for one in plugins if not one.fault}
    learnt: dict[str, Known] = {}
    for one in list(waiting.values()):
        if (isolation := isolation_of(one)).level == "venv":  # another Python imports it
            from palaver.plugins.apart import look_at  # subprocess: paid by whoever has such a plugin

            learnt[one.name] = look_at(waiting.pop(one.name), isolation)
    while waiting:
        before = len(waiting)
        current = ""
        try:
            for line in reports(__name__, [asdict(one) for one in waiting.values()], seconds=import_seconds()):
                current = str(line["name"])
                if "adds" in line:
                    learnt[current] = _known(waiting.pop(current), line)
                    current = ""
        except Ended as end:
            if current:
                one = waiting.pop(current)
                learnt[current] = Known(
                    one.module, one.version, stamp(one), broken=f"importing it: {end}", is_fatal=True
                )
        if len(waiting) == before:  # the process did not even begin: nothing is learnt that way
            break
    remember(learnt)
    return learnt


def _known(found: Found, line: dict[str, object]) -> Known:
    adds, seconds = line["adds"], line["seconds"]
    assert isinstance(adds, list)
    assert isinstance(seconds, float)
    broken = str(line["broken"])
    return Known(
        found.module, found.version, stamp(found), tuple(map(str, adds)), broken, seconds=seconds, told=line["told"]
    )


def import_seconds() -> float:
    """How long the import of one plugin may take."""
    try:
        return float(os.environ.get("PALAVER_PLUGIN_SECONDS") or SECONDS)
    except ValueError:
        return SECONDS


def report(given: list[dict[str, str]], say: Callable[[dict[str, object]], None]) -> None:
    """Runs in the process: import each, and say before and after which it is."""
    from palaver.plugins.loader import Importer
    from palaver.plugins.telling import told_of

    importer = Importer()
    for one in given:
        found = Found(**one)
        say({"name": found.name})
        made = importer.bring(found)
        told, reason = None, made.reason
        if made.module is not None:
            try:
                told = frames.encode(told_of(made.module, made.import_seconds))
                frames.decode(Told, told)
            except Exception as error:  # a plugin may raise anything at all, and give what is no value
                told, reason = None, describe(error)
        say({"name": found.name, "adds": made.adds, "broken": reason, "seconds": made.import_seconds, "told": told})
