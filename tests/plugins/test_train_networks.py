"""The networks and their losses: shapes, gradients, caches, searches; and that numbers are those of PyTorch's own."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

pytest.importorskip("torch")
pytest.importorskip("tokenizers")

import torch
from torch.nn import functional as F

from palaver import GenerationConfig
from palaver_train.batches import Batch, Pairs, Windows
from palaver_train.config import ARCHITECTURES, Kind, Shape, make_run
from palaver_train.decode import beams, continue_text, greedy, pick
from palaver_train.losses import cross_entropy, off_diagonal
from palaver_train.networks import make_network
from palaver_train.objective import Objective
from palaver_train.source import as_source
from palaver_train.tokens import BOS, EOS, PAD
from palaver_train.vectors import word_vectors

VOCABULARY = 23
SHAPE = Shape(architecture="", layers=2, heads=2, width=16, context=12, dropout=0.0)
ALL = [(kind, name) for kind, names in ARCHITECTURES.items() for name in names.values()]
LMS = ["transformer_lm.v1", "lstm_lm.v1"]
DECODERS = ["transformer_seq2seq.v1", "lstm_seq2seq.v1", "lstm_autoencoder.v1"]


def network(name: str, *, wild: float = 4.0) -> Any:
    """A network whose random weights are large enough for its answers not to be ties."""
    torch.manual_seed(3)
    made = make_network(name, SHAPE, VOCABULARY).eval()
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.mul_(wild)
    return made


def tokens(*size: int) -> torch.Tensor:
    return torch.randint(4, VOCABULARY, size, generator=torch.Generator().manual_seed(5))


def sources() -> torch.Tensor:
    """Three sources (3, 7) of different lengths, closed with an end mark."""
    found = tokens(3, 7)
    for row, length in zip(found, (7, 5, 2), strict=True):
        row[length - 1] = EOS
        row[length:] = PAD
    return found


def batch_for(kind: Kind) -> Batch:
    pairs = Pairs([[4, 5, 6], [7, 8]], [[9, 10], [11, 12, 13, 14]], batch=2)
    return Batch(tokens(2, 6), tokens(2, 6)) if kind == "lm" else pairs.batch([0, 1])


@pytest.mark.parametrize("name", LMS)
def test_a_language_model_gives_logits_for_each_token(name: str) -> None:
    assert network(name)(tokens(3, 5)).shape == (3, 5, VOCABULARY)


@pytest.mark.parametrize("name", DECODERS)
def test_a_decoder_gives_logits_for_each_target_token(name: str) -> None:
    assert network(name)(sources(), tokens(3, 4)).shape == (3, 4, VOCABULARY)


def test_an_autoencoder_of_vectors_gives_a_vector_for_each_place() -> None:
    made = network("embedding_autoencoder.v1")
    made.vectors.copy_(word_vectors([row.tolist() for row in sources()], VOCABULARY, SHAPE.width, 1))
    assert made(sources()).shape == (3, 7, SHAPE.width)
    assert made.embed(sources()).shape == (3, SHAPE.width)
    assert made.nearest(made.vectors[sources()])[0].tolist() == sources()[0].tolist()


@pytest.mark.parametrize(("kind", "name"), ALL)
def test_gradients_reach_every_parameter(kind: Kind, name: str) -> None:
    short = next(short for short, full in ARCHITECTURES[kind].items() if full == name)
    run = make_run(kind, {"architecture": short, "guided_attention": 0.1, "noise": 0.3, "label_smoothing": 0.1})
    made = make_network(name, SHAPE, VOCABULARY)
    if hasattr(made, "vectors"):
        made.vectors.copy_(torch.randn(VOCABULARY, SHAPE.width))
    loss, plain = Objective(run, made).train()(batch_for(kind))
    loss.backward()
    assert plain.grad_fn is None
    for where, parameter in made.named_parameters():
        assert parameter.grad is not None, where
        assert torch.isfinite(parameter.grad).all(), where
        assert parameter.grad.abs().sum() > 0, where


@pytest.mark.parametrize("name", LMS)
def test_a_language_model_does_not_see_what_is_to_come(name: str) -> None:
    text = tokens(1, 8)
    other = text.clone()
    other[0, 5:] = 4
    made = network(name)
    assert torch.allclose(made(text)[:, :5], made(other)[:, :5], atol=1e-5)


@pytest.mark.parametrize("name", LMS)
def test_decoding_from_the_cache_equals_decoding_without(name: str) -> None:
    made, text = network(name), tokens(2, 9)
    whole = made(text)
    logits, state = made.step(text[:, :4], None)
    parts = [logits]
    for at in range(4, 9):
        logits, state = made.step(text[:, at : at + 1], state)
        parts.append(logits)
    assert torch.allclose(torch.cat(parts, dim=1), whole, atol=1e-4)


@pytest.mark.parametrize("name", DECODERS)
def test_a_decoder_from_its_cache_equals_one_without(name: str) -> None:
    made, source, text = network(name), sources(), tokens(3, 6)
    whole = made(source, text)
    state, parts = made.begin(source), []
    for at in range(6):
        logits, state = made.step(text[:, at : at + 1], state)
        parts.append(logits)
    assert torch.allclose(torch.cat(parts, dim=1), whole, atol=1e-4)


@pytest.mark.parametrize("name", DECODERS)
def test_a_source_is_read_alike_alone_and_padded_among_longer_ones(name: str) -> None:
    made, source, text = network(name), sources(), tokens(3, 4)
    alone = made(source[2:, :2], text[2:])
    assert torch.allclose(made(source, text)[2:], alone, atol=1e-4)


def test_text_beyond_the_context_goes_on_with_what_fits() -> None:
    made = network("transformer_lm.v1")
    with torch.inference_mode():
        found = list(itertools.islice(continue_text(made, [5] * 30, GenerationConfig(), torch.Generator()), 40))
    assert 1 <= len(found) <= 40
    assert len(found) == 40 or found[-1][0] == EOS


@pytest.mark.parametrize("name", DECODERS)
def test_one_beam_writes_what_greedy_writes(name: str) -> None:
    made, source = network(name), sources()
    with torch.inference_mode():
        one = [row for row in beams(made, source, 8, 1) if row is not None]
        assert one == greedy(made, source, 8)


@pytest.mark.parametrize("name", DECODERS)
def test_beams_find_what_trying_everything_finds(name: str) -> None:
    """With as many beams as there are texts of two tokens, nothing is missed among the 1 + 19 that end by then."""
    made, source = network(name), sources()[:1]
    with torch.inference_mode():
        [found] = [row for row in beams(made, source, 2, VOCABULARY**2, penalty=1.0) if row is not None]
        scored = []
        for length in range(2):
            for text in itertools.product(range(4, VOCABULARY), repeat=length):
                row = torch.tensor([[BOS, *text]])
                logits = made(source, row)[0]
                logits[:, [PAD, BOS, 3]] = float("-inf")
                chances = logits.log_softmax(dim=-1)
                wanted = [*text, EOS]
                total = sum(float(chances[at, token]) for at, token in enumerate(wanted))
                scored.append((total / len(wanted), list(text)))
    assert found == max(scored)[1]


def test_smoothed_cross_entropy_and_its_gradient_are_those_of_pytorch() -> None:
    logits, targets = torch.randn(7, VOCABULARY, dtype=torch.float32, requires_grad=True), tokens(7)
    for smoothing in (0.0, 0.1):
        loss, plain = cross_entropy(logits, targets, smoothing)
        [ours] = torch.autograd.grad(loss * 3, logits)
        wanted = F.cross_entropy(logits, targets, reduction="sum", label_smoothing=smoothing)
        [theirs] = torch.autograd.grad(wanted * 3, logits)
        assert torch.allclose(loss, wanted, atol=1e-4)
        assert torch.allclose(plain, F.cross_entropy(logits, targets, reduction="sum"), atol=1e-4)
        assert torch.allclose(ours, theirs, atol=1e-5)


def test_attention_on_the_diagonal_costs_nothing_and_off_it_something() -> None:
    text = tokens(1, 6)
    on, off = torch.eye(6)[None], torch.eye(6).flip(0)[None]
    assert float(off_diagonal(on, text, text)) == pytest.approx(0.0, abs=1e-6)
    assert float(off_diagonal(off, text, text)) > 3


def test_sampling_keeps_to_the_likeliest_tokens() -> None:
    logits = torch.full((1, 8), -20.0)
    logits[0, 4:7] = torch.tensor([3.0, 2.0, -1.0])
    generator = torch.Generator().manual_seed(1)
    for config in (GenerationConfig(temperature=1, top_k=2), GenerationConfig(temperature=1, top_p=0.9)):
        assert {int(pick(logits, config, generator)) for _ in range(200)} == {4, 5}


def test_windows_show_each_token_once_an_epoch_and_the_same_for_the_same_seed() -> None:
    windows = Windows(list(range(4, 104)), context=8, batch=3, seed=1)
    seen = [token for items in windows.epoch(2) for row in windows.batch(items).targets.tolist() for token in row]
    assert len(seen) == len(set(seen)) >= 100 - 2 * 8
    assert windows.epoch(2) == Windows(list(range(4, 104)), context=8, batch=3, seed=1).epoch(2)
    assert windows.epoch(2) != windows.epoch(3)
    valid = [token for one in windows.in_order(4) for row in one.targets.tolist() for token in row]
    assert valid == list(range(5, 104))


@pytest.mark.parametrize("most", [0, 24])
def test_each_pair_is_seen_once_an_epoch_and_batches_keep_their_limit(most: int) -> None:
    texts = [[4] * (1 + number % 9) for number in range(50)]
    pairs = Pairs(texts, texts, batch=7, batch_tokens=most, seed=1)
    plan = pairs.epoch(0)
    assert sorted(one for items in plan for one in items) == list(range(50))
    for items in plan:
        shape = pairs.batch(items).targets.shape
        assert shape[0] * shape[1] <= most if most else len(items) <= 7


def test_the_rows_of_all_processes_are_those_of_the_batch() -> None:
    whole = batch_for("seq2seq")
    parts = [whole.part(rank, 3) for rank in range(3)]
    assert sum(one.count for one in parts) == whole.count
    assert parts[2].count == 0  # two rows for three processes


def test_a_source_longer_than_the_context_is_cut_and_closed() -> None:
    found = as_source([[5] * 40, [6]], network("lstm_seq2seq.v1"))
    assert found.shape == (2, SHAPE.context)
    assert found[0, -1] == EOS
    assert found[1].tolist() == [6, EOS] + [PAD] * (SHAPE.context - 2)
