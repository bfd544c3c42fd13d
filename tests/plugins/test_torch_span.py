"""Extractive question answering in PyTorch: the answer's place, no answer, and texts longer than the window."""

from __future__ import annotations

import math
import threading
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

from tests.plugins import torch_models as tiny  # noqa: E402
from tokenizers import Tokenizer, models, pre_tokenizers, processors  # noqa: E402

from palaver import BadInput, GenerationConfig  # noqa: E402
from palaver_torch.span import SpanModel  # noqa: E402

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "who", "?", "answer", "is", "the", "red", "mat", ".", "filler", "word"]
ANY = GenerationConfig()


@pytest.fixture(autouse=True)
def exact(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PALAVER_TORCH_DTYPE", "float32")
    monkeypatch.setenv("PALAVER_TORCH_DEVICE", "cpu")
    monkeypatch.setenv("PALAVER_THREADS", "1")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A BERT whose weights are set so that "red" begins answers, "mat" ends them and [CLS] scores in between."""
    made = Tokenizer(models.WordLevel({word: at for at, word in enumerate(WORDS)}, unk_token="[UNK]"))
    made.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    made.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    tokenizer = transformers.PreTrainedTokenizerFast(
        tokenizer_object=made, cls_token="[CLS]", sep_token="[SEP]", pad_token="[PAD]", unk_token="[UNK]"
    )
    torch.manual_seed(0)
    config = transformers.BertConfig(
        vocab_size=len(WORDS),
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=16,
        max_position_embeddings=64,
    )
    network = transformers.BertForQuestionAnswering(config)
    with torch.no_grad():
        for name, weight in network.named_parameters():
            if "LayerNorm.weight" not in name:
                weight.zero_()
        words = network.bert.embeddings.word_embeddings.weight
        words.copy_(torch.nn.functional.one_hot(torch.arange(len(WORDS)), 16).float())
        network.qa_outputs.weight[0, WORDS.index("red")] = 4.0
        network.qa_outputs.weight[1, WORDS.index("mat")] = 4.0
        network.qa_outputs.weight[:, WORDS.index("[CLS]")] = 1.0
    return tiny.saved(tmp_path_factory.mktemp("models") / "bert-qa", network, tokenizer)


@pytest.fixture
def model(folder: Path) -> SpanModel:
    found = tiny.load(folder)
    assert isinstance(found, SpanModel)
    return found


def test_the_answer_is_a_piece_of_the_text_with_its_place_and_score(model: SpanModel) -> None:
    text = "the answer is the red mat ."
    found = model.answer("who ?", text)
    assert found is not None
    assert (found.text, text[found.start : found.end]) == ("red mat", "red mat")
    assert 0.5 < found.score <= 1


def test_an_answer_beyond_the_first_window_is_found(model: SpanModel) -> None:
    text = "filler word " * 200 + "the red mat ." + " filler word" * 100  # some 600 tokens in windows of 64
    found = model.answer("who ?", text)
    assert found is not None
    assert (found.text, found.start) == ("red mat", text.index("red"))
    assert tiny.texts(model, [tiny.given("qa", context=text, question="who ?")], ANY) == ["red mat"]


def test_what_the_text_does_not_say_is_no_answer(model: SpanModel) -> None:
    [only] = tiny.deltas(model, [tiny.given("qa", context="filler word . " * 60, question="who ?")], ANY)
    assert (only.text, only.finish_reason) == ("no answer", "stop")


def test_a_batch_gives_what_each_question_gets_alone(model: SpanModel) -> None:
    texts = ["the red mat", "filler " * 150 + "red mat", "word", "red the the mat ."]
    requests = [tiny.given("qa", context=one, question="who ?") for one in texts]
    assert tiny.texts(model, requests, ANY) == ["red mat", "red mat", "no answer", "red the the mat"]


def test_an_empty_text_has_no_answer_and_no_question_is_refused(model: SpanModel) -> None:
    assert tiny.texts(model, [tiny.given("qa", context="", question="who ?")], ANY) == ["no answer"]
    with pytest.raises(BadInput, match="answers questions from a text"):
        tiny.texts(model, [tiny.told("who ?")], ANY)
    with pytest.raises(BadInput, match="The question has"):
        tiny.texts(model, [tiny.given("qa", context="red mat", question="who " * 60)], ANY)


def test_cancel_ends_every_open_question(model: SpanModel) -> None:
    cancel = threading.Event()
    cancel.set()
    requests = [tiny.given("qa", context="red mat", question="who ?")] * 2
    assert [one.finish_reason for one in model.stream(requests, ANY, cancel)] == ["cancelled", "cancelled"]


def test_how_sure_it_was_goes_with_the_answer(model: SpanModel) -> None:
    for text in ("the answer is the red mat .", "filler word ."):
        found = model.answer("who ?", text)
        [told] = tiny.deltas(model, [tiny.given("qa", context=text, question="who ?")], ANY)
        assert found is not None
        assert [math.exp(one) for one in told.logprobs] == pytest.approx([found.score])
