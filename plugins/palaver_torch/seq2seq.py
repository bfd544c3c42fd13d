"""Models made for turning one text into another: Marian, NLLB, M2M100, mBART, T5, BART, Pegasus."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, cast

import torch
from transformers import AttentionInterface
from transformers.modeling_outputs import BaseModelOutput

from palaver import BadInput, ContextExceeded, Delta, FinishReason, GenerationConfig, ModelFailed, ModelInfo, Request
from palaver.choice import Languages, not_spoken
from palaver.pieces import Pieces
from palaver.tongues import code_of, is_token
from palaver_torch.beams import Group, Output, Source, groups_of
from palaver_torch.chunks import Chunk, by_lines, joined
from palaver_torch.device import leave_busy_cores
from palaver_torch.languages import fixed_pair
from palaver_torch.layout import Vocabulary, lay_out
from palaver_torch.search import Search
from palaver_torch.slots import cache_keyword
from palaver_torch.text import text_of
from palaver_torch.tree import BeamAttention, BeamCache

if TYPE_CHECKING:
    from palaver_torch.loader import Loaded

_ROWS = {"cpu": 512, "mps": 128, "cuda": 2048}
"""Beams of all texts together that one pass reads."""
_SOURCE_TOKENS = {"cpu": 8192, "mps": 4096, "cuda": 65536}
_PLAIN = frozenset(f"{one}ForConditionalGeneration" for one in ("Bart", "MBart", "M2M100", "Pegasus")) | {
    "MarianMTModel"
}
"""Logits are a product with what the decoder gives, and a bias: transformers adds it in a pass over all logits."""
_TRANSLATED_AT_ONCE = 128
"""Tokens. Translation models learn from sentences and drop some of longer texts."""


class Seq2SeqModel:
    """A loaded sequence-to-sequence model. What is longer than its window is cut into sentences and joined again."""

    def __init__(self, loaded: Loaded) -> None:
        self._info, self._place, self._tokenizer = loaded.info, loaded.place, loaded.tokenizer
        self._config = loaded.checkpoint.config
        self._defaults = loaded.network.generation_config
        self._attention = BeamAttention()
        name = f"palaver_{id(self._attention):x}"
        AttentionInterface.register(name, self._attention.attend)
        network = cast(Any, loaded.network)
        for config in (network.config, network.get_encoder().config, network.get_decoder().config):
            config._attn_implementation = name
        self._passes: _Passes | None = _Passes(network)
        found = fixed_pair(loaded.info.name) or fixed_pair(str(self._config.get("_name_or_path", "")))
        self._numbers = {token: one for token, one in sorted(self._tokenizer.get_vocab().items()) if is_token(token)}
        self._tokens = {code: token for token in self._numbers if (code := code_of(token))}
        """The token of each language, by its code."""
        self._source = getattr(self._tokenizer, "src_lang", None)
        """What the tokenizer takes a text to be in when nobody says."""
        self._pair = found if not self._tokens else None

    @property
    def info(self) -> ModelInfo:
        return self._info

    def stream(self, requests: Sequence[Request], config: GenerationConfig, cancel: threading.Event) -> Iterator[Delta]:
        """See `Model.stream`. Each answer comes when it is whole: a beam search knows its words at the end."""
        if self._passes is None:
            raise ModelFailed(f"{self._info.name} was closed.", code="model_closed")
        leave_busy_cores()
        answers: list[_Answer] = []
        for index, request in enumerate(requests):
            found = self._chunks(request)
            if isinstance(found, _Refused) and len(requests) == 1:
                raise found.error
            answers.append(_Answer(index, found))
        searches: dict[Search, list[tuple[_Answer, int]]] = {}
        for answer, request in zip(answers, requests, strict=True):
            for at in range(len(answer.chunks)):
                searches.setdefault(self._search(request), []).append((answer, at))
            if refused := answer.refused:
                error, count = refused.error, refused.tokens
                yield Delta("", answer.index, "error", error.message, prompt_tokens=count, code=error.code)
            elif not answer.chunks:
                yield Delta(request=answer.index, finish_reason="stop", prompt_tokens=0, output_tokens=0)
        for search, wanted in searches.items():
            sources = [
                Source(number, self._encode(requests[answer.index], answer.chunks[at].text))
                for number, (answer, at) in enumerate(wanted)
            ]
            for source, (answer, _) in zip(sources, wanted, strict=True):
                answer.prompt_tokens += len(source.tokens)
            for output in self._outputs(sources, search, config, cancel):
                answer, at = wanted[output.index]
                text, reason = self._text(output, config)
                count = sum(token not in search.ends for token in output.tokens)
                yield from answer.note(at, text, reason, count)
        self._passes.release()

    def close(self) -> None:
        self._passes = None
        self._attention.cache = None

    def _outputs(
        self, sources: Sequence[Source], search: Search, config: GenerationConfig, cancel: threading.Event
    ) -> Iterator[Output]:
        assert self._passes is not None
        kind = self._place.device.type
        beams = search.beams if config.temperature <= 0 else 1
        limit = min(config.max_new_tokens, (self._info.context or 10**6) - 1)
        rows = max(1, _ROWS.get(kind, 128) // beams)
        for group in groups_of(sources, rows=rows, tokens=_SOURCE_TOKENS.get(kind, 4096)):
            if cancel.is_set():
                yield from (Output(one.index, (), "cancelled") for one in group)
                continue
            pad = cast(int, self._tokenizer.pad_token_id or 0)
            state = Group(self._passes, self._attention, group, search, config, limit=limit, pad=pad, place=self._place)
            yield from state.run(cancel)

    def _text(self, output: Output, config: GenerationConfig) -> tuple[str, FinishReason]:
        pieces = Pieces(text_of(self._tokenizer), config.stop)
        text = pieces.push(output.tokens) + pieces.finish()
        return text.strip(), "stop" if pieces.stopped else output.reason

    def _chunks(self, request: Request) -> list[Chunk] | _Refused:
        """Lines of what is translated; every other text as a whole: the caller cuts what is longer than the window."""
        text, window = _text_of(request), (self._info.context or 512) - 1
        if request.task == "translate":
            most = min(window, _TRANSLATED_AT_ONCE)
            return by_lines(text, lambda text: len(self._encode(request, text)) <= most)
        if not text.strip():
            return []
        if (count := len(self._encode(request, text))) > window:
            error = ContextExceeded(
                f"The input has {count:,} tokens; {self._info.name} reads at most {window:,}.",
                fix="Shorten the input, or use a model with a longer context.",
            )
            return _Refused(error, count)
        return [Chunk("", text)]

    def _encode(self, request: Request, text: str) -> list[int]:
        """Tokens of a chunk, with what tells the model its task or its languages."""
        source, target = self._languages_of(request)
        tokenizer = cast(Any, self._tokenizer)
        if hasattr(tokenizer, "src_lang"):
            token = self._tokens.get(source, "")
            tokenizer.src_lang = token.strip("_") or self._source
        prefix = _prefix(self._config, request.task, source, target)
        if (token := self._tokens.get(target, "")).startswith(">>"):
            prefix = f"{token} "
        return list(tokenizer(prefix + text)["input_ids"])

    def _languages_of(self, request: Request) -> tuple[str, str]:
        """
        Raises:
            BadInput: the model does not know one of the two.
        """
        if request.task != "translate":
            return "", ""
        told = (
            request.options.get("source") or request.example.source_language,
            request.options.get("target") or request.example.language,
        )
        source, target = (code_of(str(one or "")) or str(one or "") for one in told)
        if self._pair is not None:
            for wanted, known, word in ((source, self._pair[0], "from"), (target, self._pair[1], "into")):
                if wanted and wanted != known:
                    raise BadInput(
                        f"{self._info.name} translates from {self._pair[0]} into {self._pair[1]}, not {word} {wanted}.",
                        fix="palaver models list",
                        code="model_cannot",
                    )
        elif any(token.startswith(">>") for token in self._tokens.values()):
            self._refuse_unknown("", target)
        elif self._tokens:
            self._refuse_unknown(source, target)
        return source, target

    def _refuse_unknown(self, source: str, target: str) -> None:
        """
        Raises:
            BadInput: one of the two has no token here.
        """
        if any(one and one not in self._tokens for one in (source, target)):
            known = replace(self._info, languages=tuple(self._tokens), pairs=())
            raise not_spoken(known, Languages(source, target))

    def _search(self, request: Request) -> Search:
        special = cast("Mapping[str, object]", self._config.get("task_specific_params") or {})
        key, (source, target) = _task_key(request.task), self._languages_of(request)
        named = special.get(key) or special.get(f"translation_{source}_to_{target}") or {}
        return read_search(self._defaults, cast("Mapping[str, Any]", named), self._forced(target))

    def _forced(self, target: str) -> int | None:
        token = self._tokens.get(target, "")
        return self._numbers[token] if token and not token.startswith(">>") else None


class _Passes:
    """The two halves of a transformers encoder-decoder."""

    def __init__(self, network: Any) -> None:
        self._network = network
        self._cache = cache_keyword(network.forward)
        self._is_plain = type(network).__name__ in _PLAIN
        bias = getattr(network, "final_logits_bias", None) if self._is_plain else None  # (1, V)
        self._head = network.lm_head = Vocabulary(network.lm_head.weight, bias[0] if bias is not None else None)
        lay_out(network)

    def encode(self, tokens: torch.Tensor, mask: torch.Tensor | None) -> torch.Tensor:
        found: torch.Tensor = self._network.get_encoder()(input_ids=tokens, attention_mask=mask).last_hidden_state
        return found

    def decode(
        self, tokens: torch.Tensor, encoded: torch.Tensor, mask: torch.Tensor | None, cache: BeamCache
    ) -> torch.Tensor:
        if self._is_plain:
            found = self._network.get_decoder()(
                input_ids=tokens[:, None],
                encoder_hidden_states=encoded,
                encoder_attention_mask=mask,
                use_cache=True,
                **{self._cache: cache},
            )
            return cast(torch.Tensor, self._head(found.last_hidden_state[:, -1]))
        logits: torch.Tensor = self._network(
            encoder_outputs=BaseModelOutput(last_hidden_state=encoded),
            attention_mask=mask,
            decoder_input_ids=tokens[:, None],
            use_cache=True,
            **{self._cache: cache},
        ).logits
        return logits[:, -1]

    def release(self) -> None:
        """Give the memory back that only a search needs."""
        self._head.release()


@dataclass(frozen=True, slots=True)
class _Refused:
    """A text that is longer than the window."""

    error: ContextExceeded
    tokens: int


class _Answer:
    """The chunks of one request on their way."""

    def __init__(self, index: int, found: Sequence[Chunk] | _Refused) -> None:
        self.index = index
        self.refused = found if isinstance(found, _Refused) else None
        self.chunks: Sequence[Chunk] = () if isinstance(found, _Refused) else found
        self.prompt_tokens = 0
        self._output_tokens = 0
        self._texts: dict[int, str] = {}
        self._reasons: list[FinishReason] = []
        self._told = 0

    def note(self, at: int, text: str, reason: FinishReason, tokens: int) -> Iterator[Delta]:
        """One chunk is done: what can be told now, in the order of the text."""
        self._texts[at] = text
        self._reasons.append(reason)
        self._output_tokens += tokens
        ready = self._told
        while ready in self._texts:
            ready += 1
        piece = joined(self.chunks[self._told : ready], [self._texts[one] for one in range(self._told, ready)])
        self._told = ready
        if len(self._texts) < len(self.chunks):
            if piece:
                yield Delta(piece, self.index)
            return
        worst = next((one for one in ("error", "cancelled", "length") if one in self._reasons), "stop")
        yield Delta(
            piece,
            self.index,
            cast(FinishReason, worst),
            "The model computed something that is no number; its weights are damaged." if worst == "error" else "",
            self.prompt_tokens,
            self._output_tokens,
        )


def read_search(defaults: Any, special: Mapping[str, Any], forced_first: int | None) -> Search:
    """The search that a generation config asks for, with a task's own wishes above."""

    def value(name: str, otherwise: Any) -> Any:
        found = special.get(name, getattr(defaults, name, None))
        return otherwise if found is None else found

    ends = value("eos_token_id", ())
    bad = value("bad_words_ids", ())
    forced_last = value("forced_eos_token_id", None)
    return Search(
        start=int(value("decoder_start_token_id", value("bos_token_id", 0))),
        ends=tuple(ends) if isinstance(ends, list | tuple) else (int(ends),),
        beams=int(value("num_beams", 1)),
        length_penalty=float(value("length_penalty", 1.0)),
        early_stopping=value("early_stopping", False),
        suppressed=tuple(words[0] for words in bad if len(words) == 1) + tuple(value("suppress_tokens", ())),
        forced_first=forced_first if forced_first is not None else value("forced_bos_token_id", None),
        forced_last=forced_last[0] if isinstance(forced_last, list) else forced_last,
        least=max(0, int(value("min_length", 0)) - 1),  # min_length counts the start token
        no_repeat=int(value("no_repeat_ngram_size", 0)),
        repetition_penalty=float(value("repetition_penalty", 1.0)),
        renormalize=bool(value("renormalize_logits", False)),
    )


def _prefix(config: Mapping[str, object], task: str, source: str, target: str) -> str:
    """What T5 was taught to be told first."""
    special = config.get("task_specific_params")
    if not isinstance(special, dict):
        return ""
    named = special.get(_task_key(task)) or special.get(f"translation_{source}_to_{target}")
    return str(named.get("prefix") or "") if isinstance(named, dict) else ""


def _task_key(task: str) -> str:
    return "summarization" if task == "summarize" else task


def _text_of(request: Request) -> str:
    """The text to work on: the example's own, else what the user said last."""
    if "text" in request.example.inputs:
        return request.example["text"]
    said = [one.content for one in request.messages if one.role == "user"]
    return said[-1] if said else ""
