"""Read a GGUF file whole: what it says of itself, its vocabulary, and where its tensors lie.

Format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md, versions 2 and 3, little-endian. Nothing here knows
models; the tensors stay in the file, mapped.
"""

from __future__ import annotations

import mmap
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

ARCHITECTURES = frozenset({"llama", "qwen2"})
"""Models that `gguf_llama` makes."""
_SCALARS = {0: "<B", 1: "<b", 2: "<H", 3: "<h", 4: "<I", 5: "<i", 6: "<f", 7: "<?", 10: "<Q", 11: "<q", 12: "<d"}
_STRING, _ARRAY = 8, 9
_MOST = 2**24
"""Items of anything, bytes of a string: more is damage."""


class NotGGUF(Exception):
    """The file is not GGUF, or is damaged: why, as the end of a sentence."""


@dataclass(frozen=True, slots=True)
class Tensor:
    """A tensor in the file."""

    kind: int
    """ggml's number of its type: 3 is Q4_1."""
    shape: tuple[int, ...]
    """Rows first: (N, K) for a matrix that maps K values to N."""
    offset: int
    """Of its first byte in the file."""


@dataclass(frozen=True, slots=True)
class File:
    """A GGUF file that is open."""

    values: Mapping[str, object]
    tensors: Mapping[str, Tensor]
    data: mmap.mmap

    def text(self, key: str) -> str:
        """A value that is a text; empty where there is none."""
        found = self.values.get(key)
        return found if isinstance(found, str) else ""

    def number(self, key: str, default: float | None = None) -> float:
        """A value that is a number.

        Raises:
            NotGGUF: there is none, and no default.
        """
        found = self.values.get(key, default)
        if isinstance(found, bool) or not isinstance(found, int | float):
            raise NotGGUF(f"it does not say {key}")
        return found

    def items(self, key: str) -> list[object]:
        """A value that is a list; empty where there is none."""
        found = self.values.get(key)
        return found if isinstance(found, list) else []


def read(path: Path) -> File:
    """The file at `path`, mapped.

    Raises:
        NotGGUF: it is no GGUF file, or ends too early.
    """
    with path.open("rb") as file:
        try:
            data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY)  # a copy only of what is written: nothing
        except ValueError as error:
            raise NotGGUF("it is empty") from error
    if data[:4] != b"GGUF":
        raise NotGGUF("it does not begin like a GGUF file")
    try:
        return _Reader(data).file()
    except (struct.error, OverflowError, MemoryError) as error:
        raise NotGGUF("its header is damaged") from error


def knows(path: Path) -> bool:
    """Whether the file is of an architecture that is computed here. Quick: the first bytes are looked at."""
    try:
        with path.open("rb") as file:
            begin = file.read(2**16)
    except OSError:
        return False
    key = _packed("general.architecture") + struct.pack("<I", _STRING)
    return begin[:4] == b"GGUF" and any(key + _packed(one) in begin for one in ARCHITECTURES)


def _packed(text: str) -> bytes:
    return struct.pack("<Q", len(text)) + text.encode()


class _Reader:
    """Goes through a header, value after value."""

    def __init__(self, data: mmap.mmap) -> None:
        self._data, self._at = data, 4

    def file(self) -> File:
        version = int(self._scalar("<I"))
        if version not in (2, 3):
            raise NotGGUF(f"it is GGUF version {version}, known are 2 and 3")
        count, pairs = self._count(), self._count()
        values = {self._string(): self._value(int(self._scalar("<I"))) for _ in range(pairs)}
        found: dict[str, Tensor] = {}
        for _ in range(count):
            name = self._string()
            shape = tuple(self._count() for _ in range(int(self._scalar("<I"))))
            found[name] = Tensor(int(self._scalar("<I")), shape[::-1], int(self._scalar("<Q")))
        step = values.get("general.alignment")
        step = step if isinstance(step, int) and step > 0 else 32
        begin = -(-self._at // step) * step
        placed = {name: Tensor(one.kind, one.shape, begin + one.offset) for name, one in found.items()}
        if placed and max(one.offset for one in placed.values()) >= len(self._data):
            raise NotGGUF("it ends too early: the download was cut short")
        return File(values, placed, self._data)

    def _value(self, kind: int) -> object:
        if kind in _SCALARS:
            return self._scalar(_SCALARS[kind])
        if kind == _STRING:
            return self._string()
        if kind != _ARRAY:
            raise NotGGUF("its header is damaged")
        item, count = int(self._scalar("<I")), self._count()
        if item in _SCALARS:
            form = f"<{count}{_SCALARS[item][1]}"
            found = list(struct.unpack_from(form, self._data, self._at))
            self._at += struct.calcsize(form)
            return found
        return [self._value(item) for _ in range(count)]

    def _count(self) -> int:
        found = int(self._scalar("<Q"))
        if found > _MOST:
            raise NotGGUF("its header is damaged")
        return found

    def _scalar(self, form: str) -> float:
        value: float = struct.unpack_from(form, self._data, self._at)[0]
        self._at += struct.calcsize(form)
        return value

    def _string(self) -> str:
        length = self._count()
        if self._at + length > len(self._data):
            raise NotGGUF("it ends too early: the download was cut short")
        self._at += length
        return self._data[self._at - length : self._at].decode("utf-8", "replace")
