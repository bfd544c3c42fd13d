"""What a training run is told: data, tokens, shape of the network, training; each field a flag and a line of TOML."""

from __future__ import annotations

import dataclasses
import json
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints

from palaver import UsageError

Kind = Literal["lm", "autoencoder", "seq2seq"]

ARCHITECTURES: Mapping[Kind, Mapping[str, str]] = {
    "lm": {"transformer": "transformer_lm.v1", "lstm": "lstm_lm.v1"},
    "autoencoder": {"lstm": "lstm_autoencoder.v1", "embedding": "embedding_autoencoder.v1"},
    "seq2seq": {"transformer": "transformer_seq2seq.v1", "lstm": "lstm_seq2seq.v1"},
}
"""The names that a user types, and what they are called in a checkpoint; the first of a kind is its default."""


def told(default: Any, text: str) -> Any:
    """A field with its default and its help."""
    return field(default=default, metadata={"help": text})


@dataclass(frozen=True, slots=True)
class Data:
    """Where the text is, and how it is split."""

    text: str = told(
        "", "Text to learn from: a file, also *.gz. For lm one running text, for autoencoder a text a line."
    )
    source: str = told("", "Texts to read, one a line; or JSONL, CSV, TSV, Parquet with both sides as columns.")
    target: str = told("", "Texts to write, line by line with the source.")
    source_column: str = told("source", "The source's column, where --source is a table.")
    target_column: str = told("target", "The target's column, where --source is a table.")
    valid: str = told("", "Text to validate on; without it a share of the text is kept back.")
    valid_source: str = told("", "Sources to validate on; without them a share of the pairs is kept back.")
    valid_target: str = told("", "Targets to validate on.")
    valid_share: float = told(0.1, "Share that is kept back for validation.")
    test_share: float = told(0.0, "Share that is kept back and never looked at; it is written beside the run.")
    normalize: Literal["nfc", "nfkc", "none"] = told("nfc", "Unicode normalisation.")
    lowercase: bool = told(False, "Learn and write in lower case.")
    task: str = told("", "What a seq2seq model is for: translate, summarize or generate.")
    source_language: str = told("", "Language of the sources, as in: en")
    target_language: str = told("", "Language of the targets, as in: de")


@dataclass(frozen=True, slots=True)
class Tokens:
    """How text becomes tokens."""

    tokenizer: Literal["char", "word", "bpe", "unigram"] = told(
        "bpe", "What a token is; it is learnt from the training text."
    )
    vocabulary: int = told(8000, "Most tokens in the vocabulary.")


@dataclass(frozen=True, slots=True)
class Shape:
    """Size of the network."""

    architecture: str = told("", "transformer or lstm; for an autoencoder lstm or embedding.")
    layers: int = told(4, "Layers; for seq2seq of each side.")
    heads: int = told(4, "Heads of attention.")
    width: int = told(256, "Width of the network.")
    feed_forward: int = told(0, "Width inside the feed-forward layers; 0 is four times the width.")
    context: int = told(256, "Tokens that the network sees at most.")
    dropout: float = told(0.1, "Share of activations that is dropped in training.")


@dataclass(frozen=True, slots=True)
class Training:
    """How the network learns."""

    steps: int = told(0, "Updates of the weights; 0 goes by --epochs.")
    epochs: float = told(10.0, "Passes over the data, where --steps is 0.")
    minutes: float = told(0.0, "End after this much time, if it is not over before; 0 has no limit.")
    batch: int = told(32, "Texts, pairs or windows in a batch.")
    batch_tokens: int = told(0, "Instead of --batch: tokens of the longer side in a batch of pairs, padding included.")
    accumulate: int = told(1, "Batches whose gradients make one step.")
    learning_rate: float = told(1e-3, "The highest learning rate.")
    warmup: int = told(100, "Steps in which the learning rate rises.")
    decay: Literal["cosine", "inverse-sqrt", "none"] = told("cosine", "How the learning rate falls after the warm-up.")
    final_share: float = told(0.1, "The learning rate at the end of a cosine, as a share of the highest.")
    weight_decay: float = told(0.1, "Decay of matrices, as in AdamW.")
    beta2: float = told(0.99, "AdamW's memory of squared gradients.")
    clip: float = told(1.0, "Longest gradient; a longer one is shortened. 0 is off.")
    label_smoothing: float = told(0.0, "Share of probability that is spread over all tokens.")
    guided_attention: float = told(0.0, "Weight of the loss that wants attention near the diagonal; seq2seq.")
    noise: float = told(0.0, "Share of tokens that a denoising autoencoder does not get to see.")
    precision: Literal["auto", "float32", "bfloat16"] = told("auto", "bfloat16 computes matrix products in 16 bits.")
    patience: int = told(0, "End when so many evaluations in a row were not better; 0 is off.")
    evaluate_every: int = told(0, "Steps between evaluations; 0 is once an epoch, and ten times in all at least.")
    evaluate_batches: int = told(0, "Most batches of an evaluation; 0 takes all.")
    log_every: int = told(0, "Steps between lines; 0 is a fifth of --evaluate-every.")
    keep: int = told(0, "Checkpoints that are kept, spread over the run; 0 keeps the last two. The best always is.")
    seed: int = told(1, "The same seed gives the same run on the same machine.")
    parallel: Literal["ddp", "fsdp"] = told("ddp", "Under torchrun: whole copies of the weights, or shards (FSDP2).")


@dataclass(frozen=True, slots=True)
class Run:
    """All of one training run. What is not said has the value that suits the kind."""

    kind: Kind
    data: Data = Data()
    tokens: Tokens = Tokens()
    shape: Shape = Shape()
    training: Training = Training()

    @property
    def architecture(self) -> str:
        """The versioned name, `lstm_lm.v1`."""
        return ARCHITECTURES[self.kind][self.shape.architecture]

    def to_json(self) -> dict[str, Any]:
        """The run as plain values; `from_json` reads it back."""
        return dataclasses.asdict(self)

    @staticmethod
    def from_json(values: Mapping[str, Any]) -> Run:
        """
        Raises:
            UsageError: it names what there is not.
        """
        given = {name: value for section in SECTIONS for name, value in dict(values.get(section) or {}).items()}
        return make_run(values["kind"], given)


SECTIONS: Mapping[str, type[Any]] = {"data": Data, "tokens": Tokens, "shape": Shape, "training": Training}

DEFAULTS: Mapping[Kind, Mapping[str, Any]] = {
    "lm": {"tokenizer": "char"},
    "autoencoder": {"layers": 1, "context": 64, "dropout": 0.2, "learning_rate": 2e-3},
    "seq2seq": {
        "layers": 3, "dropout": 0.2, "context": 128, "valid_share": 0.05, "batch": 64, "label_smoothing": 0.1,
        "beta2": 0.98, "weight_decay": 0.01, "warmup": 400, "decay": "inverse-sqrt",
    },
}  # fmt: skip
"""Where a kind wants something else than the dataclasses say."""


def fields() -> list[tuple[str, dataclasses.Field[Any], type, tuple[str, ...]]]:
    """Every setting: its section, the field, its scalar type, and its choices if it has some."""
    found = []
    for section, cls in SECTIONS.items():
        hints = get_type_hints(cls)
        for one in dataclasses.fields(cls):
            hint = hints[one.name]
            choices = tuple(map(str, get_args(hint))) if get_origin(hint) is Literal else ()
            found.append((section, one, str if choices else hint, choices))
    return found


def make_run(kind: Kind, given: Mapping[str, Any]) -> Run:
    """The run with these settings, by their flat names.

    Raises:
        UsageError: an unknown setting, or a value that it cannot have.
    """
    known = {one.name: (section, scalar, choices) for section, one, scalar, choices in fields()}
    parts: dict[str, dict[str, Any]] = {section: {} for section in SECTIONS}
    for name, value in {**DEFAULTS[kind], **given}.items():
        if name not in known:
            raise UsageError(f"There is no setting '{name}'.", fix=f"palaver train {kind} --help")
        section, scalar, choices = known[name]
        parts[section][name] = _checked(name, value, scalar, choices)
    run = Run(kind, *(cls(**parts[section]) for section, cls in SECTIONS.items()))
    if not run.shape.architecture:
        first = next(iter(ARCHITECTURES[kind]))
        run = dataclasses.replace(run, shape=dataclasses.replace(run.shape, architecture=first))
    _check(run)
    return run


def read_config(path: Path) -> dict[str, Any]:
    """The settings in a TOML file, flat; sections are for the reader's eye.

    Raises:
        UsageError: it cannot be read.
    """
    try:
        values = (
            json.loads(path.read_text("utf-8")) if path.suffix == ".json" else tomllib.loads(path.read_text("utf-8"))
        )
    except (OSError, ValueError) as error:
        raise UsageError(f"{path} cannot be read as a configuration: {error}.", fix="see docs/train.md") from error
    flat: dict[str, Any] = {}
    for name, value in values.items():
        flat |= value if isinstance(value, dict) else {name: value}
    here = path.resolve().parent
    for name in ("text", "source", "target", "valid", "valid_source", "valid_target"):
        if flat.get(name):  # a path in a file is meant from where the file is
            flat[name] = str(here / Path(str(flat[name])).expanduser())
    return flat


def _checked(name: str, value: Any, scalar: type, choices: tuple[str, ...]) -> Any:
    flag = f"--{name.replace('_', '-')}"
    if choices:
        if str(value) not in choices:
            raise UsageError(f"{flag} is one of {', '.join(choices)}, not '{value}'.")
        return str(value)
    if scalar is bool:
        if not isinstance(value, bool):
            raise UsageError(f"{flag} is true or false, not '{value}'.")
        return value
    kind = {int: "a whole number", float: "a number"}.get(scalar, "a text")
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if scalar is str:
        if not isinstance(value, str):
            raise UsageError(f"{flag} is a text, not '{value}'.")
        return value
    if not is_number or (scalar is int and int(value) != value) or value != value or value < 0:
        raise UsageError(f"{flag} is {kind} of 0 or more, not '{value}'.")
    return scalar(value)


def _check(run: Run) -> None:
    shape, training, data = run.shape, run.training, run.data
    known = ", ".join(ARCHITECTURES[run.kind])
    for ok, sentence in (
        (shape.architecture in ARCHITECTURES[run.kind], f"--architecture of {run.kind} is one of {known}"),
        (min(shape.layers, shape.heads, shape.width) >= 1, "--layers, --heads and --width are 1 or more"),
        (shape.architecture != "transformer" or shape.width % shape.heads == 0, "--width is a multiple of --heads"),
        (shape.architecture != "transformer" or shape.width // shape.heads % 2 == 0, "--width / --heads is even"),
        (shape.context >= 2, "--context is 2 or more"),
        (training.steps > 0 or training.epochs > 0, "--steps or --epochs is above 0"),
        (training.batch >= 1 and training.accumulate >= 1, "--batch and --accumulate are 1 or more"),
        (training.learning_rate > 0, "--learning-rate is above 0"),
        (max(shape.dropout, training.noise, training.label_smoothing) < 1, "shares are below 1"),
        (0 < training.beta2 < 1, "--beta2 is between 0 and 1"),
        (data.valid_share + data.test_share < 1, "--valid-share and --test-share are below 1 together"),
    ):
        if not ok:
            raise UsageError(f"{sentence}.", fix=f"palaver train {run.kind} --help")
