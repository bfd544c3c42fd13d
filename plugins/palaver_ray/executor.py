"""The driver's side: batches go to the actors as these have room, answers come back, and lost ones go out again.

The driver alone reads the input and hands on predictions, so that one process writes the history. A batch whose actor
or node is lost is asked again elsewhere; what a lost actor may still have to say is not listened to.
"""

from __future__ import annotations

import itertools
import threading
import time
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from palaver import Asked, Generation, Job, ModelFailed, Prediction, __version__
from palaver_ray.cluster import connected, workers_of
from palaver_ray.place import Place
from palaver_ray.worker import Hello, Trouble, Worker

AHEAD = 2
"""Batches that an actor has: one that it answers, and one for the moment when it is done. More are not read."""

DEATHS = 2
"""Actors that a request may lose before it is given up."""

PATIENCE = 60.0
"""Seconds without any placed actor, after which the cluster is said to have no room."""

POLL = 0.2
"""Seconds after which a wait looks whether it is cancelled."""


@dataclass(slots=True)
class _Batch:
    """Requests that travel together."""

    asked: list[Asked]
    deaths: int = 0


@dataclass(slots=True, eq=False)
class _Actor:
    """An actor as the driver sees it."""

    handle: Any
    is_ready: bool = False
    pid: int = 0
    open: dict[Any, _Batch] = field(default_factory=dict)
    """By the reference that its answer will come under."""


class RayExecutor:
    """Answers with a pool of actors. See `palaver.Executor`."""

    def __init__(self, place: Place) -> None:
        self.place = place
        self.pids: list[int] = []
        """Of the actors that answer, on their nodes."""

    def map(self, job: Job, asked: Iterable[Asked], cancel: threading.Event) -> Iterator[Prediction]:
        """Whatever becomes of actors and nodes, one prediction for each request. See `Executor`.

        Raises:
            UsageError: there is no such cluster. ModelFailed: the model loads nowhere, or the actors end one after
                the other. NeedsDownload: a node does not have the model.
        """
        rest = iter(asked)
        first = list(itertools.islice(rest, job.batch))
        if not first or cancel.is_set():  # where all was answered before, no cluster is asked
            return
        pool = _Pool(connected(self.place), self.place, job)
        try:
            for prediction in pool.answers(itertools.chain(first, rest), cancel):
                self.pids = [actor.pid for actor in pool.actors if actor.pid]
                yield prediction
        finally:
            pool.close()


class _Pool:
    """The actors of one job."""

    def __init__(self, ray: Any, place: Place, job: Job) -> None:
        self._ray, self._place, self._job = ray, place, job
        self.count, self._gpus = workers_of(ray, place)
        self.actors: list[_Actor] = []
        self._news: dict[Any, _Actor] = {}
        """References to what actors say of themselves."""
        self._again: deque[_Batch] = deque()
        self._lost = 0
        """Actors since the last answer."""
        self._placed = time.monotonic()
        for _ in range(self.count):
            self._begin()

    def answers(self, asked: Iterator[Asked], cancel: threading.Event) -> Iterator[Prediction]:
        """The predictions, as batches are done."""
        is_over = False
        while not cancel.is_set():
            is_over = self._hand_out(asked, is_over)
            waiting = [*self._news, *(ref for actor in self.actors for ref in actor.open)]
            if is_over and not self._again and not any(actor.open for actor in self.actors):
                return
            done, _ = self._ray.wait(waiting, num_returns=1, timeout=POLL)
            for ref in done:
                if ref in self._news:
                    self._hear(ref)
                else:
                    yield from self._take(ref)
            self._check_patience()

    def close(self) -> None:
        """End every actor, and with each its model."""
        for actor in self.actors:
            self._ray.kill(actor.handle)
        self.actors.clear()

    def _begin(self) -> None:
        threads = int(self._place.cpus) if self._place.cpus > 1 else 0
        options = {"num_cpus": self._place.cpus, "num_gpus": self._gpus, "scheduling_strategy": "SPREAD"}
        actor = _Actor(self._ray.remote(Worker).options(**options).remote(self._job, threads))
        self.actors.append(actor)
        self._news[actor.handle.hello.remote()] = actor
        self._news[actor.handle.load.remote()] = actor

    def _hand_out(self, asked: Iterator[Asked], is_over: bool) -> bool:
        """Give batches to actors with room; whether the input has ended."""
        for room in range(1, AHEAD + 1):  # first one for each, then one more
            for actor in self.actors:
                if not actor.is_ready or len(actor.open) >= room:
                    continue
                if self._again:
                    batch = self._again.popleft()
                elif is_over or not (new := list(itertools.islice(asked, self._job.batch))):
                    return True
                else:
                    batch = _Batch(new)
                actor.open[actor.handle.answer.remote(batch.asked)] = batch
        return is_over

    def _hear(self, ref: Any) -> None:
        actor = self._news.pop(ref)
        try:
            said = self._ray.get(ref)
        except self._ray.exceptions.RayError:
            self._lose(actor)
            return
        if isinstance(said, Trouble):
            raise said.error()
        if isinstance(said, Hello):
            if said.version != __version__:
                raise ModelFailed(
                    f"Palaver is {said.version} on {said.node} and {__version__} here.",
                    fix=f"pip install palaver=={__version__} on each node",
                    code="other_version",
                )
            actor.pid = said.pid
        else:
            actor.is_ready = True

    def _take(self, ref: Any) -> Iterator[Prediction]:
        actor = next((one for one in self.actors if ref in one.open), None)
        if actor is None:  # lost a moment ago, with another batch
            return
        try:
            found: list[Prediction] = self._ray.get(ref)
        except self._ray.exceptions.RayError:
            yield from self._lose(actor)
            return
        del actor.open[ref]
        self._lost = 0
        yield from found

    def _lose(self, actor: _Actor) -> list[Prediction]:
        """Put another actor in its place, and ask again what it had; what ended several is given up."""
        self.actors.remove(actor)
        self._news = {ref: one for ref, one in self._news.items() if one is not actor}
        self._ray.kill(actor.handle)  # it may only be out of reach
        self._lost += 1
        if self._lost > self.count + 3:
            raise ModelFailed(
                f"{self._lost} workers of {self._job.model.name} ended one after the other without an answer.",
                fix="look at the logs of the nodes: ray status",
                code="workers_died",
            )
        given_up: list[Prediction] = []
        for batch in actor.open.values():
            deaths = batch.deaths + 1
            if deaths < DEATHS:
                self._again.append(_Batch(batch.asked, deaths))
            elif len(batch.asked) > 1:  # one of them may be the cause: the others are asked alone
                self._again.extend(_Batch([one], deaths - 1) for one in batch.asked)
            else:
                said = f"The worker that answered it ended, {deaths} times. Given up."
                failed = Generation("", "error", error=said)
                given_up.append(Prediction(batch.asked[0].key, failed, "model_died"))
        self._begin()
        return given_up

    def _check_patience(self) -> None:
        if any(actor.pid for actor in self.actors):
            self._placed = time.monotonic()
        elif time.monotonic() - self._placed > PATIENCE:
            has = ", ".join(f"{amount:g} {kind}" for kind, amount in sorted(self._room().items())) or "nothing"
            raise ModelFailed(
                f"No worker was placed for {PATIENCE:.0f} seconds: each takes {self._place.cpus:g} CPU and "
                f"{self._gpus:g} GPU, and the cluster has {has} free.",
                fix="--on 'ray:ADDRESS?cpus=0.5&gpus=0'",
                code="no_room",
            )

    def _room(self) -> dict[str, float]:
        free: dict[str, float] = self._ray.available_resources()
        return {kind: free.get(kind, 0.0) for kind in ("CPU", "GPU")}
