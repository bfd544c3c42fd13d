"""What a translation model translates into what, read from its name, its configuration and its tokenizer's files.

Nothing here imports torch: the languages are known before the model is loaded, so that it can be chosen by them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from palaver.tongues import code_of, is_token

_SIDES = re.compile(
    r"(?:opus-mt(?:-tc-\w+)?|mbart-large|wmt\d\d(?:-dense-[\w-]+?-wide)?)-([A-Za-z]{1,7})-([A-Za-z]{1,7})(?:$|[^A-Za-z])"
)
_MANY_TO_ENGLISH, _ENGLISH_TO_MANY = ("many-to-one", "-x-en"), ("one-to-many", "-en-x")
_PRETRAINED = re.compile(r"mbart-large-(?:cc25|50)\Z")
"""Checkpoints that know languages and were not yet taught to translate."""
_GROUPS = {
    "bat": "lt lv", "cel": "br cy ga gd", "gem": "af da de en fo fy is lb li nl nn no sv yi",
    "gmq": "da fo is nn no sv", "gmw": "af de en fy lb li nl yi", "itc": "ca es fr gl it oc pt ro",
    "roa": "ca es fr gl it oc pt ro",
    "romance": "ca es fr gl it oc pt ro", "sla": "be bg bs cs hr mk pl ru sk sl sr uk", "zle": "be ru uk",
    "zls": "bg bs hr mk sl sr", "zlw": "cs pl sk",
}  # fmt: skip
"""Families of languages, as the names of OPUS-MT's models have them, with the members that are widely spoken."""
_FILES = ("tokenizer_config.json", "special_tokens_map.json", "added_tokens.json", "tokenizer.json", "vocab.json")
_MOST_READ = 4 * 2**20
"""Bytes of a tokenizer's file that are looked at: its added tokens stand first, its vocabulary may be much longer."""
_STRING = re.compile(r'"((?:__|>>)?\w{2,9}(?:__|<<)?)"')


def fixed_pair(name: str) -> tuple[str, str] | None:
    """Source and target of a model that knows one pair, from its name: `opus-mt-en-fr`."""
    found = _SIDES.search(name)
    pair = (code_of(found[1]), code_of(found[2])) if found else ("", "")
    return pair if all(pair) else None


def spoken(name: str, config: Mapping[str, object], folder: Path) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The pairs that a translator was made for, or the languages between any two of which it translates.

    Both are empty where neither its name nor its tokenizer tells.
    """
    tokens = _tokens(folder)
    known = sorted({code_of(token) for token in tokens} - {""})
    sides = _SIDES.search(name) or _SIDES.search(str(config.get("_name_or_path", "")))
    sources, targets = (_members(side) for side in sides.groups()) if sides else ((), ())
    named = config.get("langs")  # of FSMT's
    if isinstance(named, list) and len(named) == 2:
        sources, targets = (_members(str(side)) for side in named)
    if any(token.startswith(">>") for token in tokens):
        targets = tuple(known)
    elif len(known) > 1:
        if any(words in name for words in _MANY_TO_ENGLISH):
            sources, targets = tuple(known), ("en",)
        elif any(words in name for words in _ENGLISH_TO_MANY):
            sources, targets = ("en",), tuple(known)
        elif not (sources and targets):
            return (), tuple(known)
    return tuple(f"{one}-{other}" for one in sources for other in targets if one != other), ()


def is_taught(name: str) -> bool:
    """Whether a model of a family that translates was taught to, and not only to know languages."""
    return not _PRETRAINED.search(name)


def _members(side: str) -> tuple[str, ...]:
    code = code_of(side)
    return (code,) if code else tuple(_GROUPS.get(side.lower(), "").split())


def _tokens(folder: Path) -> set[str]:
    """The tokens that name languages, from the first file of the tokenizer that has more than one."""
    for found in _read(folder):
        if len(found) > 1:
            return found
    return set()


def _read(folder: Path) -> Iterator[set[str]]:
    for name in _FILES:
        try:
            with (folder / name).open(encoding="utf-8", errors="replace") as file:
                text = file.read(_MOST_READ)
        except OSError:
            continue
        yield {token for token in _STRING.findall(text) if is_token(token) and code_of(token)}
