"""Turns from conversations.json of a ChatGPT export: of each conversation the branch that was shown last."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from palaver import BadInput, BadRecord, ImportedTurn, Message


class ChatGPT:
    """Settings, data controls, export: the archive holds the file."""

    name: str = "chatgpt"
    summary: str = "conversations.json of a ChatGPT export"

    def read(self, files: Sequence[Path]) -> Iterator[ImportedTurn | BadRecord]:
        """Each answer a turn, with what came before in its branch as the prompt."""
        for path in files:
            try:
                conversations = json.loads(path.read_text("utf-8-sig"))
            except (ValueError, RecursionError) as error:
                raise BadInput(f"{path} is no JSON: {error}.", code="not_json") from error
            if not isinstance(conversations, list):
                raise BadInput(f"{path} is no list of conversations.", fix="give conversations.json of the export")
            for number, one in enumerate(conversations, 1):
                place = f"{path.name}:conversation {number}"
                if isinstance(one, dict) and isinstance(one.get("mapping"), dict):
                    yield from _turns(one, place)
                else:
                    yield BadRecord(place, "it has no messages")


def _turns(conversation: Mapping[str, Any], place: str) -> Iterator[ImportedTurn | BadRecord]:
    said: list[Message] = []
    name = str(conversation.get("conversation_id") or conversation.get("id") or place)
    for number, message in enumerate(_branch(conversation), 1):
        role = str((message.get("author") or {}).get("role", ""))
        text = _text(message.get("content"))
        if not text or role not in ("system", "user", "assistant"):
            continue  # tools, pictures and hidden messages are no part of what was said
        if role == "assistant":
            asked = next((one for one in reversed(said) if one.role == "user"), None)
            if asked is None:
                yield BadRecord(f"{place} message {number}", "an answer before any question")
            else:
                created = message.get("create_time")
                yield ImportedTurn(
                    f"{place} message {number}",
                    {"text": asked.content},
                    text,
                    model=str((message.get("metadata") or {}).get("model_slug") or ""),
                    prompt=tuple(said),
                    conversation=name,
                    title=str(conversation.get("title") or ""),
                    created=float(created) if isinstance(created, int | float) else None,
                )
        said.append(Message(role, text))  # type: ignore[arg-type]


def _branch(conversation: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The messages from the first to the one shown last; a node that stands in a circle ends the walk."""
    nodes: Mapping[str, Any] = conversation["mapping"]
    here: Any = conversation.get("current_node")
    if here not in nodes:
        leaves = [name for name, node in nodes.items() if isinstance(node, dict) and not node.get("children")]
        here = leaves[-1] if leaves else None
    found: list[Mapping[str, Any]] = []
    seen: set[object] = set()
    while here in nodes and here not in seen:
        seen.add(here)
        node = nodes[here]
        if isinstance(node, dict) and isinstance(node.get("message"), dict):
            found.append(node["message"])
        here = node.get("parent") if isinstance(node, dict) else None
    return found[::-1]


def _text(content: object) -> str:
    parts = content.get("parts") if isinstance(content, dict) else None
    return "\n".join(one for one in parts or () if isinstance(one, str)).strip()
