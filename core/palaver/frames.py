"""Messages between Palaver and the process that holds a model: a length, then JSON.

A frame is four bytes of length (big-endian) and a JSON object in ASCII, so that half of a surrogate pair, which is not
UTF-8, travels too. Values are the dataclasses of `palaver.model`; nothing here knows processes or models.
"""

from __future__ import annotations

import dataclasses
import json
import os
import struct
import types
from collections.abc import Mapping
from functools import lru_cache
from typing import BinaryIO, Literal, TypeVar, Union, cast, get_args, get_origin, get_type_hints

Frame = Mapping[str, object]

LIMIT = 64 * 2**20
"""Bytes of one frame. A longer one is a bug or an attack, and is refused by both sides."""

GREETING = b"\0palaver frames 1\0"
"""What a child writes first. Anything before it is noise of the interpreter's start-up and is skipped."""

_HEADER = struct.Struct(">I")
_NOISE_LIMIT = 2**16

T = TypeVar("T")


class FrameError(Exception):
    """The other side wrote what is no frame."""


def pack(frame: Frame) -> bytes:
    """The bytes of `frame`.

    Raises:
        FrameError: it is longer than LIMIT, or holds what JSON cannot carry.
    """
    try:
        body = json.dumps(frame, ensure_ascii=True, separators=(",", ":")).encode("ascii")
    except (TypeError, ValueError, RecursionError) as error:
        raise FrameError(f"a message cannot be written as JSON: {error}") from error
    if len(body) > LIMIT:
        raise FrameError(f"a message has {len(body):,} bytes, the limit is {LIMIT:,}")
    return _HEADER.pack(len(body)) + body


def write(fd: int, data: bytes) -> None:
    """All of `data` to the file descriptor."""
    left = memoryview(data)
    while left:
        left = left[os.write(fd, left) :]


def skip_to_greeting(stream: BinaryIO) -> bool:
    """Read past the greeting. False at the end of the stream."""
    seen = bytearray()
    while not seen.endswith(GREETING):
        byte = stream.read(1)
        if not byte:
            return False
        seen += byte
        if len(seen) > _NOISE_LIMIT:
            raise FrameError("no greeting in the first 64 kB")
    return True


def read(stream: BinaryIO) -> Frame | None:
    """The next frame, or None at the end of the stream, which may come in the middle of one.

    Raises:
        FrameError: what came is no frame.
    """
    header = stream.read(_HEADER.size)
    if len(header) < _HEADER.size:
        return None
    (length,) = _HEADER.unpack(header)
    if length > LIMIT:
        raise FrameError(f"a message announces {length:,} bytes, the limit is {LIMIT:,}")
    body = stream.read(length)
    return None if len(body) < length else _parsed(body)


def take(held: bytearray) -> Frame | None:
    """The first frame in `held`, taken out of it, or None while it is not whole.

    Raises:
        FrameError: what came is no frame.
    """
    if len(held) < _HEADER.size:
        return None
    (length,) = _HEADER.unpack_from(held)
    if length > LIMIT:
        raise FrameError(f"a message announces {length:,} bytes, the limit is {LIMIT:,}")
    end = _HEADER.size + length
    if len(held) < end:
        return None
    body = bytes(held[_HEADER.size : end])
    del held[:end]
    return _parsed(body)


def _parsed(body: bytes) -> Frame:
    try:
        frame = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise FrameError(f"a message is no JSON: {error}") from error
    if not isinstance(frame, dict):
        raise FrameError("a message is no JSON object")
    return cast(Frame, frame)


def encode(value: object) -> object:
    """`value` as JSON carries it: a dataclass becomes an object of the fields that differ from their defaults."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {
            field.name: encode(getattr(value, field.name))
            for field in dataclasses.fields(value)
            if field.default is dataclasses.MISSING or getattr(value, field.name) != field.default
        }
    if isinstance(value, Mapping):
        return {str(key): encode(one) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [encode(one) for one in value]
    if value is None or isinstance(value, (str, int, float, bool)):
        return value
    return str(value)


def decode(kind: type[T], value: object) -> T:
    """The dataclass `kind` that `encode` made `value` from, every field checked.

    Raises:
        FrameError: `value` does not fit.
    """
    return cast(T, _decode(kind, value))


@lru_cache(maxsize=64)
def _hints(kind: type) -> dict[str, object]:
    return get_type_hints(kind)


def _decode(hint: object, value: object) -> object:
    origin, arguments = get_origin(hint), get_args(hint)
    if isinstance(hint, type) and dataclasses.is_dataclass(hint):
        if not isinstance(value, Mapping):
            raise FrameError(f"{hint.__name__} is no object")
        hints = _hints(hint)
        try:
            return hint(**{name: _decode(hints[name], one) for name, one in value.items()})
        except (KeyError, TypeError) as error:
            raise FrameError(f"{hint.__name__} does not fit: {error}") from error
    if origin is Literal:
        if value in arguments:
            return value
    elif origin in (Union, types.UnionType):
        if value is None and type(None) in arguments:
            return None
        return _decode(next(one for one in arguments if one is not type(None)), value)
    elif origin is tuple and isinstance(value, (list, tuple)):
        return tuple(_decode(arguments[0], one) for one in value)
    elif origin is Mapping and isinstance(value, Mapping):
        return {str(key): _decode(arguments[1], one) for key, one in value.items()}
    elif hint is object:
        return value
    elif hint is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    elif isinstance(hint, type) and isinstance(value, hint) and (hint is bool or not isinstance(value, bool)):
        return value
    raise FrameError(f"{value!r:.60} is no {hint}")
