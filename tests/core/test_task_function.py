"""A function that returns a prompt is a whole task."""

from __future__ import annotations

import pickle
from typing import Literal

import pytest

from palaver import Example, Task, task
from palaver.plugins.provides import tasks_of
from palaver.task import Option


@task
def front_page(text: str, words: int = 12, tone: Literal["dry", "loud"] = "dry") -> str:
    """Write a newspaper headline for a text.

    words: At most this many words.
    """
    return f"Write a {tone} headline of at most {words} words.\n\n{text}"


@task(name="judge", metrics=("exact_match",), baseline="copy")
def weigh(claim: str, evidence: str) -> str:
    """Say whether the evidence supports the claim."""
    return f"{claim} | {evidence}"


def test_it_is_a_task_class_with_a_name_help_and_options() -> None:
    assert issubclass(front_page, Task)
    assert front_page.name == "front-page"
    assert front_page.summary() == "Write a newspaper headline for a text."
    assert front_page.schema() == (
        Option("words", int, 12, "At most this many words."),
        Option("tone", str, "dry", "", ("dry", "loud")),
    )


def test_its_request_is_what_the_function_returns() -> None:
    asked = front_page.from_strings({"words": "8"}).request(Example({"text": "A storm came."}))
    assert [(message.role, message.content) for message in asked.messages] == [
        ("user", "Write a dry headline of at most 8 words.\n\nA storm came.")
    ]
    assert asked.options == {"words": 8, "tone": "dry"}


def test_parameters_without_default_are_inputs_in_their_order() -> None:
    assert weigh.inputs == ("claim", "evidence")
    assert (weigh.name, weigh.metrics, weigh.baseline) == ("judge", ("exact_match",), "copy")
    assert weigh().request(Example({"claim": "a", "evidence": "b"})).messages[0].content == "a | b"


def test_a_job_with_it_reaches_another_process() -> None:
    made = front_page.from_strings({"words": "3"})
    assert pickle.loads(pickle.dumps(made)) == made


def test_a_module_provides_it_without_a_hook() -> None:
    import sys

    assert {one.name for one in tasks_of(sys.modules[__name__])} == {"front-page", "judge"}


def test_what_can_be_no_task_is_refused_with_a_sentence() -> None:
    def no_input(words: int = 3) -> str:
        return ""

    def counted(number: int) -> str:
        return ""

    def named(text: str, metrics: str = "") -> str:
        return ""

    for function, said in ((no_input, "the input"), (counted, "'number' is a str"), (named, "'metrics'")):
        with pytest.raises(TypeError, match=said):
            task(function)


def test_the_module_of_the_same_name_can_still_be_imported_from() -> None:
    import palaver.task

    assert palaver.task.Task is Task


def test_an_option_may_be_called_like_a_parameter_of_the_command() -> None:
    from palaver.cli.tasks import task_command

    @task
    def odd(text: str, words: int = 1, pairs: str = "", is_json: bool = False) -> str:
        """Options with names that the command itself uses."""
        return text

    parameters = [parameter.name for parameter in task_command(odd).params]
    assert len(parameters) == len(set(parameters))
