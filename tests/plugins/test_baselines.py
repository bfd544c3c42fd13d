"""What needs no weights answers every task, the same way each time."""

from __future__ import annotations

import random
import threading

import pytest

from palaver import Delta, Example, GenerationConfig, Request
from palaver_baselines import BASELINES, Baselines, palaver_models
from palaver_baselines.extract import bm25_sentence, central, copy, lead3, lexrank, luhn
from palaver_baselines.ngram import NgramModel
from palaver_baselines.sentences import sentences, words

TEXT = "Dr. Smith went to St. Ives. He met a man with seven wives! Was it far? Nobody knows."


def request(**inputs: str) -> Request:
    return Request((), example=Example(inputs))


def test_sentences_end_at_punctuation_not_at_abbreviations() -> None:
    assert sentences(TEXT) == [
        "Dr. Smith went to St. Ives.",
        "He met a man with seven wives!",
        "Was it far?",
        "Nobody knows.",
    ]
    assert sentences("吾輩は猫である。名前はまだ無い。") == ["吾輩は猫である。", "名前はまだ無い。"]
    assert sentences("A heading\n\nA line.") == ["A heading", "A line."]
    assert sentences("") == []


def test_words_are_letters_and_digits_of_any_script() -> None:
    assert words("Grüße, Welt_2!") == ["grüsse", "welt", "2"]


def test_lead_three_gives_three_sentences_or_as_many_as_the_task_wants() -> None:
    assert lead3(request(text=TEXT)) == "Dr. Smith went to St. Ives. He met a man with seven wives! Was it far?"
    one = Request((), example=Example({"text": TEXT}), options={"length": 1})
    assert lead3(one) == "Dr. Smith went to St. Ives."


def test_lexrank_prefers_the_sentence_that_the_others_are_about() -> None:
    # The middle sentence shares a rare word with each of the two others, which share none with each other.
    ranks = central([["cats", "sleep"], ["cats", "chase", "mice"], ["mice", "hide"], ["rain", "falls"]])
    assert max(range(4), key=ranks.__getitem__) == 1
    assert sum(ranks) == pytest.approx(1)
    one = Request((), example=Example({"text": "Cats sleep. Cats chase mice. Mice hide."}), options={"length": 1})
    assert lexrank(one) == "Cats chase mice."


def test_luhn_takes_the_sentence_that_is_densest_in_what_the_text_repeats() -> None:
    # Repeated and no stop words: ferries, harbour, storm. "the" and "in" are said more often, but are stop words.
    text = "The storm was in the west. The ferries left the harbour in the storm. The ferries came back to the harbour."
    one = Request((), example=Example({"text": text}), options={"length": 1})
    # Weights: 1; storm, harbour and ferries in a run of 7 words, 9/7; ferries and harbour in a run of 6, 4/6.
    assert luhn(one) == "The ferries left the harbour in the storm."


@pytest.mark.parametrize("text", ["", "One sentence.", "Same. Same. Same.", "?! ..."])
def test_lexrank_and_luhn_take_any_text(text: str) -> None:
    assert isinstance(lexrank(request(text=text)), str)
    assert isinstance(luhn(request(text=text)), str)


def test_bm25_finds_the_sentence_that_shares_the_rare_words_of_the_question() -> None:
    context = "Einstein was born in Ulm. The town lies on the Danube. The minster has the tallest steeple."
    assert bm25_sentence(request(context=context, question="Which river is the town on?")).startswith("The town")
    assert bm25_sentence(request(context="", question="Who?")) == ""


def test_copy_gives_the_input_back() -> None:
    assert copy(request(text=TEXT)) == TEXT


def test_the_ngram_model_goes_on_with_what_it_has_seen() -> None:
    model = NgramModel("a b c a b c a b")
    drawn = model.sample(random.Random(0))
    # After "a b" only "c" was ever seen, after "b c" only "a", after "c a" only "b".
    assert [next(drawn) for _ in range(4)] == [" c", " a", " b", " c"]


def test_the_same_seed_gives_the_same_continuation() -> None:
    def run(seed: int) -> str:
        model = Baselines().load(next(info for info in palaver_models() if info.name == "ngram"))
        config = GenerationConfig(max_new_tokens=20, temperature=1.0, seed=seed)
        asked = request(text="the cat saw the dog and the dog saw the bird and the bird saw the cat")
        return "".join(delta.text for delta in model.stream([asked], config, threading.Event()))

    assert run(1) == run(1)
    assert len({run(seed) for seed in range(5)}) > 1


@pytest.mark.parametrize("name", BASELINES)
def test_every_baseline_is_a_model_that_ends_every_request(name: str) -> None:
    model = Baselines().load(next(info for info in palaver_models() if info.name == name))
    asked = [request(text=TEXT, context=TEXT, question="Was it far?"), request(text="", context="", question="")]
    deltas = list(model.stream(asked, GenerationConfig(max_new_tokens=5), threading.Event()))
    assert [delta.request for delta in deltas if delta.finish_reason] == [0, 1]
    cancel = threading.Event()
    cancel.set()
    assert list(model.stream(asked[:1], GenerationConfig(), cancel)) == [Delta(finish_reason="cancelled")]
