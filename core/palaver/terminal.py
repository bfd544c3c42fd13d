"""The one place where foreign text becomes safe to print.

History keeps what a model wrote, byte for byte; a terminal gets this. What could move the cursor, set the clipboard or
the title, or turn the reading direction becomes visible or goes.
"""

from __future__ import annotations

import re

# C0 without tab and newline, DEL, C1; bidirectional controls; zero-width and invisible characters; tags; surrogates.
# ZWJ (U+200D) and the variation selectors stay: emoji are made of them.
_UNSAFE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f"
    "\u00ad\u061c\u180e\u200b\u200c\u200e\u200f\u202a-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"
    "\U000e0000-\U000e007f\ud800-\udfff\u2028\u2029]"
)


def _visible(match: re.Match[str]) -> str:
    code = ord(match.group())
    if code < 0x20:
        return chr(0x2400 + code)  # Unicode's Control Pictures: ESC is shown as ␛
    if 0x7F <= code <= 0x9F or 0xD800 <= code <= 0xDFFF:
        return "\ufffd"
    return "\n" if code in (0x2028, 0x2029) else ""


def safe_text(text: str) -> str:
    """`text` with nothing in it that a terminal would obey. Newlines and tabs stay, CRLF becomes a newline."""
    if text.isprintable():
        return text if not _UNSAFE.search(text) else _UNSAFE.sub(_visible, text)
    return _UNSAFE.sub(_visible, text.replace("\r\n", "\n"))


def safe_line(text: str, width: int | None = None) -> str:
    """`safe_text` on one line, runs of white space as one space; cut to `width` cells with an ellipsis."""
    line = " ".join(safe_text(text).split())
    return line if width is None else clip(line, width)


def cells(text: str) -> int:
    """Columns that safe `text` takes in a terminal: two for wide East Asian characters and emoji, none for marks."""
    if text.isascii():
        return len(text)
    return sum(_cell(char) for char in text)


def clip(text: str, width: int) -> str:
    """`text` cut to `width` cells, the last one an ellipsis if anything was cut."""
    if len(text) <= width // 2 or cells(text) <= width:
        return text
    used, kept = 0, []
    for char in text:
        used += _cell(char)
        if used > width - 1:
            break
        kept.append(char)
    return "".join(kept) + "…" if width > 0 else ""


def _cell(char: str) -> int:
    import unicodedata

    if unicodedata.combining(char) or char in "\u200d\ufe0e\ufe0f":
        return 0
    return 2 if unicodedata.east_asian_width(char) in "WF" else 1
