"""Conversations as chat fine-tuning reads them: a list of messages a line."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import TextIO

from palaver_interop.fields import is_whole, messages, references


class ChatMessages:
    """What a model should learn to answer: the reference where there is one, else the answer."""

    name: str = "messages"
    summary: str = "JSON Lines of messages for chat fine-tuning: the reference as the answer, where there is one"

    def export(self, turns: Iterable[Mapping[str, object]], out: TextIO) -> int:
        """Turns without a whole answer or a reference are left out."""
        written = 0
        for turn in turns:
            good = next(iter(references(turn)), str(turn.get("output", "")) if is_whole(turn) else "")
            if not good:
                continue
            said = [{"role": role, "content": text} for role, text in (*messages(turn), ("assistant", good))]
            out.write(json.dumps({"messages": said}, ensure_ascii=False) + "\n")
            written += 1
        return written
