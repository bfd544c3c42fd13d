"""Which token tells a translation model its language, from the two-letter code that people type."""

from __future__ import annotations

import re
from collections.abc import Iterable

# ISO 639-1 to 639-3, with the script first that NLLB-200 writes the language in.
_LONG = {
    "ar": "arb", "bg": "bul", "bn": "ben", "ca": "cat", "cs": "ces", "da": "dan", "de": "deu", "el": "ell", "en": "eng",
    "es": "spa", "et": "est", "fa": "pes", "fi": "fin", "fr": "fra", "he": "heb", "hi": "hin", "hr": "hrv", "hu": "hun",
    "id": "ind", "it": "ita", "ja": "jpn", "ka": "kat", "ko": "kor", "lt": "lit", "lv": "lvs", "ms": "zsm", "nl": "nld",
    "no": "nob", "pl": "pol", "pt": "por", "ro": "ron", "ru": "rus", "sk": "slk", "sl": "slv", "sr": "srp", "sv": "swe",
    "sw": "swh", "ta": "tam", "te": "tel", "th": "tha", "tr": "tur", "uk": "ukr", "ur": "urd", "vi": "vie", "zh": "zho",
}  # fmt: skip
_PREFERRED = {"zho": "zho_Hans", "srp": "srp_Cyrl"}
_PAIR = re.compile(r"opus-mt(?:-tc-\w+)?-([a-z]{2,3})-([a-z]{2,3})(?:$|[^a-z])")


def language_token(code: str, known: Iterable[str]) -> str:
    """The token of `known` that stands for a language: `fra_Latn`, `fr_XX`, `__fr__`, `>>fra<<`. Empty if none does."""
    tokens = set(known)
    long = _LONG.get(code, code)
    for form in (f"__{code}__", f">>{code}<<", f">>{long}<<", _PREFERRED.get(long, ""), code):
        if form and form in tokens:
            return form
    pattern = re.compile(rf"(?:{re.escape(code)}_[A-Z]{{2}}|{re.escape(long)}_[A-Z][a-z]{{3}})\Z")
    return min((token for token in tokens if pattern.match(token)), default="")


def is_language_token(token: str) -> bool:
    """The token has one of the forms that name languages."""
    return bool(re.fullmatch(r"__[a-z]{2,3}__|>>\w+<<|[a-z]{2,3}_[A-Z]{2}|[a-z]{3}_[A-Z][a-z]{3}", token))


def fixed_pair(name: str) -> tuple[str, str] | None:
    """Source and target of a model that knows one pair, from its name: `opus-mt-en-fr`."""
    found = _PAIR.search(name)
    return (found[1], found[2]) if found else None


def same_language(code: str, other: str) -> bool:
    """Whether two codes of two or three letters mean the same language."""
    return _LONG.get(code, code) == _LONG.get(other, other)
