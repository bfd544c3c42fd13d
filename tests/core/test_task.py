"""A task is a frozen dataclass whose fields are its options."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import pytest

from palaver import Example, Request, Task, UsageError
from palaver.task import Chat


@dataclass(frozen=True)
class Headline(Task):
    """Write a newspaper headline for a text."""

    name = "headline"
    words: int = 12
    """At most this many words,
    counted by spaces."""
    tone: Literal["dry", "loud"] = "dry"
    question: bool = False
    source: str | None = None

    def request(self, example: Example) -> Request:
        return self.ask(f"Write a headline of at most {self.words} words.", example["text"])


def test_fields_become_options_with_their_type_default_and_docstring() -> None:
    words, tone, question, source = Headline.schema()
    assert (words.name, words.type, words.default) == ("words", int, 12)
    assert words.help == "At most this many words, counted by spaces."
    assert tone.choices == ("dry", "loud")
    assert question.type is bool
    assert source.type is str


def test_options_given_as_text_take_the_type_of_their_field() -> None:
    task = Headline.from_strings({"words": "5", "tone": "loud", "question": "yes"})
    assert task == Headline(words=5, tone="loud", question=True)
    assert task.options() == {"words": 5, "tone": "loud", "question": True, "source": None}


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"wrods": "5"}, "headline has no option 'wrods'. Its options are: words, tone, question, source."),
        ({"words": "five"}, "headline: words is a whole number, not 'five'."),
        ({"tone": "shrill"}, "headline: tone is one of dry, loud, not 'shrill'."),
        ({"question": "perhaps"}, "headline: question is yes or no, not 'perhaps'."),
    ],
)
def test_a_wrong_option_is_refused_in_one_sentence(given: dict[str, str], sentence: str) -> None:
    with pytest.raises(UsageError) as caught:
        Headline.from_strings(given)
    assert str(caught.value) == sentence


def test_ask_puts_the_instruction_before_the_text_and_carries_the_example() -> None:
    request = Headline(words=3).request(Example({"text": "Long story."}))
    assert [(m.role, m.content) for m in request.messages] == [
        ("system", "Write a headline of at most 3 words."),
        ("user", "Long story."),
    ]
    assert request.task == "headline"
    assert request.example["text"] == "Long story."
    assert request.options["words"] == 3


def test_chat_is_the_one_task_core_knows() -> None:
    assert Chat().request(Example({"text": "Hi"})).messages[-1].content == "Hi"
    assert Chat.schema() == ()
