"""What samples of a run have copied from its training text, with an index that is made once, in a thread."""

from __future__ import annotations

import gzip
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from palaver.verbatim import Unit, Verbatim
from palaver_tui.training import Values, settings_of

LARGEST = 10_000_000
"""Characters of a training text that are searched; what comes after them is not."""


class Copied:
    """Marks what stands in a run's training text. Its calls take time: from a thread."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._index: Verbatim | None = None
        self._known: dict[str, Sequence[tuple[int, int]]] = {}

    def spans(self, texts: Iterable[str]) -> Mapping[str, Sequence[tuple[int, int]]] | None:
        """The copied stretches of each text; None where the training text cannot be read."""
        if self._index is None:
            self._index = _index(settings_of(self._folder), self._folder.parent)
        if self._index is None:
            return None
        self._known = {one: self._known[one] if one in self._known else self._index.spans(one) for one in texts}
        return self._known


def _index(settings: Values, beside: Path) -> Verbatim | None:
    data, tokens = settings.get("data"), settings.get("tokens")
    if not isinstance(data, dict) or not isinstance(tokens, dict):
        return None
    name = data.get("text") or data.get("target") or data.get("source")
    if not name:
        return None
    path = Path(str(name)).expanduser()
    if not path.is_absolute() and not path.exists():  # the run was begun in another folder, often the one it is in
        path = beside / path
    try:
        with gzip.open(path, "rt", encoding="utf-8") if path.suffix == ".gz" else path.open(encoding="utf-8") as file:
            text = file.read(LARGEST)
    except (OSError, UnicodeDecodeError, EOFError):
        return None
    unit: Unit = "characters" if tokens.get("tokenizer") == "char" else "words"
    form = data.get("normalize")
    text = text if form == "none" else unicodedata.normalize("NFKC" if form == "nfkc" else "NFC", text)
    return Verbatim(text.lower() if data.get("lowercase") else text, unit)
