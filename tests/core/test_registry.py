"""Names find tasks, models and metrics; the model that answers by default is the best one that is here."""

from __future__ import annotations

from pathlib import Path

import pytest

from palaver import ModelInfo
from palaver.config import Settings
from palaver.errors import BadInput, NeedsDownload, NotFound, UsageError
from palaver.plugins import Plugins
from palaver.registry import Registry
from palaver.task import Chat


@pytest.fixture
def registry() -> Registry:
    return Registry(Plugins())


def test_without_weights_a_summary_and_an_answer_can_be_had(registry: Registry) -> None:
    assert registry.choose("summarize").name == "lead-3"
    assert registry.choose("qa").name == "bm25"


@pytest.mark.parametrize("task", ["chat", "generate", "translate"])
def test_without_weights_nothing_pretends_to_be_a_model(registry: Registry, task: str) -> None:
    with pytest.raises(NeedsDownload) as caught:
        registry.choose(task)
    assert caught.value.fix == "palaver models pull smollm2"  # the smaller of the two


@pytest.mark.model
def test_a_real_model_comes_before_a_baseline(registry: Registry, smollm2: ModelInfo) -> None:
    assert {registry.choose(task).name for task in ("chat", "generate", "translate", "summarize", "qa")} == {"smollm2"}


def test_the_settings_choose_for_all_tasks_or_for_one() -> None:
    chosen = Registry(Plugins(), Settings(model="copy", models={"summarize": "lexrank"}))
    assert chosen.choose("translate").name == "copy"
    assert chosen.choose("summarize").name == "lexrank"
    assert chosen.choose("summarize", "lead-3").name == "lead-3"


def test_a_model_that_cannot_do_the_task_is_refused(registry: Registry) -> None:
    with pytest.raises(BadInput, match=r"lead-3 cannot translate; it does: summarize\."):
        registry.choose("translate", "lead-3")


def test_a_model_that_is_not_here_says_its_size_and_the_command(registry: Registry) -> None:
    with pytest.raises(NeedsDownload, match=r"smollm2 is not on this machine yet \(93 MB\)\."):
        registry.choose("chat", "smollm2")


def test_a_full_name_finds_the_same_model(registry: Registry) -> None:
    assert registry.info("baseline:lead-3") == registry.info("lead-3")


def test_a_path_to_weights_is_a_model(registry: Registry, tmp_path: Path) -> None:
    weights = tmp_path / "mine.gguf"
    weights.write_bytes(b"GGUF")
    assert registry.info(str(weights)).backend == "llamacpp"


@pytest.mark.parametrize("find", ["task", "info", "metric"])
def test_an_unknown_name_gets_the_nearest_ones(registry: Registry, find: str) -> None:
    near = {"task": "sumarize", "info": "lead3", "metric": "chrff"}[find]
    with pytest.raises(NotFound, match="Did you mean"):
        getattr(registry, find)(near)


def test_a_family_stands_for_its_members_the_main_one_first(registry: Registry) -> None:
    names = [metric.name for metric in registry.metrics_for("summarize", True)]
    assert names == ["rouge1", "rouge2", "rougeL", "rougeLsum", "chrf"]
    assert registry.metrics_for("chat", False) == []


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"temprature": "1"}, "There is no decoding parameter 'temprature'."),
        ({"temperature": "hot"}, "temperature is a number, not 'hot'."),
        ({"seed": "1.5"}, "seed is a whole number, not '1.5'."),
        ({"top_p": "0"}, "top_p is above 0 and at most 1."),
        ({"max_new_tokens": "0"}, "max_new_tokens is 1 or more."),
        ({"seed": "-1"}, "seed is between 0 and 4294967295."),
        ({"temperature": "nan"}, "temperature is between 0 and 10."),
    ],
)
def test_a_wrong_decoding_parameter_is_refused(registry: Registry, given: dict[str, str], sentence: str) -> None:
    with pytest.raises(UsageError) as caught:
        registry.config(Chat(), given)
    assert str(caught.value).startswith(sentence)


def test_decoding_parameters_stand_above_the_tasks_own(registry: Registry) -> None:
    config = registry.config(Chat(), {"temperature": "0", "seed": "7"})
    assert (config.temperature, config.seed, config.top_p) == (0.0, 7, Chat.defaults.top_p)


def test_a_running_model_is_loaded_once_and_closed_with_the_registry(registry: Registry) -> None:
    assert registry.model("copy") is registry.model("baseline:copy")
    assert registry.unload("copy")
    assert not registry.unload("copy")
