"""A model of transformers as something to train: loaded safely, lessons as token ids, losses, and saved again.

Letters: B batch, S time of the input, T time of the answer, V vocabulary.
"""

from __future__ import annotations

import dataclasses
import json
import shutil
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, cast

import torch
import transformers
from torch import Tensor
from torch.nn import functional as F

from palaver import ModelFailed, weights
from palaver.tongues import code_of, token_of
from palaver_train.finetuning.examples import Lesson
from palaver_train.finetuning.settings import Lora
from palaver_train.needs import require

NOTHING = -100
"""A target that is no target: padding, and the prompt."""
_TUNED = "finetune.json"


@dataclass(frozen=True, slots=True)
class Encoded:
    """A lesson as token ids. The targets of a causal model lie under its input, those of the others apart."""

    inputs: list[int]
    targets: list[int]


class Base(Protocol):
    """What is trained."""

    network: Any

    def encode(self, lesson: Lesson) -> Encoded: ...

    def losses(self, lessons: Sequence[Encoded]) -> tuple[Tensor, int]:
        """The cross-entropy summed over the targets of a batch, and their number."""
        ...


def load(folder: Path, lora: Lora | None, languages: tuple[str, str]) -> Base:
    """The model in a folder, with LoRA's updates beside its weights if they are wanted.

    Raises:
        ModelFailed: it cannot be loaded safely, or is of no kind that can be trained.
    """
    try:
        config = json.loads((folder / "config.json").read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise ModelFailed(
            f"{folder} holds no model of transformers that can be read.",
            fix="Give the folder of a model with a config.json and safetensors.",
            code="model_damaged",
        ) from error
    is_seq2seq = bool(config.get("is_encoder_decoder"))
    loader: Any = transformers.AutoModelForSeq2SeqLM if is_seq2seq else transformers.AutoModelForCausalLM
    cast(Any, transformers).logging.disable_progress_bar()
    told: dict[str, Any] = {"trust_remote_code": False, "local_files_only": True}
    try:
        network = loader.from_pretrained(str(folder), use_safetensors=True, dtype=torch.float32, **told)
        tokenizer = transformers.AutoTokenizer.from_pretrained(str(folder), **told)
    except Exception as error:  # transformers, safetensors and tokenizers raise whatever they like
        raise ModelFailed(
            f"{folder} cannot be loaded: {type(error).__name__}: {' '.join(str(error).split())[:200]}",
            fix="Use a causal or sequence-to-sequence model whose weights are safetensors.",
            code="model_damaged",
        ) from error
    network.config.use_cache = False
    if lora:
        network = _with_lora(network, lora, is_seq2seq=is_seq2seq)
    return Seq2Seq(network, tokenizer, languages) if is_seq2seq else Causal(network, tokenizer)


def _with_lora(network: Any, lora: Lora, *, is_seq2seq: bool) -> Any:
    require("peft")
    from peft import LoraConfig, get_peft_model

    kind = "SEQ_2_SEQ_LM" if is_seq2seq else "CAUSAL_LM"
    told = LoraConfig(
        r=lora.rank, lora_alpha=lora.alpha, lora_dropout=lora.dropout, target_modules="all-linear", task_type=kind
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # peft asks transformers under an old name
        return get_peft_model(network, told)


class Causal:
    """A model that goes on with its input: only the answer is a target."""

    def __init__(self, network: Any, tokenizer: Any) -> None:
        self.network, self.tokenizer = network, tokenizer

    def encode(self, lesson: Lesson) -> Encoded:
        """The prompt as the model's own template has it, the answer, and the end."""
        end = [self.tokenizer.eos_token_id] if self.tokenizer.eos_token_id is not None else []
        text = lesson.answer
        if self.tokenizer.chat_template:
            said = [{"role": one.role, "content": one.content} for one in lesson.messages]
            prompt = self.tokenizer.apply_chat_template(said, add_generation_prompt=True, return_dict=False)
        else:  # as it will be asked: the messages and nothing after them
            prompt, text = (
                self.tokenizer("\n\n".join(one.content for one in lesson.messages))["input_ids"],
                f"\n\n{text}",
            )
        answer = self.tokenizer(text, add_special_tokens=False)["input_ids"] + end
        return Encoded([*prompt, *answer], [NOTHING] * len(prompt) + answer)

    def losses(self, lessons: Sequence[Encoded]) -> tuple[Tensor, int]:
        """Targets are one place after what predicts them."""
        device = self.network.device
        inputs, mask = _padded([one.inputs for one in lessons], 0, device)
        targets, _ = _padded([one.targets for one in lessons], NOTHING, device)
        logits = self.network(input_ids=inputs, attention_mask=mask).logits  # (B, S, V)
        return _cross_entropy(logits[:, :-1], targets[:, 1:])


class Seq2Seq:
    """A model that reads one text and writes another."""

    def __init__(self, network: Any, tokenizer: Any, languages: tuple[str, str]) -> None:
        self.network, self.tokenizer = network, tokenizer
        for name, language in zip(("src_lang", "tgt_lang"), languages, strict=True):
            if language and hasattr(tokenizer, name):  # NLLB, mBART, M2M-100
                token = token_of(code_of(language), tokenizer.get_vocab())
                setattr(tokenizer, name, token.strip("_") or language)

    def encode(self, lesson: Lesson) -> Encoded:
        """The input's tokens and the answer's, each with the marks that the model was made with."""
        inputs = list(self.tokenizer(lesson.text)["input_ids"])
        return Encoded(inputs, list(self.tokenizer(text_target=lesson.answer)["input_ids"]))

    def losses(self, lessons: Sequence[Encoded]) -> tuple[Tensor, int]:
        """The model shifts the targets to the right by itself."""
        device = self.network.device
        inputs, mask = _padded([one.inputs for one in lessons], self.tokenizer.pad_token_id or 0, device)
        targets, _ = _padded([one.targets for one in lessons], NOTHING, device)
        logits = self.network(input_ids=inputs, attention_mask=mask, labels=targets).logits  # (B, T, V)
        return _cross_entropy(logits, targets)


def _padded(rows: Sequence[Sequence[int]], value: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Rows as one tensor (B, S), and 1 where it is real (B, S)."""
    longest = max(map(len, rows))
    found = torch.full((len(rows), longest), value, dtype=torch.long)
    mask = torch.zeros((len(rows), longest), dtype=torch.long)
    for index, row in enumerate(rows):
        found[index, : len(row)] = torch.tensor(row)
        mask[index, : len(row)] = 1
    return found.to(device), mask.to(device)


def _cross_entropy(logits: Tensor, targets: Tensor) -> tuple[Tensor, int]:
    is_real = targets != NOTHING
    loss = F.cross_entropy(logits[is_real].float(), targets[is_real], reduction="sum")
    return loss, int(is_real.sum())


def save(base: Base, source: Path, out: Path, told: Mapping[str, object]) -> None:
    """Write the tuned model as a folder like its base's, LoRA's updates added to the weights; whole, or not at all.

    Raises:
        ModelFailed: the disk is full; what was in the folder is as it was.
    """
    network = cast(Any, base).network
    tokenizer = cast(Any, base).tokenizer
    if hasattr(network, "merge_and_unload"):
        network = network.merge_and_unload()
    network.config.use_cache = True
    draft = out.with_name(f".{out.name}.new")
    shutil.rmtree(draft, ignore_errors=True)
    try:
        draft.mkdir(parents=True)
        network.save_pretrained(str(draft))
        tokenizer.save_pretrained(str(draft))
        for one in source.iterdir():  # templates and word lists that the tokenizer does not write by itself
            is_text = one.suffix in (".json", ".txt", ".model", ".spm", ".jinja")
            is_of_weights = "index" in one.name or one.name == weights.MANIFEST
            if is_text and not is_of_weights and not (draft / one.name).exists():
                shutil.copyfile(one, draft / one.name)
        (draft / _TUNED).write_text(json.dumps(told, indent=1, ensure_ascii=False), "utf-8")
        entries = {}
        for one in sorted(draft.glob("*.safetensors")):
            digest = weights.hash_file(one)
            entries[one.name] = weights.Entry.now(one.name, digest, one.stat().st_size, "palaver train finetune")
        weights.write_manifest(draft, entries)
        _move(draft, out)
    except OSError as error:
        shutil.rmtree(draft, ignore_errors=True)
        raise ModelFailed(
            f"The tuned model cannot be written to {out}: {error.strerror or error}.",
            fix="Make room, or give another --out.",
            code="checkpoint_failed",
        ) from error


def _move(draft: Path, out: Path) -> None:
    """Files of the run that are there already - its metrics - stay."""
    if out.exists():
        for one in out.iterdir():
            if not (draft / one.name).exists():
                one.rename(draft / one.name)
        shutil.rmtree(out)
    draft.rename(out)
    weights.sync_folder(out.parent)


def describe(base: Base) -> dict[str, int]:
    """How many weights there are, and how many of them learn."""
    sizes = [(one.numel(), one.requires_grad) for one in base.network.parameters()]
    return {"parameters": sum(size for size, _ in sizes), "trained": sum(size for size, learns in sizes if learns)}


def trained_state(base: Base) -> dict[str, Tensor]:
    """A copy of the weights that learn."""
    return {name: one.detach().clone() for name, one in base.network.named_parameters() if one.requires_grad}


def restore(base: Base, state: Mapping[str, Tensor]) -> None:
    """Put a copy back."""
    with torch.no_grad():
        for name, one in base.network.named_parameters():
            if name in state:
                one.copy_(state[name])


def as_json(lora: Lora | None) -> dict[str, Any] | None:
    """LoRA's settings as plain values."""
    return dataclasses.asdict(lora) if lora else None
