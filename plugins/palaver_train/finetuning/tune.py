"""The loop of fine-tuning: the best weights on what was held out are kept, and written only if they beat the base."""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import torch

from palaver import BadInput, ModelFailed
from palaver.machine import threads
from palaver_train.config import Training
from palaver_train.control import Control, forget_orders
from palaver_train.curves import draw
from palaver_train.events import Begun, Controlled, Ended, Event, Interval, Log, OverFitting
from palaver_train.finetuning import base as models
from palaver_train.finetuning.base import Base, Encoded
from palaver_train.finetuning.examples import LEAST, Lesson, Lessons
from palaver_train.finetuning.settings import Tuning
from palaver_train.optimizer import learning_rate, make_optimizer
from palaver_train.team import Team

_POLL = 0.2
_WORSE = 0.01


def tune(tuning: Tuning, lessons: Lessons, *, on_event: Callable[[Event], None], control: Control) -> Ended:
    """Train, and write the model to `tuning.out`.

    Raises:
        ModelFailed: the base cannot be loaded, training diverged, or its result is no better than the base.
        BadInput: too few lessons fit into the context.
    """
    torch.set_num_threads(threads(by_core=False))
    team = Team()
    with torch.random.fork_rng():
        torch.manual_seed(tuning.seed)
        base = models.load(tuning.base, tuning.lora, (tuning.source_language, tuning.target_language))
        base.network.to(team.device)
        tuning.out.mkdir(parents=True, exist_ok=True)
        forget_orders(tuning.out)
        log = Log(tuning.out, keep_to=-1)

        def tell(event: Event) -> None:
            log.write(event)
            on_event(event)

        try:
            run = _Run(tuning, base, lessons, str(team.device), tell, control)
            ended = run.train()
        finally:
            log.close()
    if not ended.best_step and not tuning.keeps_worse:
        raise ModelFailed(
            f"The tuned model is no better than its base on the {len(run.valid):,} held-out examples "
            f"({run.base_loss:.4f} nats a token): nothing was written.",
            fix="Give more examples, or a lower --learning-rate; --keep-worse writes it all the same.",
            code="no_better",
        )
    models.save(base, tuning.base, tuning.out, run.story(ended))
    draw(tuning.out)
    return ended


class _Run:
    """One run and where it stands."""

    def __init__(
        self,
        tuning: Tuning,
        base: Base,
        lessons: Lessons,
        device: str,
        tell: Callable[[Event], None],
        control: Control,
    ) -> None:
        self._tuning, self._base, self._device = tuning, base, device
        self._tell, self._control = tell, control
        self.train_set, left = _fitting(base, lessons.train, tuning.context)
        self.valid, left_too = _fitting(base, lessons.valid, tuning.context)
        if len(self.train_set) < LEAST or not self.valid:
            raise BadInput(
                f"{left + left_too:,} examples are longer than {tuning.context:,} tokens; too few are left.",
                fix="Give a larger --context.",
                code="too_little_text",
            )
        longer = f"{left + left_too:,} examples are longer than {tuning.context:,} tokens and left out."
        self._notes = (*lessons.notes, *([longer] if left + left_too else []))
        self._epoch_steps = max(1, math.ceil(len(self.train_set) / (tuning.batch * tuning.accumulate)))
        self.steps = tuning.steps or max(1, math.ceil(tuning.epochs * self._epoch_steps))
        self._every = tuning.evaluate_every or max(1, self._epoch_steps // 4)
        self._training = Training(
            learning_rate=tuning.rate,
            warmup=min(tuning.warmup, max(1, self.steps // 10)),
            weight_decay=tuning.weight_decay,
            beta2=0.999,
        )
        self.base_loss = 0.0

    def train(self) -> Ended:
        """Go through the steps; the base gets the best weights back at the end."""
        began, tuning, network = time.monotonic(), self._tuning, self._base.network
        sizes = models.describe(self._base)
        notes = [*self._notes, f"{sizes['trained'] / 1e6:.2f} million of the weights learn."]
        learnt, asked = (
            sum(token != models.NOTHING for one in part for token in one.targets)
            for part in (self.train_set, self.valid)
        )
        kind = f"{network.config.model_type}, {'LoRA' if tuning.lora else 'all weights'}"
        size, vocabulary = sizes["parameters"], int(network.config.vocab_size)
        told = (self._device, "float32", 1, tuple(notes))
        self._tell(Begun(0, self.steps, kind, size, vocabulary, learnt, asked, *told))
        self.base_loss = best = self._evaluate()
        self._tell(Interval(0, 0.0, self.base_loss, 0.0, 0.0, 0.0, time.monotonic() - began, self.base_loss))
        optimizer = make_optimizer(network, self._training)
        state, best_step, bad, scale, is_warned = models.trained_state(self._base), 0, 0, 1.0, False
        total, count, busy, why, step = 0.0, 0, 0.0, "", 0
        batches = self._batches()
        while step < self.steps and not why:
            start = time.monotonic()
            rate = learning_rate(self._training, step, self.steps) * scale
            loss, targets, norm = self._step(optimizer, rate, [next(batches) for _ in range(tuning.accumulate)])
            step, total, count, busy = step + 1, total + loss, count + targets, busy + time.monotonic() - start
            if not math.isfinite(loss):
                models.restore(self._base, state)
                raise ModelFailed(
                    f"The loss is no number any more at step {step:,}: training diverged; nothing was written.",
                    fix="Train with a lower --learning-rate.",
                    code="diverged",
                )
            why, scale = self._orders(step, scale, is_late=0 < tuning.minutes * 60 < time.monotonic() - began)
            if not (why or step % self._every == 0 or step == self.steps):
                continue
            valid, passed = self._evaluate(), step / self._epoch_steps
            seconds = round(time.monotonic() - began, 3)
            self._tell(Interval(step, round(passed, 4), total / count, rate, norm, count / busy, seconds, valid))
            total, count, busy = 0.0, 0, 0.0
            if valid < best:
                best, best_step, bad, state = valid, step, 0, models.trained_state(self._base)
                continue
            bad += 1
            if bad >= 2 and valid > best * (1 + _WORSE) and not is_warned:
                is_warned = True
                self._tell(OverFitting(step, best_step / self._epoch_steps, best_step, best, valid))
            why = why or ("patience" if tuning.patience and bad >= tuning.patience else "")
        if best_step or not tuning.keeps_worse:
            models.restore(self._base, state)
        passed = round(step / self._epoch_steps, 4)
        ended = Ended(step, passed, why or "finished", best_step, best, round(time.monotonic() - began, 3))
        self._tell(ended)
        return ended

    def story(self, ended: Ended) -> dict[str, object]:
        """What is written beside the weights: from what, on what, and what it brought."""
        tuning = self._tuning
        settings = {name: value for name, value in dataclasses.asdict(tuning).items() if name not in ("base", "out")}
        return {
            "schema": "palaver.finetune/1",
            "base": str(tuning.base),
            "settings": settings,
            "examples": {"train": len(self.train_set), "valid": len(self.valid)},
            "validation_loss": {"base": self.base_loss, "tuned": ended.best_loss},
            "best_step": ended.best_step,
            "torch": torch.__version__,
        }

    def _step(
        self, optimizer: torch.optim.Optimizer, rate: float, batches: Sequence[Sequence[Encoded]]
    ) -> tuple[float, int, float]:
        network = self._base.network
        network.train()
        for group in optimizer.param_groups:
            group["lr"] = rate
        targets = sum(sum(token != models.NOTHING for token in one.targets) for batch in batches for one in batch)
        total = 0.0
        for batch in batches:
            loss, _ = self._base.losses(batch)
            torch.autograd.backward(loss / targets)
            total += float(loss.detach())
        learning = [one for one in network.parameters() if one.requires_grad]
        norm = torch.nn.utils.clip_grad_norm_(learning, self._tuning.clip or math.inf)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        return total, targets, float(norm)

    def _evaluate(self) -> float:
        """Nats a token on what was held out."""
        self._base.network.eval()
        ordered, total, count = sorted(self.valid, key=lambda one: len(one.inputs)), 0.0, 0
        with torch.no_grad():
            for at in range(0, len(ordered), self._tuning.batch):
                loss, targets = self._base.losses(ordered[at : at + self._tuning.batch])
                total, count = total + float(loss), count + targets
        return total / max(count, 1)

    def _batches(self) -> Iterator[list[Encoded]]:
        """Without end: each epoch in an order of its own, which the seed decides."""
        epoch = 0
        while True:
            order = np.random.default_rng((self._tuning.seed, epoch)).permutation(len(self.train_set)).tolist()
            for at in range(0, len(order), self._tuning.batch):
                yield [self.train_set[one] for one in order[at : at + self._tuning.batch]]
            epoch += 1

    def _orders(self, step: int, scale: float, *, is_late: bool) -> tuple[str, float]:
        self._control.look()
        if self._control.is_paused:
            self._tell(Controlled(step, "pause"))
            while self._control.is_paused:
                time.sleep(_POLL)
                self._control.look()
            self._tell(Controlled(step, "go"))
        if lowered := self._control.take_lowered():
            scale *= 0.5**lowered
            self._tell(Controlled(step, f"learning rate times {scale:g}"))
        return ("stopped" if self._control.is_stopped else "minutes" if is_late else ""), scale


def _fitting(base: Base, lessons: Sequence[Lesson], context: int) -> tuple[list[Encoded], int]:
    found = [base.encode(one) for one in lessons]
    kept = [one for one in found if max(len(one.inputs), len(one.targets)) <= context]
    return kept, len(found) - len(kept)
