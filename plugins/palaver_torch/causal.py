"""Models that go on writing: chats, instruction followers, plain language models."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, cast

import torch
from transformers import AttentionInterface

from palaver import ContextExceeded, Delta, GenerationConfig, ModelFailed, ModelInfo, Request
from palaver.pieces import Pieces
from palaver_torch.decode import CausalForward, Job, Limits, Writer, Written
from palaver_torch.device import cache_budget, leave_busy_cores
from palaver_torch.graphs import CardWriter, writer_of
from palaver_torch.lean import llama_of
from palaver_torch.slots import SlotCache
from palaver_torch.text import text_of

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

    from palaver_torch.loader import Loaded

_MOST_ROWS = {"cpu": 128, "mps": 64, "cuda": 1024}
_FLUSH = 16
"""Tokens of one text in a batch between two pieces: nobody reads along there."""
_MANY, _FLUSH_OF_MANY = 128, 256
"""Texts in a batch that a graphics card writes faster than small pieces are cut."""
_QUIET = 10.0
"""Seconds without a piece after which one is told early: who waits is to hear that work goes on."""


class Writes(Protocol):
    """What writes the tokens: `decode.Writer` for many texts at once, `stream.Streamer` for one."""

    def write(
        self,
        jobs: Sequence[Job],
        config: GenerationConfig,
        limits: Limits,
        cancel: threading.Event,
        *,
        stopped: set[int],
        reuse: bool = False,
        scored: bool = False,
    ) -> Iterator[Written]: ...


@dataclass(frozen=True, slots=True)
class Causal:
    """The parts of a causal model, wherever its weights came from."""

    info: ModelInfo
    device: torch.device
    tokenizer: PreTrainedTokenizerBase
    writer: Writes
    size: int
    """Weights."""
    token_bytes: int
    """Of keys and values, for one token."""


def of_checkpoint(loaded: Loaded) -> CausalModel:
    """A model of transformers', with its own forward pass where ours does not know the architecture.

    Raises:
        ModelFailed: the model's attention is not plain keys and values with positions that can be given.
    """
    network, device = loaded.network, loaded.place.device
    size, token_bytes = sum(one.numel() for one in network.parameters()), _bytes_a_token(loaded)
    found = llama_of(network, loaded.place.dtype)
    writer: Writes
    if found is not None:
        writer = writer_of(found, loaded.place, _end_tokens(loaded))
    else:
        _refuse_what_slots_cannot(loaded)
        slots = SlotCache(loaded.place.dtype)
        # transformers finds attention functions by name; this model's own one reads this model's slots.
        name = f"palaver_{id(slots):x}"
        AttentionInterface.register(name, slots.attend)
        network.config._attn_implementation = name
        network.config.get_text_config()._attn_implementation = name
        writer = Writer(cast(CausalForward, network), slots, ends=_end_tokens(loaded), device=device)
    return CausalModel(Causal(loaded.info, device, loaded.tokenizer, writer, size, token_bytes))


class CausalModel:
    """A loaded causal model."""

    def __init__(self, parts: Causal) -> None:
        self._info, self._device, self._tokenizer = parts.info, parts.device, parts.tokenizer
        self._size, self._token_bytes = parts.size, parts.token_bytes
        self._writer: Writes | None = parts.writer

    @property
    def info(self) -> ModelInfo:
        return self._info

    def stream(self, requests: Sequence[Request], config: GenerationConfig, cancel: threading.Event) -> Iterator[Delta]:
        """See `Model.stream`. In a batch, a prompt longer than the window ends its own request only."""
        if self._writer is None:
            raise ModelFailed(f"{self._info.name} was closed.", code="model_closed")
        leave_busy_cores()
        prompts = self._prompts(requests)
        limits = self._limits(config, prompts)
        jobs: dict[int, Job] = {}
        for index, prompt in enumerate(prompts):
            try:
                jobs[index] = self._job(index, prompt, config, limits)
            except ContextExceeded as error:
                if len(requests) == 1:
                    raise
                yield Delta("", index, "error", error.message, prompt_tokens=len(prompt), code=error.code)
        if not jobs:
            return
        answers = {index: _Answer(job, Pieces(text_of(self._tokenizer), config.stop)) for index, job in jobs.items()}
        stopped: set[int] = set()
        told = time.monotonic()
        flush = 1 if len(requests) == 1 or config.stop else _FLUSH if len(requests) < _MANY else _FLUSH_OF_MANY
        reuse = len(requests) == 1 and requests[0].task == "chat"
        scored = any(one.logprobs for one in requests)
        work = list(jobs.values())
        for one in self._writer.write(work, config, limits, cancel, stopped=stopped, reuse=reuse, scored=scored):
            if one.index not in stopped:
                is_quiet = time.monotonic() - told > _QUIET
                for delta in answers[one.index].deltas(one, 1 if is_quiet else flush, stopped):
                    told = time.monotonic()
                    yield delta

    def close(self) -> None:
        self._writer = None

    def _prompts(self, requests: Sequence[Request]) -> list[list[int]]:
        """The tokens of all requests: many are cut at once, on several threads, where no template objects."""
        tokenizer = self._tokenizer
        if len(requests) > 1 and tokenizer.chat_template:
            told = [[{"role": one.role, "content": _whole(one.content)} for one in each.messages] for each in requests]
            with contextlib.suppress(Exception):  # a template may raise anything: each request is then looked at alone
                found = tokenizer.apply_chat_template(told, add_generation_prompt=True, return_dict=False)
                return cast("list[list[int]]", found)
        return [self._tokens(request) for request in requests]

    def _tokens(self, request: Request) -> list[int]:
        messages = [{"role": one.role, "content": _whole(one.content)} for one in request.messages]
        tokenizer = self._tokenizer
        if not tokenizer.chat_template:
            text = "\n\n".join(one["content"] for one in messages)
            return list(tokenizer(text)["input_ids"]) or [_first_token(tokenizer)]
        try:
            found = tokenizer.apply_chat_template(messages, add_generation_prompt=True, return_dict=False)
        except Exception:  # a template may raise anything: some know no system messages
            found = tokenizer.apply_chat_template(
                _without_system(messages), add_generation_prompt=True, return_dict=False
            )
        return [int(token) for token in cast("list[int]", found)]

    def _job(self, index: int, prompt: list[int], config: GenerationConfig, limits: Limits) -> Job:
        beyond = 0 if isinstance(self._writer, CardWriter) else limits.burst - 1  # steps that nobody will read
        context = (self._info.context or len(prompt) + config.max_new_tokens) - beyond
        if len(prompt) >= context:
            raise ContextExceeded(
                f"The input has {len(prompt):,} tokens; {self._info.name} reads at most {context:,}, "
                "its answer included.",
                fix="Shorten the input, or use a model with a longer context.",
            )
        return Job(index, prompt, min(config.max_new_tokens, context - len(prompt)))

    def _limits(self, config: GenerationConfig, prompts: Sequence[Sequence[int]]) -> Limits:
        """How many rows the memory takes, and how many prompt tokens a pass may have and still hear a cancel."""
        device = self._device
        longest = min(max(map(len, prompts)) + config.max_new_tokens, self._info.context or 10**9)
        if isinstance(self._writer, CardWriter):
            return self._writer.limits(longest, len(prompts))
        fitting = cache_budget(device) // max(1, longest * self._token_bytes)
        rows = max(1, min(_MOST_ROWS.get(device.type, 64), fitting))
        if device.type == "cuda":
            return Limits(rows, prefill=8192, burst=8 if len(prompts) > 1 else 1)
        # About 0.3 s a pass: 2 operations a weight and token, some 250 billion a second of two cores.
        return Limits(rows, prefill=min(512, max(32, int(70e9 / self._size))))


class _Answer:
    """The text of one request on its way out."""

    def __init__(self, job: Job, pieces: Pieces) -> None:
        self._job, self._pieces = job, pieces
        self._waiting: list[int] = []
        self._sure: list[float] = []
        self._count = 0

    def deltas(self, written: Written, flush: int, stopped: set[int]) -> Iterator[Delta]:
        self._waiting.extend(written.tokens)
        self._sure.extend(written.logprobs)
        self._count += len(written.tokens)
        text = ""
        if len(self._waiting) >= flush or written.reason:
            text, self._waiting = self._pieces.push(self._waiting), []
        reason = written.reason
        if reason:
            text += self._pieces.finish()
        if self._pieces.stopped:
            stopped.add(self._job.index)
            reason = "stop"
        error = "The model computed something that is no number; its weights are damaged." if reason == "error" else ""
        if text and not reason:
            sure, self._sure = tuple(self._sure), []
            yield Delta(text, self._job.index, logprobs=sure)
        elif reason:
            sure = tuple(self._sure)
            yield Delta(text, self._job.index, reason, error, len(self._job.prompt), self._count, sure)


def _refuse_what_slots_cannot(loaded: Loaded) -> None:
    """
    Raises:
        ModelFailed: the model's attention is not plain keys and values with positions that can be given.
    """
    text = loaded.network.config.get_text_config()
    kinds = set(getattr(text, "layer_types", None) or ()) - {"full_attention", "sliding_attention"}
    odd = (
        not getattr(type(loaded.network), "_supports_attention_backend", False)
        or kinds
        or getattr(text, "attn_logit_softcapping", None)
        or loaded.checkpoint.config.get("model_type") == "gpt_oss"  # attention sinks
    )
    if odd:
        raise ModelFailed(
            f"{loaded.info.name} ({loaded.checkpoint.architecture}) has a kind of attention that is not supported yet.",
            fix="Use the model as a GGUF file, or through a server.",
            code="model_unsupported",
        )


def _bytes_a_token(loaded: Loaded) -> int:
    text = loaded.network.config.get_text_config()
    heads = getattr(text, "num_key_value_heads", None) or text.num_attention_heads
    width = getattr(text, "head_dim", None) or text.hidden_size // text.num_attention_heads
    return int(2 * text.num_hidden_layers * heads * width * torch.finfo(loaded.place.dtype).bits // 8)


def _end_tokens(loaded: Loaded) -> frozenset[int]:
    named = getattr(loaded.network.generation_config, "eos_token_id", None)
    found = [*named] if isinstance(named, list) else [named]
    found.append(loaded.tokenizer.eos_token_id)
    return frozenset(one for one in found if isinstance(one, int))


def _first_token(tokenizer: object) -> int:
    for name in ("bos_token_id", "eos_token_id"):
        if (token := getattr(tokenizer, name, None)) is not None:
            return int(token)
    return 0


def _without_system(messages: list[dict[str, str]]) -> list[dict[str, str]]:
    """The system messages as the beginning of the user's first."""
    system = "\n\n".join(one["content"] for one in messages if one["role"] == "system")
    rest = [one for one in messages if one["role"] != "system"]
    if rest and system:
        rest[0] = {**rest[0], "content": f"{system}\n\n{rest[0]['content']}"}
    return rest or [{"role": "user", "content": system}]


def _whole(text: str) -> str:
    """Half a surrogate pair is not UTF-8 and would be refused."""
    return text.encode("utf-8", "replace").decode("utf-8")
