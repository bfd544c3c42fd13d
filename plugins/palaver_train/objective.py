"""A network with what it is to learn: one batch in, the sums of its losses out. The trainer knows nothing else."""

from __future__ import annotations

from typing import Any, cast

import torch
from torch import Tensor, nn

from palaver_train.batches import Batch
from palaver_train.config import Run
from palaver_train.losses import cross_entropy, off_diagonal, squared_error
from palaver_train.tokens import PAD, UNKNOWN


class Objective(nn.Module):
    """The loss of a batch, summed over its targets: what is minimised, and what is reported."""

    def __init__(self, run: Run, network: nn.Module) -> None:
        super().__init__()
        self.network = network
        self._run = run
        self._compute = {
            "lm": self._language_model,
            "seq2seq": self._sequence_to_sequence,
            "autoencoder": self._vectors if run.architecture.startswith("embedding") else self._sequence_to_sequence,
        }[run.kind]

    def forward(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """The sum to minimise, and the plain one without smoothing, guidance or gradient."""
        loss, plain = self._compute(batch)
        return loss, plain.detach()

    def _language_model(self, batch: Batch) -> tuple[Tensor, Tensor]:
        hidden, _ = cast(Any, self.network).hidden(batch.inputs, None)
        return self._tokens(hidden, batch)

    def _sequence_to_sequence(self, batch: Batch) -> tuple[Tensor, Tensor]:
        assert batch.source is not None
        network = cast(Any, self.network)
        state = network.begin(self._noised(batch.source))
        weight = self._run.training.guided_attention if self.training and self._run.kind == "seq2seq" else 0.0
        if not weight:
            hidden, _ = network.hidden(batch.inputs, state)
            return self._tokens(hidden, batch)
        hidden, attention = network.aligned(batch.inputs, state)
        loss, plain = self._tokens(hidden, batch)
        return loss + weight * off_diagonal(attention, batch.source, batch.targets), plain

    def _vectors(self, batch: Batch) -> tuple[Tensor, Tensor]:
        assert batch.source is not None
        network = cast(Any, self.network)
        made = network.decode(network.embed(self._noised(batch.source)), batch.source.shape[1])
        is_real = batch.source != PAD
        loss = squared_error(made[is_real], network.vectors[batch.source[is_real]])
        return loss, loss

    def _tokens(self, hidden: Tensor, batch: Batch) -> tuple[Tensor, Tensor]:
        """Cross-entropy over the targets (B, T) that are no padding: nothing else is multiplied with the vocabulary."""
        is_real = batch.targets != PAD
        logits = cast(Any, self.network).unembedding(hidden[is_real])
        smoothing = self._run.training.label_smoothing if self.training else 0.0
        return cross_entropy(logits, batch.targets[is_real], smoothing)

    def _noised(self, source: Tensor) -> Tensor:
        """Denoising (Vincent et al. 2008; for texts Hill et al. 2016): some tokens become unknown ones."""
        share = self._run.training.noise
        if not share or not self.training:
            return source
        hidden = (torch.rand(source.shape, device=source.device) < share) & (source > UNKNOWN)
        return source.masked_fill(hidden, UNKNOWN)
