"""What a fine-tuning run is told. Nothing here imports PyTorch."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from palaver import UsageError


@dataclass(frozen=True, slots=True)
class Lora:
    """Low-rank updates beside frozen weights (Hu et al. 2022)."""

    rank: int = 16
    alpha: int = 32
    """The update counts alpha / rank times."""
    dropout: float = 0.05


@dataclass(frozen=True, slots=True)
class Tuning:
    """How to fine-tune."""

    base: Path
    """The folder of the model to begin with."""
    out: Path
    lora: Lora | None = field(default_factory=Lora)
    """None trains all weights."""
    epochs: float = 3.0
    steps: int = 0
    """Instead of `epochs`, if it is not 0."""
    minutes: float = 0.0
    batch: int = 8
    accumulate: int = 1
    learning_rate: float = 0.0
    """0 is 2e-4 with LoRA and 5e-5 without."""
    warmup: int = 20
    weight_decay: float = 0.01
    clip: float = 1.0
    context: int = 512
    """Tokens of prompt and answer together; longer examples are left out."""
    evaluate_every: int = 0
    """Steps; 0 is four times an epoch."""
    patience: int = 3
    """Evaluations in a row without a better one before it ends; 0 is off."""
    valid_share: float = 0.1
    seed: int = 1
    source_language: str = ""
    target_language: str = ""
    keeps_worse: bool = False
    """Write the result even where it is no better than its base on what was held out."""

    def __post_init__(self) -> None:
        lora = self.lora or Lora()
        for ok, sentence in (
            (self.epochs > 0 or self.steps > 0, "--epochs or --steps is above 0"),
            (
                min(self.batch, self.accumulate, lora.rank, lora.alpha) >= 1,
                "--batch, --accumulate, --rank, --alpha are 1 or more",
            ),
            (self.learning_rate >= 0, "--learning-rate is above 0"),
            (
                0 < self.valid_share < 1,
                "--valid-share is between 0 and 1: without held-out examples nothing shows the gain",
            ),
            (0 <= lora.dropout < 1, "--lora-dropout is below 1"),
            (self.context >= 8, "--context is 8 or more"),
        ):
            if not ok:
                raise UsageError(f"{sentence}.", fix="palaver train finetune --help")

    @property
    def rate(self) -> float:
        """The highest learning rate."""
        return self.learning_rate or (2e-4 if self.lora else 5e-5)
