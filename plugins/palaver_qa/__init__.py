"""Answer a question from a text, or say that the text does not answer it."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

from palaver import Example, GenerationConfig, Request, Task, split_text

NO_ANSWER = "no answer"
"""What a model is asked to write when the text does not answer; parsed to the empty string, as SQuAD 2.0 has it."""

_PREFIX = re.compile(r"\A(?:the )?answer(?: is)?\s*:\s*", re.IGNORECASE)


@dataclass(frozen=True)
class AnswerQuestion(Task):
    """Answer a question from a text or a file."""

    name = "qa"
    metrics = ("em", "f1")
    inputs = ("context", "question")
    baseline = "bm25"
    defaults = GenerationConfig(max_new_tokens=64)

    def request(self, example: Example) -> Request:
        return self.ask(
            "Answer the question with the shortest words copied from the text. "
            f"Write '{NO_ANSWER}' if the text does not say.",
            f"Text: {example['context']}\n\nQuestion: {example['question']}\n\nAnswer:",
            example=example,
        )

    def parse(self, output: str, example: Example) -> str:
        answer = _PREFIX.sub("", output.strip(), count=1).partition("\n")[0].strip().strip("\"'“”").strip()
        return "" if answer.casefold().rstrip(".!") == NO_ANSWER else answer

    def chunks(self, example: Example, limit: int) -> Sequence[Example]:
        room = max(limit - len(example["question"]), limit // 2)
        pieces = split_text(example["context"], room)
        return [replace(example, inputs={**example.inputs, "context": piece}) for piece in pieces]

    def merge(self, answers: Sequence[str], example: Example) -> str:
        """The answer that most parts gave, of two the earlier one; nothing where no part has one."""
        found = [answer for answer in answers if answer]
        counts = Counter(answer.casefold() for answer in found)
        return max(found, key=lambda answer: counts[answer.casefold()], default="")
