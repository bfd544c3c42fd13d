"""The loop: batches, gradients, updates, evaluations, checkpoints. It knows neither text nor architectures.

Everything random in a step follows from the seed and the step's number, so that a run that goes on after a stop takes
the same way as one that was never stopped, to the last bit on a processor.
"""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import cast

import torch
from torch import Tensor, nn

from palaver import ModelFailed
from palaver_train import checkpoint
from palaver_train.batches import Batch
from palaver_train.checkpoint import Progress
from palaver_train.config import Run
from palaver_train.control import Control
from palaver_train.events import Begun, Controlled, Ended, Event, Interval, OverFitting, Sampled, Saved
from palaver_train.feed import Feed
from palaver_train.material import Material
from palaver_train.objective import Objective
from palaver_train.optimizer import full_state, full_weights, learning_rate, make_optimizer, restore
from palaver_train.places import find
from palaver_train.precision import Precision
from palaver_train.samples import write_samples
from palaver_train.team import Team

_WORSE = 0.01
"""How much above the best a validation loss is called over-fitting, as a share."""
_POLL = 0.2
"""Seconds between two looks at the orders of a paused run."""


class Trainer:
    """One run, from its material to its last checkpoint."""

    def __init__(
        self,
        run: Run,
        material: Material,
        network: nn.Module,
        folder: Path,
        team: Team,
        *,
        on_event: Callable[[Event], None],
        control: Control,
    ) -> None:
        self._run, self._material, self._folder, self._team = run, material, folder, team
        self._on_event, self._control = on_event, control
        self._network = network.to(team.device)
        self._objective = team.wrap(Objective(run, self._network), run)
        self._optimizer = make_optimizer(self._network, run.training)
        self._feed = Feed(material.train, run.training.accumulate)
        self._precision = Precision(run, team.device)
        self.steps = run.training.steps or max(1, math.ceil(run.training.epochs * self._feed.steps_of_epoch))
        self._every = run.training.evaluate_every or max(1, min(self._feed.steps_of_epoch, self.steps // 10))
        self._log_every = run.training.log_every or max(1, self._every // 5)
        self._progress = Progress()
        self._validation_loss: float | None = None

    def resume(self, found: checkpoint.Description) -> None:
        """Go on from a checkpoint, whose weights the network has."""
        self._progress, self._validation_loss = found.progress, found.validation_loss
        self._feed.seek(found.progress.epoch, found.progress.index)
        if found.progress.step:
            restore(self._network, self._optimizer, checkpoint.read_weights(found.folder, checkpoint.OPTIMIZER))

    def train(self) -> Ended:
        """Train to the end, or until somebody says stop; the last checkpoint is written either way.

        Raises:
            ModelFailed: the loss is no number any more, or a checkpoint cannot be written.
        """
        with torch.random.fork_rng(enabled=self._team.device.type == "cpu"):
            return self._train()

    def _train(self) -> Ended:
        training, began, before = self._run.training, time.monotonic(), self._progress.seconds
        deadline = began + training.minutes * 60 if training.minutes else math.inf
        self._tell(self._begun())
        sums, tokens, busy, total = torch.zeros((), device=self._team.device), 0, 0.0, 0.0
        why = ""
        while self._progress.step < self.steps and not why:
            start = time.monotonic()
            loss, count, norm, rate = self._step()
            sums, tokens, step = sums + loss, tokens + count, self._progress.step
            why = self._orders(is_out_of_time=time.monotonic() >= deadline)
            is_evaluated = bool(why) or step % self._every == 0 or step == self.steps
            is_told = is_evaluated or step % self._log_every == 0
            if is_told:
                [total] = self._team.sum([float(sums)])
                self._check(total)
            busy += time.monotonic() - start
            if is_told:
                self._validation_loss = self._evaluate() if is_evaluated else self._validation_loss
                self._progress = dataclasses.replace(self._progress, seconds=before + time.monotonic() - began)
                told = self._validation_loss if is_evaluated else None
                self._tell(self._interval(total / max(tokens, 1), rate, norm, tokens / max(busy, 1e-9), told))
                sums, tokens, busy = torch.zeros_like(sums), 0, 0.0
            if is_evaluated:
                self._judge()
                self._save()
                self._sample()
            if training.patience and self._progress.bad >= training.patience:
                why = why or "patience"
        ended = Ended(
            self._progress.step,
            round(self._feed.passed, 4),
            why or "finished",
            self._progress.best_step,
            self._progress.best_loss,
            round(before + time.monotonic() - began, 3),
        )
        self._tell(ended)
        return ended

    def _step(self) -> tuple[Tensor, int, float, float]:
        """One update: the plain loss summed over this process's targets, all targets, the gradient's norm, the rate."""
        training, progress, team = self._run.training, self._progress, self._team
        # Dropout and noise: the same in a run that was stopped here, another in each process.
        torch.manual_seed((training.seed * 1_000_003 + progress.step) * 1_009 + team.rank)
        rate = learning_rate(training, progress.step, self.steps) * progress.scale
        for group in self._optimizer.param_groups:
            group["lr"] = rate
        batches = self._feed.take()
        count = sum(batch.count for batch in batches)
        self._objective.train()
        plain = torch.zeros((), device=team.device)
        for batch in batches:
            with self._precision.cast():
                loss, told = self._objective(batch.part(team.rank, team.world).to(team.device))
            # Processes average their gradients, and each has summed the loss of its own targets only.
            (loss * (team.world / max(count, 1))).backward()
            plain = plain + told
        parameters = list(self._network.parameters())
        norm = nn.utils.clip_grad_norm_(parameters, training.clip or math.inf)
        self._optimizer.step()
        self._optimizer.zero_grad(set_to_none=True)
        self._progress = dataclasses.replace(
            progress, step=progress.step + 1, epoch=self._feed.epoch, index=self._feed.index
        )
        whole = cast(Tensor, getattr(norm, "full_tensor", lambda: norm)())
        return plain, count, float(whole) if team.device.type == "cpu" else 0.0, rate

    def _evaluate(self) -> float | None:
        """Mean plain loss over the targets of the validation part."""
        valid, team = self._material.valid, self._team
        if valid is None:
            return None
        self._objective.eval()
        total, count = torch.zeros((), dtype=torch.float64), 0
        with torch.no_grad():
            for number, batch in enumerate(valid.in_order(self._run.training.batch)):
                if self._run.training.evaluate_batches and number >= self._run.training.evaluate_batches:
                    break
                _, plain = self._on(batch)
                total, count = total + plain.double().cpu(), count + batch.count
        [found] = team.sum([float(total)])
        return found / max(count, 1)

    def _on(self, batch: Batch) -> tuple[Tensor, Tensor]:
        with self._precision.cast():
            found: tuple[Tensor, Tensor] = self._objective(
                batch.part(self._team.rank, self._team.world).to(self._team.device)
            )
        return found

    def _judge(self) -> None:
        """Whether this is the best so far, and whether it has begun to over-fit."""
        loss, now = self._validation_loss, self._progress
        if loss is None:
            return
        best = now.best_loss
        if best is None or loss < best:
            self._progress = dataclasses.replace(
                now,
                best_loss=loss,
                best_step=now.step,
                best_epoch=round(self._feed.passed, 4),
                bad=0,
                is_overfitting=False,
            )
            return
        self._progress = now = dataclasses.replace(now, bad=now.bad + 1)
        if now.bad >= 2 and loss > best * (1 + _WORSE) and not now.is_overfitting:
            self._progress = dataclasses.replace(now, is_overfitting=True)
            self._tell(OverFitting(now.step, now.best_epoch, now.best_step, best, loss))

    def _save(self) -> None:
        model, optimizer = full_weights(self._network), full_state(self._network, self._optimizer)
        if self._team.is_first:
            name = checkpoint.save(
                self._folder,
                self._run,
                self._material.tokenizer,
                model,
                optimizer,
                self._progress,
                validation_loss=self._validation_loss,
                digest=self._material.digest,
            )
            best = self._progress.best_loss is not None and self._progress.best_step == self._progress.step
            self._tell(Saved(self._progress.step, name, best))
        self._team.wait()

    def _sample(self) -> None:
        if not self._material.prompts or (self._team.world > 1 and self._run.training.parallel == "fsdp"):
            return  # with shards, each process would have to write along
        if self._team.is_first:
            self._network.eval()
            pairs = write_samples(self._run, self._network, self._material)
            self._tell(Sampled(self._progress.step, round(self._feed.passed, 4), pairs))

    def _orders(self, *, is_out_of_time: bool) -> str:
        """Do what the user wants; why to stop, or nothing."""
        if self._team.is_first:
            self._control.look()
            if self._control.is_paused:
                self._tell(Controlled(self._progress.step, "pause"))
                while self._control.is_paused:
                    time.sleep(_POLL)
                    self._control.look()
                self._tell(Controlled(self._progress.step, "go"))
        halved = float(self._control.take_lowered()) if self._team.is_first else 0.0
        said = self._team.first_says([halved, float(self._control.is_stopped), float(is_out_of_time)])
        if said[0]:
            self._progress = dataclasses.replace(self._progress, scale=self._progress.scale * 0.5 ** said[0])
            self._tell(Controlled(self._progress.step, f"learning rate times {self._progress.scale:g}"))
        return "stopped" if said[1] else "minutes" if said[2] else ""

    def _check(self, loss: float) -> None:
        if math.isfinite(loss):
            return
        kept = find(self._folder)
        raise ModelFailed(
            f"The loss is no number any more at step {self._progress.step:,}: training diverged. "
            + (f"{kept} is as it was." if kept else "There is no checkpoint before it."),
            fix="Train with a lower --learning-rate.",
            code="diverged",
        )

    def _interval(self, loss: float, rate: float, norm: float, speed: float, valid: float | None) -> Interval:
        step, passed, seconds = self._progress.step, round(self._feed.passed, 4), round(self._progress.seconds, 3)
        return Interval(step, passed, loss, rate, norm, speed, seconds, valid)

    def _begun(self) -> Begun:
        material = self._material
        return Begun(
            self._progress.step,
            self.steps,
            self._run.architecture,
            sum(one.numel() for one in self._network.parameters()),
            material.tokenizer.size,
            material.train_tokens,
            material.valid_tokens,
            str(self._team.device),
            self._precision.name,
            self._team.world,
            material.notes,
        )

    def _tell(self, event: Event) -> None:
        if self._team.is_first:
            self._on_event(event)
