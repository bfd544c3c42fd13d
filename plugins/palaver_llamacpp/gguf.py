"""Read what a GGUF file says about itself, without loading it.

Format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md, versions 2 and 3, little-endian.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

_SCALARS = {0: "<B", 1: "<b", 2: "<H", 3: "<h", 4: "<I", 5: "<i", 6: "<f", 7: "<?", 10: "<Q", 11: "<q", 12: "<d"}
_STRING, _ARRAY = 8, 9
_LONGEST_STRING = 2**24
_MOST_ITEMS = 2**24


class NotGGUF(Exception):
    """The file is not GGUF, or is damaged: why, as the end of a sentence."""


@dataclass(frozen=True, slots=True)
class Header:
    """What of the header matters before loading."""

    architecture: str
    name: str
    licence: str
    context: int | None
    """Tokens that the model was made for."""
    has_chat_template: bool
    cache_bytes: int = 0
    """Of keys and values in 16 bits, for one token; 0 where the header does not say."""
    heads: int = 0
    """Of attention; 0 where the header does not say."""
    vocabulary: int = 0
    """Tokens; 0 where the header does not say."""
    kinds: frozenset[int] = frozenset()
    """The types of its tensors, by ggml's numbers."""


def read_header(path: Path) -> Header:
    """The header of the GGUF file at `path`.

    Raises:
        NotGGUF: it is no GGUF file, or ends too early.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        if file.read(4) != b"GGUF":
            raise NotGGUF("it does not begin like a GGUF file")
        try:
            values, kinds = _read(file, size)
        except (struct.error, UnicodeDecodeError, OverflowError, MemoryError) as error:
            raise NotGGUF("its header is damaged") from error
    architecture = str(values.get("general.architecture", ""))
    context, heads = values.get(f"{architecture}.context_length"), values.get(f"{architecture}.attention.head_count")
    return Header(
        architecture=architecture,
        name=str(values.get("general.name", "")),
        licence=str(values.get("general.license", "")),
        context=context if isinstance(context, int) and context > 0 else None,
        has_chat_template=bool(values.get("tokenizer.chat_template")),
        cache_bytes=_cache_bytes(values, architecture),
        heads=heads if isinstance(heads, int) and 0 < heads < 2**20 else 0,
        vocabulary=tokens if isinstance(tokens := values.get("tokenizer.ggml.tokens"), int) else 0,
        kinds=kinds,
    )


def _cache_bytes(values: dict[str, object], architecture: str) -> int:
    def number(key: str, default: int = 0) -> int:
        found = values.get(f"{architecture}.{key}")
        return found if isinstance(found, int) and 0 < found < 2**20 else default

    layers, heads = number("block_count"), number("attention.head_count")
    width = number("embedding_length") // heads if heads else 0
    both = number("attention.key_length", width) + number("attention.value_length", width)
    return 2 * layers * number("attention.head_count_kv", heads) * both


def _read(file: BinaryIO, size: int) -> tuple[dict[str, object], frozenset[int]]:
    version: int = _scalar(file, "<I")
    if version not in (2, 3):
        raise NotGGUF(f"it is GGUF version {version}, known are 2 and 3")
    tensors, pairs = _scalar(file, "<Q"), _scalar(file, "<Q")
    if tensors > _MOST_ITEMS or pairs > _MOST_ITEMS:
        raise NotGGUF("its header is damaged")
    values: dict[str, object] = {}
    for _ in range(pairs):
        key = _string(file)
        values[key] = _value(file, _scalar(file, "<I"))
    last, kinds = 0, set[int]()
    for _ in range(tensors):
        _string(file)
        file.seek(8 * _scalar(file, "<I"), 1)  # dimensions
        kinds.add(_scalar(file, "<I"))
        last = max(last, _scalar(file, "<Q"))
    if file.tell() + last >= size:
        raise NotGGUF("it ends too early: the download was cut short")
    return values, frozenset(kinds)


def _value(file: BinaryIO, kind: int) -> object:
    if kind in _SCALARS:
        return _scalar(file, _SCALARS[kind])
    if kind == _STRING:
        return _string(file)
    if kind == _ARRAY:
        item, count = _scalar(file, "<I"), _scalar(file, "<Q")
        if count > _MOST_ITEMS:
            raise NotGGUF("its header is damaged")
        if item in _SCALARS:
            file.seek(struct.calcsize(_SCALARS[item]) * count, 1)
        elif item == _STRING:
            for _ in range(count):
                _skip_string(file)
        else:
            raise NotGGUF("its header is damaged")
        return count  # of vocabularies nothing here needs more
    raise NotGGUF("its header is damaged")


def _scalar(file: BinaryIO, form: str) -> int:
    value: int = struct.unpack(form, file.read(struct.calcsize(form)))[0]
    return value


def _string(file: BinaryIO) -> str:
    length = _scalar(file, "<Q")
    if length > _LONGEST_STRING:
        raise NotGGUF("its header is damaged")
    return file.read(length).decode("utf-8", "replace")


def _skip_string(file: BinaryIO) -> None:
    file.seek(_scalar(file, "<Q"), 1)
