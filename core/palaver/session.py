"""A conversation: ask, record, score, give references; what any front end drives."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from palaver import streams
from palaver.choice import Languages, with_source_of
from palaver.errors import BadInput, ContextExceeded, PalaverError, PluginFailed, in_words
from palaver.example import Example
from palaver.forks import Forks, asked, messages
from palaver.generate import digest_of, generate
from palaver.journal import Journal
from palaver.long import Listener, TaskRaised, answer_in_parts
from palaver.metric import Metric, Score, applicable, need_logprobs, with_confidence
from palaver.model import Generation, GenerationConfig, Message, ModelInfo, Request
from palaver.plugins.describe import plugin_raised
from palaver.plugins.patience import until
from palaver.registry import Registry
from palaver.remembered import Remembered
from palaver.store import STATUS_OF, Given, Said, Store, Turn, TurnStart
from palaver.task import Chat, Task, check_inputs
from palaver.window import ContextUse


@dataclass(frozen=True, slots=True)
class Ask:
    """What one turn is asked to do."""

    task: Task
    example: Example
    model: str = ""
    """Name of the model; empty is the session's, then the best one installed."""
    config: Mapping[str, str] = field(default_factory=dict)
    """Decoding parameters given as text: temperature, top_p, top_k, max_new_tokens, seed."""
    typed: str = ""
    """What the user typed, to be shown again; empty is the last input."""
    prompt: tuple[Message, ...] = ()
    """Messages to send as they are, in place of the conversation so far and what the task would say."""
    parent: int | None = None
    """The turn that this one repeats; None leaves it to the conversation."""
    is_cached: bool = False
    """What these weights answered to this request before will do. A baseline, which costs nothing, is always asked."""


@dataclass(frozen=True, slots=True)
class Started:
    """The row is in history, the model is being asked."""

    turn_id: int
    model: ModelInfo
    forgotten: int = 0
    """Earlier messages of the conversation that no longer fit the model's window."""
    notice: str = ""
    """How an input longer than the window was taken apart, in a second call: `split in 13 chunks`."""
    part: str = ""
    """Which part is being read, in a call for each: `part 3 of 13`."""
    languages: str = ""
    """What a model made for certain languages translates here: `en-fr`, or `en-fr, en guessed`."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a turn ended. `error` is set exactly when the turn's status is `failed`."""

    turn: Turn
    error: PalaverError | None = None
    context: ContextUse | None = None
    """How full the model's window was, and what it did not see; None where it was not asked."""


class Session:
    """One conversation of one user; every question becomes a row before it is asked."""

    def __init__(
        self, registry: Registry, store: Store, *, model: str = "", kind: str = "chat", metrics: Sequence[str] = ()
    ) -> None:
        self.registry = registry
        self.store = store
        self.model = model
        """The model chosen for this conversation; empty leaves it to each task."""
        self.metrics = tuple(metrics)
        """Metrics or families to score by; empty leaves them to each task."""
        self._kind = kind
        self._run_id: int | None = None
        self._remembered = Remembered()
        self._last: int | None = None
        self._use: ContextUse | None = None

    @property
    def run_id(self) -> int:
        """The run that this conversation's turns belong to, begun with the first of them."""
        if self._run_id is None:
            self._run_id = self.store.begin_run(self._kind)
        return self._run_id

    @property
    def last_turn(self) -> int | None:
        """The turn answered last, what `/ref` without a number means."""
        return self._last

    def forget(self) -> None:
        """Begin a new conversation: the next question goes to the model without what was said before."""
        self._run_id, self._last, self._use = None, None, None
        self._remembered.begin()

    def follow(self, turn_id: int | None) -> None:
        """Go on behind this turn, be it of an earlier conversation; None: before the first one of this conversation.

        What is asked next is a way on of its own: what followed the turn until now stays in history beside it.

        Raises:
            NotFound: no such turn.
        """
        path: list[Said] = []
        if turn_id is not None:
            self._run_id = self.store.turn(turn_id).run_id
            path = Forks(self.store.said(self._run_id)).path(turn_id)
        self._remembered.begin(messages(path))
        self._last, self._use = (path[-1].id if path else None), None

    def context_use(self) -> ContextUse | None:
        """How full the window was at the end of the last answer; None before the first one of a conversation.

        For a meter beside the conversation: `share` fills it, `str()` labels it, `unseen` says what was left out.
        """
        return self._use

    def choose(self, ask: Ask) -> ModelInfo:
        """The model that would answer.

        Raises:
            NotFound: no such model. NeedsDownload: none is on this machine.
        """
        languages = Languages.of(ask.task.prepare(ask.example))
        return streams.choose(self.registry, ask.task.name, ask.model or self.model, languages=languages)

    def about_to_send(self, ask: Ask) -> tuple[ModelInfo, Request]:
        """What would go to which model if this, which may be an empty draft, were asked now. Changes nothing.

        Raises:
            NotFound, NeedsDownload: as `choose` says. A task plugin may raise anything at all.
        """
        _, info, config, request = self._understood(ask, is_draft=True)
        said = self._remembered.beside(self._remembered.room(info, config, request))
        return info, replace(request, messages=(*said, *request.messages)) if isinstance(ask.task, Chat) else request

    def ask(
        self,
        ask: Ask,
        *,
        cancel: threading.Event | None = None,
        on_start: Callable[[Started], None] = lambda started: None,
        on_text: Callable[[str], None] = lambda piece: None,
    ) -> Outcome:
        """Answer one question. Blocks; call it from a worker. Callbacks run in the caller's thread.

        The row is written before the model is asked, updated every half second and finalised whatever happens. What
        fails comes back as an Outcome with its error, never as an exception; the text so far is kept.
        """
        cancel = cancel or threading.Event()
        with until(cancel):
            return self._asked(ask, cancel, on_start, on_text)

    def _asked(
        self, ask: Ask, cancel: threading.Event, on_start: Callable[[Started], None], on_text: Callable[[str], None]
    ) -> Outcome:
        try:
            example, info, config, request = self._understood(ask)
        except PalaverError as error:
            return self.fail(ask, error)
        except Exception as error:  # a task plugin may raise anything at all
            self.registry.plugins.blame(ask.task, error)
            return self.fail(ask, plugin_raised(ask.task.name, error))
        is_talk = isinstance(ask.task, Chat)
        said = self._remembered.let_go(self._remembered.room(info, config, request)) if is_talk else ()
        sent = replace(request, messages=ask.prompt or (*said, *request.messages))
        start = self._start(ask, example, info, config, sent)
        turn_id = self.store.begin_turn(start)
        forgotten = len(self._remembered) - len(said) if is_talk else 0
        started = Started(
            turn_id, info, forgotten, languages=Languages.of(example).told if info.pairs or info.languages else ""
        )
        on_start(started)
        self._use = ContextUse(None, info.context, started.forgotten)

        def on_split(count: int) -> None:
            self._use = ContextUse(None, info.context, parts=count)
            on_start(replace(started, notice=f"split in {count} chunks"))

        def on_title(title: str) -> None:
            on_start(replace(started, part=title))

        outcome = self._answer(ask, example, info, sent, start, turn_id, cancel, on_text, on_split, on_title)
        return replace(outcome, context=self._use)

    def fail(self, ask: Ask, error: PalaverError) -> Outcome:
        """Record a question that could not even be asked."""
        info = ModelInfo(ask.model or self.model, "")
        turn_id = self.store.begin_turn(self._start(ask, ask.example, info, GenerationConfig(), None))
        return self._finish(turn_id, "", "", Generation("", "error"), error)

    def record_failure(self, task: str, text: str, error: PalaverError) -> Outcome:
        """Record what was typed and could not be understood: no such task, a file that is not there."""
        start = TurnStart(run_id=self.run_id, task=task, model="", model_ref="", inputs={"text": text}, input_text=text)
        return self._finish(self.store.begin_turn(start), "", "", Generation("", "error"), error)

    def add_references(self, turn_id: int, texts: Sequence[str], *, origin: str = "written") -> Turn:
        """Give an answered turn references, and score it against all it has now.

        Raises:
            NotFound: no such turn. BadInput: the turn has no answer, or nothing was given.
        """
        turn = self.store.turn(turn_id)
        if turn.status in ("failed", "running"):
            raise BadInput(f"Turn #{turn_id} has no answer to score: it is {turn.status}.", fix="run it again")
        if not texts or any(not text.strip() and turn.task != "qa" for text in texts):
            raise BadInput("A reference is a text: the answer you would have wanted.", code="empty_reference")
        self.store.add_references(turn_id, texts, origin=origin)
        return self.score(turn_id)

    def replace_references(self, turn_id: int, texts: Sequence[str], *, origin: str = "written") -> Turn:
        """The same, superseding the references it had; their scores stay in history."""
        self.store.replace_references(turn_id, texts, origin=origin)
        return self.score(turn_id)

    def score(self, turn_id: int) -> Turn:
        """Score a turn against its references, or by the numbers that need none, and log the scores."""
        turn = self.store.turn(turn_id)
        self.store.add_scores(turn_id, self.scores(turn, turn.output))
        return self.store.turn(turn_id)

    def scores(self, turn: Turn, output: str, references: Sequence[str] | None = None) -> list[Score]:
        """What `output` would score as the answer of `turn`, against its references or the ones given; logs nothing."""
        texts = tuple(reference.text for reference in turn.references) if references is None else tuple(references)
        example = Example(turn.inputs, texts, str(turn.id), turn.language)
        if output == turn.output:
            example = with_confidence(example, turn.logprob, turn.scored_tokens, turn.model_digest)
        chosen = self.registry.metrics_for(turn.task, bool(texts), self.metrics)
        chosen = applicable(chosen, example, named=bool(self.metrics))
        return [self._score(metric, output, example) for metric in chosen]

    def baseline(self, turn: Turn) -> tuple[str, list[Score]] | None:
        """The trivial model that stands beside this turn's scores, with its own; None where there is none."""
        name = self.registry.baseline_for(turn.task)
        if not name or not turn.references or turn.model == name:
            return None
        request = Request((), turn.task, Example(turn.inputs, language=turn.language), turn.options)
        answer = generate(self.registry.model(name), request, GenerationConfig(), threading.Event())
        return name, self.scores(turn, answer.text)

    def close(self) -> None:
        """Free the models. The store belongs to whoever opened it."""
        self.registry.close()

    def _understood(self, ask: Ask, *, is_draft: bool = False) -> tuple[Example, ModelInfo, GenerationConfig, Request]:
        """What is asked, of which model, and the task's own messages. A task plugin may raise anything at all."""
        example = ask.task.prepare(ask.example)
        if not is_draft:
            check_inputs(ask.task, example)
        languages = Languages.of(example)
        info = streams.choose(self.registry, ask.task.name, ask.model or self.model, languages=languages)
        example = with_source_of(info, example)
        scored = need_logprobs(self.registry.metrics_for(ask.task.name, False, self.metrics))
        request = replace(ask.task.request(example), logprobs=scored)
        return example, info, self.registry.config(ask.task, ask.config), request

    def _start(
        self, ask: Ask, example: Example, info: ModelInfo, config: GenerationConfig, sent: Request | None
    ) -> TurnStart:
        plugin, version = self.registry.origin(ask.task.name)
        return TurnStart(
            run_id=self.run_id,
            task=ask.task.name,
            model=info.name,
            model_ref=info.ref if info.backend else info.name,
            inputs=dict(example.inputs),
            input_text=ask.typed or (list(example.inputs.values()) or [""])[-1],
            options=ask.task.options(),
            prompt=sent.messages if sent else (),
            config=config,
            model_digest=info.digest,
            backend=info.backend,
            plugin=plugin,
            plugin_version=version,
            parent_id=ask.parent or (self._last if self._kind == "chat" else None),
            language=example.language,
        )

    def _answer(
        self,
        ask: Ask,
        example: Example,
        info: ModelInfo,
        sent: Request,
        start: TurnStart,
        turn_id: int,
        cancel: threading.Event,
        on_text: Callable[[str], None],
        on_split: Callable[[int], None],
        on_title: Callable[[str], None],
    ) -> Outcome:
        journal = Journal(self.store, turn_id, on_text)
        generation, error, digest = Generation("", "error"), None, info.digest
        merged: str | None = None
        given: Given | None = None
        config = start.config or GenerationConfig()
        try:
            model = self.registry.model(info.name)
            if ask.is_cached and not info.is_baseline:
                given = self.store.given(replace(start, model_digest=digest_of(model, cancel)))
            try:
                if given is not None:
                    generation, merged = given.generation, given.output
                    on_text(given.output)
                else:
                    generation = generate(model, sent, config, cancel, journal.add)
            except ContextExceeded as refusal:
                listener = Listener(on_split, on_title, journal.keep, journal.add)
                found = answer_in_parts(ask.task, example, model, config, cancel, listener, refusal)
                generation, merged = found.generation, found.answer
            digest = model.info.digest
            self._count(sent, generation, model.info, is_whole=merged is None)
            self.registry.plugins.praise(f"backend {info.backend}")
            if generation.finish_reason == "error":
                error = PalaverError(generation.error or f"{info.name} stopped with an error.", code="model_failed")
        except PalaverError as failed:
            error = failed
        except TaskRaised as raised:
            bug = raised.__cause__
            assert isinstance(bug, Exception)
            self.registry.plugins.blame(ask.task, bug)
            error = plugin_raised(ask.task.name, bug)
        except Exception as bug:  # a model plugin may raise anything at all
            self.registry.plugins.blame(f"backend {info.backend}", bug)
            error = PluginFailed(f"{info.name} broke: {in_words(bug)}.", fix="palaver doctor")
        raw = generation.text or journal.text
        output = raw.strip()
        if error is None and merged is not None:
            output = merged
        elif error is None:
            try:
                output = ask.task.parse(raw, example)
                self.registry.plugins.praise(ask.task)
            except Exception as bug:  # a task plugin may raise anything at all
                self.registry.plugins.blame(ask.task, bug)
                error = plugin_raised(ask.task.name, bug)
        outcome = self._finish(turn_id, output, raw, generation, error, digest, given.turn_id if given else None)
        if outcome.error is None:
            self._remembered.add(asked(ask.task, sent), Message("assistant", output))
            self._last = turn_id
            if example.references:
                self.store.add_references(turn_id, example.references)
            if generation.finish_reason != "cancelled":
                outcome = replace(outcome, turn=self.score(turn_id))
        return outcome

    def _count(self, sent: Request, generation: Generation, info: ModelInfo, *, is_whole: bool) -> None:
        """Note how full the window was, and how many characters a token of this conversation holds."""
        if is_whole and self._use is not None and generation.prompt_tokens is not None:
            used = generation.prompt_tokens + (generation.output_tokens or 0)
            self._use = replace(self._use, used=used, window=info.context)
            if sent.task == Chat.name:
                self._remembered.measure(sent.messages, generation.prompt_tokens)

    def _score(self, metric: Metric, output: str, example: Example) -> Score:
        try:
            score = metric.score(output, example)
        except Exception as bug:  # a metric plugin may raise anything at all; the answer stands
            self.registry.plugins.blame(metric, bug)
            return Score(metric.name, metric.title, None, metric.title, error=f"the metric broke: {in_words(bug)}")
        self.registry.plugins.praise(metric)
        return score

    def _finish(
        self,
        turn_id: int,
        output: str,
        raw: str,
        generation: Generation,
        error: PalaverError | None,
        digest: str = "",
        cached_from: int | None = None,
    ) -> Outcome:
        status = "failed" if error else STATUS_OF[generation.finish_reason]
        said = "" if error is None else str(error) + (f" Fix: {error.fix}" if error.fix else "")
        self.store.finish_turn(
            turn_id,
            output=output,
            raw=raw,
            status=status,
            generation=generation,
            error=said,
            model_digest=digest,
            cached_from=cached_from,
        )
        return Outcome(self.store.turn(turn_id), error)
