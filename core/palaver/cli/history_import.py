"""`palaver history import` and the formats that plugins add to `export`: turns of other programs, with where from."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TextIO

from palaver.cli.program import Program
from palaver.errors import BadInput, PalaverError, PluginFailed, not_found
from palaver.interchange import Exporter, ImportedTurn, Importer
from palaver.lines import BadRecord
from palaver.model import Generation
from palaver.plugins import Plugin, describe
from palaver.store import Answered, GoodOutput, Store, Turn, TurnStart, turn_record

SHOWN_BAD = 10
AT_ONCE = 500
"""Turns that share a commit."""


def import_files(
    program: Program, form: str, files: Sequence[Path], *, task: str, model: str, is_dry: bool, is_again: bool
) -> int:
    """Read turns of another program into history; the exit code.

    Raises:
        NotFound: no such format. BadInput: the files cannot be read, hold no turn, or were imported before.
    """
    importer, plugin = _provided(program, "palaver_importers", form)
    turns, bad = _read(program, importer, files)
    for one in bad[:SHOWN_BAD]:
        program.output.warn(f"{one.place}: {one.reason}")
    if len(bad) > SHOWN_BAD:
        program.output.warn(f"and {len(bad) - SHOWN_BAD:,} more that are no turns")
    if not turns:
        raise BadInput("There is no turn in it.", fix="palaver history import --help", code="empty_dataset")
    digest = _digest(files)
    names = " ".join(one.name for one in files)
    with program.history() as store:
        before = next((run for run in store.runs(limit=10_000) if run.plan.get("imported") == digest), None)
        if before is not None and not is_again:
            raise BadInput(f"{names} was imported before, as run {before.id}.", fix="--again imports it twice")
        if is_dry:
            program.output.talk(f"{len(turns):,} turns, {len(bad):,} records that are none; nothing was written")
            return 4 if bad else 0
        ids = _write(store, turns, plugin, {"imported": digest, "format": form, "files": names}, task, model)
        scored = _score(program, store, ids) if any(one.references for one in turns) else 0
    said = f", {scored:,} of them scored" if scored else ""
    program.output.talk(f"{len(ids):,} turns imported{said}; find them with: palaver history list tag:imported")
    return 4 if bad else 0


def export_foreign(program: Program, form: str, turns: Iterable[Turn], out: TextIO) -> int:
    """Write turns by a plugin's exporter; how many.

    Raises:
        NotFound: no such format. PluginFailed: it raised.
    """
    exporter, _ = _provided(program, "palaver_exporters", form)
    assert isinstance(exporter, Exporter)
    try:
        return exporter.export((turn_record(one) for one in turns), out)
    except (PalaverError, OSError):
        raise
    except Exception as bug:  # a plugin may raise anything at all
        program.registry.plugins.blame(exporter, bug)
        raise PluginFailed(f"The format '{form}' broke: {describe(bug)}.", fix="palaver plugins list") from bug


def _provided(program: Program, hook: str, name: str) -> tuple[Importer | Exporter, Plugin]:
    program.registry.tasks()  # imports the plugins
    found = {one.name: (one, plugin) for plugin, ones in program.registry.plugins.call(hook) for one in ones}
    if name not in found:
        command = "import" if hook == "palaver_importers" else "export"
        raise not_found("format", name, found, fix=f"palaver history {command} --help")
    return found[name]


def _read(
    program: Program, importer: Importer | Exporter, files: Sequence[Path]
) -> tuple[list[ImportedTurn], list[BadRecord]]:
    assert isinstance(importer, Importer)
    turns: list[ImportedTurn] = []
    bad: list[BadRecord] = []
    try:
        for one in importer.read(files):
            if isinstance(one, ImportedTurn):
                turns.append(one)
            else:
                bad.append(one)
    except FileNotFoundError as error:
        raise BadInput(f"There is no file {error.filename}.", fix="check the name", code="no_file") from error
    except (PalaverError, OSError):
        raise
    except Exception as bug:  # a plugin may raise anything at all
        program.registry.plugins.blame(importer, bug)
        raise PluginFailed(f"The format '{importer.name}' broke: {describe(bug)}.", fix="palaver plugins list") from bug
    return turns, bad


def _write(
    store: Store, turns: Sequence[ImportedTurn], plugin: Plugin, plan: Mapping[str, object], task: str, model: str
) -> list[int]:
    runs: dict[str, int] = {}
    ids: list[int] = []
    waiting: list[Answered] = []
    for one in turns:
        if one.conversation not in runs:
            title = one.title or f"imported · {plan['format']} · {plan['files']}"
            runs[one.conversation] = store.begin_run("chat", title, plan=plan)
        waiting.append(_answered(one, runs[one.conversation], plugin, str(plan["format"]), task, model))
        if len(waiting) == AT_ONCE:
            ids += [number for number in store.add_answers(waiting).result() if number is not None]
            waiting = []
    ids += [number for number in store.add_answers(waiting).result() if number is not None]
    for number in ids:
        store.tag(number, "imported")
    return ids


def _answered(one: ImportedTurn, run: int, plugin: Plugin, form: str, task: str, model: str) -> Answered:
    """The row of a turn; its note says where it is from and what is not known of it."""
    unknown = ["weights", "decoding parameters", "how the answer ended"]
    unknown += [] if one.model or model else ["model"]
    unknown += [] if one.created is not None else ["time"]
    unknown += [] if one.prompt else ["messages as sent"]
    unknown += [] if one.seconds is not None else ["duration"]
    start = TurnStart(
        run_id=run,
        task=task or one.task,
        model=one.model or model,
        model_ref="",
        inputs=dict(one.inputs),
        input_text=(list(one.inputs.values()) or [""])[-1],
        options=dict(one.options),
        prompt=one.prompt,
        config=None,
        backend="imported",
        plugin=plugin.found.name,
        plugin_version=plugin.found.version,
        language=one.language,
    )
    seconds = math.nan if one.seconds is None else one.seconds  # what is not a number is kept as not known
    generation = Generation(one.output, "stop", one.prompt_tokens, one.output_tokens, None, seconds)
    references = tuple(GoodOutput(text, "imported") for text in one.references)
    note = f"imported from {form}, {one.place}; not known: {', '.join(unknown)}"
    return Answered(
        start, "complete", one.output, one.output, generation, references=references, created=one.created,
        ended_how=False, note=note,
    )  # fmt: skip


def _score(program: Program, store: Store, ids: Iterable[int]) -> int:
    from palaver.session import Session

    session = Session(program.registry, store)
    return sum(bool(session.score(number).scores) for number in ids if store.turn(number).references)


def _digest(files: Sequence[Path]) -> str:
    found = hashlib.sha256()
    for one in files:
        found.update(hashlib.sha256(one.read_bytes()).digest())
    return found.hexdigest()[:16]
