"""Models that find the answer in the text: extractive question answering, over texts of any length.

Letters: W windows of all questions, T tokens of a window.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import torch

from palaver import BadInput, Delta, GenerationConfig, ModelFailed, ModelInfo, Request
from palaver_torch.device import leave_busy_cores

if TYPE_CHECKING:
    from palaver_torch.loader import Loaded

NO_ANSWER = "no answer"
"""What the task `qa` reads as: the text does not say."""
STRIDE = 128
"""Tokens that two windows share: no answer is cut in two. Devlin et al. 2019 use the same."""
_LONGEST = 30
"""Tokens of an answer. Devlin et al. 2019."""
_CANDIDATES = 20
_AT_ONCE = 4096
"""Tokens of one pass: about a third of a second between two chances to cancel."""


@dataclass(frozen=True, slots=True)
class Found:
    """An answer as a piece of the text; `start == end` when the text does not say."""

    text: str
    start: int
    """Characters from the beginning of the text."""
    end: int
    score: float
    """The model's probability of both ends, 0-1; for no answer, of there being none."""


@dataclass(frozen=True, slots=True)
class _Window:
    question: int
    tokens: tuple[int, ...]
    types: tuple[int, ...]
    places: tuple[tuple[int, int] | None, ...]
    """Where a token lies in the text; None for the question and what joins the two."""


class SpanModel:
    """A loaded extractive model."""

    def __init__(self, loaded: Loaded) -> None:
        self._info, self._place = loaded.info, loaded.place
        self._tokenizer = cast(Any, loaded.tokenizer)
        self._network: Any = loaded.network
        if not loaded.tokenizer.is_fast:
            raise ModelFailed(
                f"The tokenizer of {loaded.info.name} cannot say where its tokens lie in the text.",
                fix="Use a model with a tokenizer.json.",
                code="model_unsupported",
            )

    @property
    def info(self) -> ModelInfo:
        return self._info

    def stream(self, requests: Sequence[Request], config: GenerationConfig, cancel: threading.Event) -> Iterator[Delta]:
        """See `Model.stream`. An answer is copied from the text, or says that there is none."""
        leave_busy_cores()
        questions = [_question(request) for request in requests]
        windows = [self._windows(index, *question) for index, question in enumerate(questions)]
        scored: list[list[tuple[_Window, torch.Tensor, torch.Tensor]]] = [[] for _ in requests]
        done = 0
        for batch in _batches([one for some in windows for one in some]):
            if cancel.is_set():
                break
            for window, starts, ends in self._score(batch):
                scored[window.question].append((window, starts, ends))
            while done < len(requests) and len(scored[done]) == len(windows[done]):
                found = best(questions[done][1], scored[done])
                tokens = sum(len(window.tokens) for window in windows[done])
                yield _told(done, found, tokens)
                done += 1
        for index in range(done, len(requests)):
            yield Delta(request=index, finish_reason="cancelled")

    def answer(self, question: str, text: str) -> Found | None:
        """The answer with its place and score; None when the model's scores are no numbers."""
        return best(text, [one for batch in _batches(self._windows(0, question, text)) for one in self._score(batch)])

    def close(self) -> None:
        self._network = None

    def _windows(self, index: int, question: str, text: str) -> list[_Window]:
        length = self._info.context or 512
        asked = len(self._tokenizer(question, add_special_tokens=False)["input_ids"])
        if asked > length // 2:
            raise BadInput(f"The question has {asked} tokens; {self._info.name} reads at most {length // 2}.")
        found = self._tokenizer(
            question,
            text,
            truncation="only_second",
            max_length=length,
            stride=min(STRIDE, (length - asked) // 2),
            return_overflowing_tokens=True,
            return_offsets_mapping=True,
            return_token_type_ids=True,
        )
        windows = []
        for at, tokens in enumerate(found["input_ids"]):
            parts, offsets = found.sequence_ids(at), found["offset_mapping"][at]
            places = tuple(tuple(one) if part == 1 else None for part, one in zip(parts, offsets, strict=True))
            windows.append(_Window(index, tuple(tokens), tuple(found["token_type_ids"][at]), places))
        return windows

    @torch.inference_mode()
    def _score(self, batch: Sequence[_Window]) -> list[tuple[_Window, torch.Tensor, torch.Tensor]]:
        """Logits of being the first and the last token of the answer, each (T), for every window."""
        if self._network is None:
            raise ModelFailed(f"{self._info.name} was closed.", code="model_closed")
        longest, device = max(len(one.tokens) for one in batch), self._place.device
        pad = self._tokenizer.pad_token_id or 0

        def padded(rows: Sequence[Sequence[int]], filler: int) -> torch.Tensor:
            return torch.tensor([[*row, *[filler] * (longest - len(row))] for row in rows], device=device)

        inputs = {
            "input_ids": padded([one.tokens for one in batch], pad),
            "attention_mask": padded([[1] * len(one.tokens) for one in batch], 0),
        }
        if int(getattr(self._network.config, "type_vocab_size", 0) or 0) > 1:
            inputs["token_type_ids"] = padded([one.types for one in batch], 0)
        out = self._network(**inputs)
        starts, ends = out.start_logits.float().cpu(), out.end_logits.float().cpu()
        return [(one, starts[at, : len(one.tokens)], ends[at, : len(one.tokens)]) for at, one in enumerate(batch)]


def best(text: str, scored: Sequence[tuple[_Window, torch.Tensor, torch.Tensor]]) -> Found | None:
    """The likeliest answer of all windows, unless "no answer" is likelier in every one of them."""
    answer, none = (float("-inf"), 0, 0, 0.0), (float("inf"), 0.0)
    for window, starts, ends in scored:
        if not bool(torch.isfinite(starts).all() and torch.isfinite(ends).all()):
            return None
        # The first token stands for "no answer": Rajpurkar et al. 2018, as BERT was trained on it.
        scale = float(starts.logsumexp(0) + ends.logsumexp(0))
        without = float(starts[0] + ends[0])
        none = min(none, (without, without - scale))
        inside = torch.tensor([place is not None and place[1] > place[0] for place in window.places])
        if not bool(inside.any()):
            continue
        count = min(_CANDIDATES, int(inside.sum()))
        hidden = float("-inf")
        first = starts.masked_fill(~inside, hidden).topk(count)
        last = ends.masked_fill(~inside, hidden).topk(count)
        sums = first.values[:, None] + last.values
        gaps = last.indices - first.indices[:, None]
        sums = sums.masked_fill((gaps < 0) | (gaps >= _LONGEST), hidden)
        at = int(sums.argmax())
        top = float(sums.flatten()[at])
        begin, end = window.places[int(first.indices[at // count])], window.places[int(last.indices[at % count])]
        if begin and end and top > answer[0]:
            answer = (top, begin[0], end[1], top - scale)
    if none[0] >= answer[0]:
        return Found("", 0, 0, float(torch.tensor(none[1]).exp()))
    __, begin_at, end_at, log_probability = answer
    return Found(text[begin_at:end_at], begin_at, end_at, float(torch.tensor(log_probability).exp()))


def _batches(windows: Sequence[_Window]) -> Iterator[list[_Window]]:
    batch: list[_Window] = []
    for one in windows:
        longest = max(len(one.tokens), *(len(other.tokens) for other in batch), 0)
        if batch and (len(batch) + 1) * longest > _AT_ONCE:
            yield batch
            batch = []
        batch.append(one)
    if batch:
        yield batch


def _told(index: int, found: Found | None, tokens: int) -> Delta:
    if found is None:
        error = "The model computed something that is no number; its weights are damaged."
        return Delta(request=index, finish_reason="error", error=error, prompt_tokens=tokens, output_tokens=0)
    words = len(found.text.split())
    sure = (math.log(found.score),) if found.score > 0 else ()
    return Delta(found.text or NO_ANSWER, index, "stop", prompt_tokens=tokens, output_tokens=words, logprobs=sure)


def _question(request: Request) -> tuple[str, str]:
    """
    Raises:
        BadInput: it is not a question with a text.
    """
    inputs = request.example.inputs
    if "question" not in inputs or "context" not in inputs:
        raise BadInput("This model answers questions from a text.", fix="palaver qa TEXT QUESTION", code="model_cannot")
    return inputs["question"], inputs["context"]
