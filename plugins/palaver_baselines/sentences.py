"""Cut a text into sentences and words, without a model and for any script."""

from __future__ import annotations

import re

# A sentence ends at . ! ? (and closing quotes) before white space, or at the full stops of Chinese and Japanese.
_SENTENCE = re.compile(r".+?(?:[.!?…]+[\"'”’)\]]*(?=\s)|[。！？]+[」』”’]*|$)", re.DOTALL)
_ABBREVIATION = re.compile(r"(?:\b(?:Mr|Mrs|Ms|Dr|Prof|St|vs|etc|e\.g|i\.e|No|Fig|Inc|Ltd|Jr|Sr)|\b[A-Z])\.$")
_WORD = re.compile(r"[^\W_]+")


def sentences(text: str) -> list[str]:
    """The sentences of a text, by punctuation; a blank line always ends one."""
    found: list[str] = []
    for paragraph in re.split(r"\n\s*\n", text):
        held = ""
        for match in _SENTENCE.finditer(paragraph):
            held += match.group()
            if held.strip() and not _ABBREVIATION.search(held.strip()):
                found.append(" ".join(held.split()))
                held = ""
        if held.strip():
            found.append(" ".join(held.split()))
    return found


def words(text: str) -> list[str]:
    """The words of a text in lower case: runs of letters and digits."""
    return _WORD.findall(text.casefold())
