"""Batches step after step, from any place in the data."""

from __future__ import annotations

from collections.abc import Sequence

from palaver_train.batches import Batch, Batches


class Feed:
    """Where a run is in its data."""

    def __init__(self, batches: Batches, accumulate: int) -> None:
        self._batches, self._accumulate = batches, accumulate
        self.epoch, self.index = 0, 0
        self._plan: Sequence[Sequence[int]] = batches.epoch(0)
        self.steps_of_epoch = max(1, len(self._plan) // accumulate)

    @property
    def passed(self) -> float:
        """Epochs that are done, with their fraction."""
        return self.epoch + self.index / len(self._plan)

    def seek(self, epoch: int, index: int) -> None:
        """Go to a place that a checkpoint tells."""
        self.epoch, self.index = epoch, index
        self._plan = self._batches.epoch(epoch)

    def take(self) -> list[Batch]:
        """The batches of the next step."""
        found = []
        for _ in range(self._accumulate):
            if self.index == len(self._plan):
                self.seek(self.epoch + 1, 0)
            found.append(self._batches.batch(self._plan[self.index]))
            self.index += 1
        return found
