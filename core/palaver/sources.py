"""What a data set's name means: a file, turns of history, a data set kept in history, or one that a plugin has."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from palaver.data import Dataset, Wanted, read_dataset
from palaver.errors import BadInput
from palaver.example import Example
from palaver.lines import BadRecord
from palaver.named import NamedDataset, flaw
from palaver.store import GoodOutput, Promoted, Store, Turn, parse_filter
from palaver.task import Task

HISTORY = "history:"
KEPT = "dataset:"


def open_dataset(
    source: str,
    task: Task,
    store: Store,
    *,
    named: Callable[[str], NamedDataset | None] = lambda name: None,
    references: Sequence[str] = (),
    columns: Mapping[str, str] | None = None,
) -> Dataset:
    """The data set that `source` names, for a task; `named` gives those that plugins have.

    Raises:
        BadInput: there is none, or it cannot be read. NotFound: no data set of that name is kept. Exception: what the
            plugin of a named one raised.
    """
    if source.startswith(HISTORY):
        return from_history(source, task, store)
    path = Path(source).expanduser()
    kept = source.removeprefix(KEPT)
    if source.startswith(KEPT) or (not path.exists() and any(one.name == kept for one in store.datasets())):
        return _kept(kept, task, store)
    if path.is_dir():
        raise BadInput(f"{path} is a folder.", fix="name a file in it", code="is_folder")
    found = named(source) if not path.exists() else None
    wanted = Wanted(
        task.inputs,
        columns or {},
        (str(getattr(task, "source", "") or ""), str(getattr(task, "target", "") or "")),
        may_have_no_answer=task.name == "qa",
    )
    if found is not None:
        return read_named(found, wanted)
    return read_dataset(path, wanted, references=[Path(one).expanduser() for one in references])


def read_named(found: NamedDataset, wanted: Wanted) -> Dataset:
    """The data set, read: each of its examples, or why it cannot be used.

    Raises:
        BadInput: it has no examples. Exception: what the plugin raised.
    """
    good: dict[str, Example] = {}
    bad: list[BadRecord] = []
    for number, one in enumerate(found.examples(), 1):
        place = f"{found.name}:{number}"
        if reason := _unusable(one, wanted):
            bad.append(BadRecord(place, reason))
            continue
        example = one if one.id else replace(one, id=str(number))
        if example.id in good:
            bad.append(BadRecord(place, f"its id '{example.id}' is that of another example"))
        else:
            good[example.id] = example
    if not good and not bad:
        raise BadInput(f"The data set {found.name} has no examples.", code="empty_dataset")
    columns = {part: part for part in (*wanted.inputs, "references")}
    return Dataset(found.name, found.name, tuple(good.values()), tuple(bad), columns)


def _unusable(one: object, wanted: Wanted) -> str:
    if reason := flaw(one):
        return reason
    assert isinstance(one, Example)
    missing = [name for name in wanted.inputs if not one.inputs.get(name, "").strip()]
    return f"has no {' and '.join(missing)}" if missing else ""


def from_history(source: str, task: Task, store: Store) -> Dataset:
    """The turns that match `history:FILTER` as examples; those without a reference are bad records."""
    query = parse_filter(source.removeprefix(HISTORY))
    good: dict[str, Example] = {}
    bad: list[BadRecord] = []
    for turn in store.turns(query):
        place = f"history:#{turn.id}"
        example = _example(turn.id, promoted(turn))
        if any(not example.inputs.get(name, "").strip() for name in task.inputs):
            bad.append(BadRecord(place, f"a turn of {turn.task}, which has no {' and '.join(task.inputs)}"))
        elif not turn.references:
            bad.append(BadRecord(place, "no reference"))
        else:
            good[example.id] = example
    if not good and not bad:
        raise BadInput(f"No turn matches '{query.text}'.", fix="palaver history list", code="empty_dataset")
    return Dataset(source, source, tuple(good.values()), tuple(bad), {name: name for name in task.inputs})


def promoted(turn: Turn) -> Promoted:
    """A turn as an example with its provenance."""
    references = tuple(
        # An edited answer is near to the model that gave it; people have no system's name.
        GoodOutput(one.text, one.origin, turn.model if one.origin in ("post-edit", "model") else "")
        for one in turn.references
    )
    return Promoted(str(turn.id), turn.inputs, references, turn.language, turn.id, turn.model)


def _kept(name: str, task: Task, store: Store) -> Dataset:
    found = store.dataset(name)
    examples = tuple(_example(one.turn_id, one) for one in found.items)
    missing = [one for one in examples if any(not one.inputs.get(part, "").strip() for part in task.inputs)]
    bad = tuple(BadRecord(f"{KEPT}{name}:{one.id}", f"has no {' and '.join(task.inputs)}") for one in missing)
    good = tuple(one for one in examples if one not in missing)
    return Dataset(found.name, f"{KEPT}{found.name}", good, bad, {part: part for part in task.inputs})


def _example(turn_id: int | None, one: Promoted) -> Example:
    origins = json.dumps([[ref.origin, ref.author] for ref in one.references])
    metadata = {"origins": origins, "turn": str(turn_id or "")}
    texts = tuple(ref.text for ref in one.references)
    return Example(one.inputs, texts, one.example_id, one.language, metadata=metadata)


def good_outputs(example: Example) -> tuple[GoodOutput, ...]:
    """An example's references with where they came from; from a file they are imported."""
    origins = json.loads(example.metadata.get("origins", "[]"))
    known = {text: tuple(origin) for text, origin in zip(example.references, origins, strict=False)}
    return tuple(GoodOutput(text, *known.get(text, ("imported", ""))) for text in example.references)
