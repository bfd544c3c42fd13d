"""Names find tasks, models and metrics; the model that answers by default is the best one that is here."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from palaver import Example, ModelFailed, ModelInfo, paths
from palaver.choice import GUESSED, Languages, spoken, with_source_of
from palaver.config import Settings
from palaver.errors import BadInput, NeedsDownload, NotFound, UsageError
from palaver.plugins import Plugins
from palaver.registry import Registry
from palaver.stock import stock
from palaver.task import Chat


@pytest.fixture
def registry() -> Registry:
    return Registry(Plugins())


def test_without_weights_a_summary_and_an_answer_can_be_had(registry: Registry) -> None:
    assert registry.choose("summarize").name == "lead-3"
    assert registry.choose("qa").name == "bm25"


@pytest.mark.parametrize(
    ("task", "smallest"), [("chat", "smollm2"), ("generate", "smollm2"), ("translate", "qwen2.5-1.5b")]
)
def test_without_weights_the_smallest_model_that_does_it_well_is_named(
    registry: Registry, task: str, smallest: str
) -> None:
    with pytest.raises(NeedsDownload) as caught:
        registry.choose(task)
    assert caught.value.fix == f"palaver models pull {smallest}"


@pytest.mark.model
def test_a_real_model_comes_before_a_baseline(registry: Registry, smollm2: ModelInfo) -> None:
    assert {registry.choose(task).name for task in ("chat", "generate", "translate", "summarize", "qa")} == {"smollm2"}


ENGLISH_FRENCH = Languages("en", "fr")


@pytest.fixture
def translators(registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Registry:
    """A registry in which both translators, a large and a small general model are on this machine."""
    file = tmp_path / "weights"
    file.touch()
    for info in registry.models():
        if info.files:
            registry._models[info.name] = replace(info, path=str(file))
    monkeypatch.setattr(registry, "examine", lambda info: None)  # whether PyTorch is here or not
    return registry


@pytest.mark.parametrize(
    ("languages", "chosen"),
    [
        (ENGLISH_FRENCH, "opus-mt-en-fr"),
        (Languages("fr", "en"), "opus-mt-fr-en"),
        (Languages("", "fr"), "opus-mt-en-fr"),  # nobody could tell the source: what translates into it
        (Languages("de", "fr"), "qwen2.5-1.5b"),  # good at translating, larger than smollm2
        (Languages("en", "de", is_guessed=True), "qwen2.5-1.5b"),
        (Languages(), "qwen2.5-1.5b"),
    ],
)
def test_the_model_made_for_the_pair_translates_else_the_best_general_one(
    translators: Registry, languages: Languages, chosen: str
) -> None:
    assert translators.choose("translate", languages=languages).name == chosen
    assert translators.choose("summarize", languages=languages).name == "qwen2.5-1.5b"


def test_a_translator_pulled_from_the_hub_translates_its_pair_and_summarizes_nothing(tmp_path: Path) -> None:
    folder = paths.model_dir("hf:org/opus-mt-en-de")
    folder.mkdir(parents=True)
    (folder / "config.json").write_text('{"architectures": ["MarianMTModel"]}', "utf-8")
    (folder / "model.safetensors").write_bytes(b"weights")
    registry = Registry(Plugins())
    info = registry.info("hf:org/opus-mt-en-de")
    assert (info.tasks, info.pairs) == (("translate",), ("en-de",))
    assert registry.choose("summarize").name == "lead-3"
    with pytest.raises(BadInput, match="cannot summarize"):
        registry.choose("summarize", "hf:org/opus-mt-en-de")


MANY = ("ar", "br", "de", "en", "fr", "fy")


@pytest.fixture
def polyglot(translators: Registry) -> Registry:
    """The same, with a small translator between any two of some languages."""
    kept = translators._models["opus-mt-en-fr"]
    translators._models["many"] = replace(kept, name="many", pairs=(), languages=MANY, memory=1)
    return translators


@pytest.mark.parametrize(
    ("languages", "chosen"),
    [
        (ENGLISH_FRENCH, "opus-mt-en-fr"),  # made for the pair
        (Languages("de", "fr"), "many"),  # not good at it by instruction, but made for it
        (Languages("en", "de", is_guessed=True), "many"),
        (Languages("", "br"), "many"),
        (Languages("nl", "fr"), "qwen2.5-1.5b"),  # it does not know Dutch
    ],
)
def test_a_translator_of_many_languages_answers_where_none_was_made_for_the_pair(
    polyglot: Registry, languages: Languages, chosen: str
) -> None:
    assert polyglot.choose("translate", languages=languages).name == chosen


def test_a_language_that_a_translator_of_many_does_not_know_is_told_with_the_nearest_that_it_does(
    polyglot: Registry,
) -> None:
    with pytest.raises(BadInput) as caught:
        polyglot.choose("translate", "many", languages=Languages("arz", "de"))
    assert caught.value.message == (
        "many translates any of 6 languages, not arz-de: it does not know Egyptian Arabic (arz), but Arabic (ar)."
    )
    assert caught.value.fix == "palaver models info many"
    guessed = Languages("nl", "de", is_guessed=True)
    assert polyglot.choose("translate", "many", languages=guessed).name == "many"
    example = Example(
        {"text": "Goedemorgen"}, language="de", source_language="nl", metadata={GUESSED: "source_language"}
    )
    assert with_source_of(polyglot.info("many"), example).source_language == ""


@pytest.mark.parametrize(
    ("pairs", "languages", "told"),
    [
        ((), MANY, "any of 6 languages"),
        (("en-fr", "fr-en"), (), "en-fr, fr-en"),
        (tuple(f"{one}-en" for one in "abcdefgh"), (), "any of 8 languages into en"),
        (tuple(f"en-{one}" for one in "abcdefgh"), (), "en into any of 8 languages"),
        (tuple(f"{one}-{two}" for one in "abc" for two in "xyz"), (), "9 pairs of 6 languages"),
        ((), (), ""),
    ],
)
def test_what_a_translator_translates_is_told_in_few_words(
    pairs: tuple[str, ...], languages: tuple[str, ...], told: str
) -> None:
    assert spoken(ModelInfo("one", "torch", pairs=pairs, languages=languages)) == told


def test_what_each_translator_would_be_chosen_for_is_told(polyglot: Registry) -> None:
    answers = {one.info.name: one.answers for one in stock(polyglot)}
    assert answers["many"] == ("translate any of 6 languages",)
    assert answers["opus-mt-en-fr"] == ("translate en-fr",)


def test_a_named_model_is_refused_languages_that_are_not_its_own_unless_they_were_guessed(
    translators: Registry,
) -> None:
    with pytest.raises(BadInput, match=r"opus-mt-en-fr translates en-fr, not de-fr\."):
        translators.choose("translate", "opus-mt-en-fr", languages=Languages("de", "fr"))
    with pytest.raises(BadInput, match="not en-de"):
        translators.choose("translate", "opus-mt-en-fr", languages=Languages("en", "de", is_guessed=True))
    guessed = Languages("nl", "fr", is_guessed=True)
    assert translators.choose("translate", "opus-mt-en-fr", languages=guessed).name == "opus-mt-en-fr"


def test_what_is_missing_is_named_by_its_pair(registry: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    registry.models()
    monkeypatch.setattr(registry, "examine", lambda info: None)
    with pytest.raises(NeedsDownload, match=r"No installed model can do translate en-fr\.") as caught:
        registry.choose("translate", languages=ENGLISH_FRENCH)
    assert caught.value.fix == "palaver models pull opus-mt-en-fr"


def test_a_model_that_would_not_load_is_passed_over_and_told_when_it_is_the_only_one(
    translators: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = ModelFailed("It needs PyTorch.", fix="pip install it")
    monkeypatch.setattr(translators, "examine", lambda info: broken if info.backend == "torch" else None)
    assert translators.choose("translate", languages=ENGLISH_FRENCH).name == "qwen2.5-1.5b"
    monkeypatch.setattr(translators, "examine", lambda info: broken)
    with pytest.raises(ModelFailed, match=r"It needs PyTorch\."):
        translators.choose("translate", languages=ENGLISH_FRENCH)


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


def test_a_model_given_by_its_path_keeps_a_short_name_that_means_it_from_any_folder(
    registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = tmp_path / "one/mine.gguf", tmp_path / "two/mine.gguf"
    for path in (first, second):
        path.parent.mkdir()
        path.write_bytes(b"GGUF")
    monkeypatch.chdir(first.parent)
    short = registry.info("./mine.gguf").name
    other = registry.info(str(second)).name
    assert other.endswith(short)
    assert other != short, "two models never share a name"
    monkeypatch.chdir("/")
    assert registry.info(short).path == str(first)
    assert registry.info(other).path == str(second)
    assert registry.info(f"gguf:{second}").path == str(second)


@pytest.mark.parametrize("find", ["task", "info", "metric"])
def test_an_unknown_name_gets_the_nearest_ones(registry: Registry, find: str) -> None:
    near = {"task": "sumarize", "info": "lead3", "metric": "chrff"}[find]
    with pytest.raises(NotFound, match="Did you mean"):
        getattr(registry, find)(near)


def test_a_path_that_is_no_model_is_refused_in_words_of_the_path(
    registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for given in ("./a.gguf", "a.gguf", "gguf:a.gguf", "a.gguf@4bit", "./run", "./run#greedy", str(tmp_path / "x")):
        with pytest.raises(NotFound, match=r"^There is no file or folder \S+\.$"):
            registry.info(given)
    (tmp_path / "notes.txt").write_text("no model")
    with pytest.raises(NotFound, match=r"^\./notes\.txt is no model: one is a \.gguf file"):
        registry.info("./notes.txt")


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
