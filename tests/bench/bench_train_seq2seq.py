"""How fast a translation model learns beside JoeyNMT's: the same architecture, the same batches, both in turn.

    python tests/bench/bench_train_seq2seq.py JOEYNMT SOURCE TARGET [ROUNDS] [BATCHES]

JOEYNMT is a checkout of joeynmt/joeynmt, SOURCE and TARGET are training texts line by line (Multi30k). Architecture:
Transformer, 3 + 3 layers, 4 heads, width 256, feed-forward 512, norms first, one tied vocabulary, dropout 0.1, label
smoothing 0.1; Adam, clipping at 1; batches of 64 pairs of similar length. JoeyNMT's side is its model, its loss and the
step of its training loop. It is measured in float32, its default, and under bfloat16 autocast, which is what its option
`fp16` does on a processor. Counted are targets a second of processor time, with one thread.
"""

from __future__ import annotations

import contextlib
import io
import statistics
import sys
import time
import types
from pathlib import Path
from typing import Any

import torch

from palaver_train.batches import Batch, Pairs
from palaver_train.config import Run, make_run
from palaver_train.material import prepare
from palaver_train.networks import make_network
from palaver_train.objective import Objective
from palaver_train.optimizer import make_optimizer
from palaver_train.precision import Precision
from palaver_train.tokens import BOS, EOS, PAD, SPECIAL, UNKNOWN

VOCABULARY, WIDTH, LAYERS, HEADS, INNER = 6000, 256, 3, 4, 512
UNUSED = ("importlib_metadata", "torch.utils.tensorboard", "subword_nmt", "plotly", "plotly.express")
"""What JoeyNMT imports for its data and its logs, and its model does not use."""


def main(peer: Path, source: str, target: str, rounds: int, count: int) -> None:
    """Print the rates of each round, and the medians of the paired ratios."""
    run = make_run(
        "seq2seq",
        {
            "source": source, "target": target, "vocabulary": VOCABULARY, "layers": LAYERS, "heads": HEADS,
            "width": WIDTH, "feed_forward": INNER, "dropout": 0.1, "label_smoothing": 0.1, "batch": 64,
        },
    )  # fmt: skip
    material = prepare(run)
    assert isinstance(material.train, Pairs)
    plan = material.train.epoch(0)[:count]
    batches = [material.train.batch(items) for items in plan]
    size = material.tokenizer.size
    ours = {name: Ours(run, size, name) for name in ("auto", "float32")}
    theirs = {name: Theirs(peer, size, name) for name in ("float32", "bfloat16")}
    print(f"{ours['auto'].weights:,} weights here, {theirs['float32'].weights:,} there; {size:,} tokens")
    ratios: dict[str, list[float]] = {"as both come": [], "both in float32": [], "both in bfloat16": []}
    for number in range(rounds + 1):
        own = {name: side.rate(batches) for name, side in ours.items()}
        other = {name: side.rate(batches) for name, side in theirs.items()}
        if number == 0:
            continue  # warm
        ratios["as both come"].append(own["auto"] / other["float32"])
        ratios["both in float32"].append(own["float32"] / other["float32"])
        ratios["both in bfloat16"].append(own["auto"] / other["bfloat16"])
        told = "   ".join(f"{name} {rate:,.0f}" for name, rate in own.items())
        print(f"  palaver {told}   JoeyNMT " + "   ".join(f"{name} {rate:,.0f}" for name, rate in other.items()))
    print(f"palaver's auto is {ours['auto'].precision}")
    for name, found in ratios.items():
        print(f"{name}: {statistics.median(found):.2f} times JoeyNMT, median of {rounds}")


class Ours:
    """The step of our trainer."""

    def __init__(self, run: Run, size: int, precision: str) -> None:
        run = make_run("seq2seq", {**_flat(run), "precision": precision})
        network = make_network(run.architecture, run.shape, size)
        self.weights = sum(one.numel() for one in network.parameters())
        self._objective, self._optimizer = Objective(run, network).train(), make_optimizer(network, run.training)
        self._precision = Precision(run, torch.device("cpu"))
        self.precision = self._precision.name

    def rate(self, batches: list[Batch]) -> float:
        """Targets a second."""
        began, count = time.process_time(), 0
        for batch in batches:
            with self._precision.cast():
                loss, _ = self._objective(batch)
            (loss / batch.count).backward()
            torch.nn.utils.clip_grad_norm_(list(self._objective.parameters()), 1.0)
            self._optimizer.step()
            self._optimizer.zero_grad(set_to_none=True)
            count += batch.count
        return count / (time.process_time() - began)


class Theirs:
    """The step of JoeyNMT's training loop."""

    def __init__(self, peer: Path, size: int, precision: str) -> None:
        sys.path.insert(0, str(peer))
        for name in UNUSED:
            stub: Any = types.ModuleType(name)
            stub.SummaryWriter = stub.apply_bpe = object
            stub.entry_points = stub.version = lambda *arguments, **named: ""
            sys.modules.setdefault(name, stub)
        with contextlib.redirect_stderr(io.StringIO()):
            from joeynmt.batch import Batch as JoeyBatch  # type: ignore[import-not-found]
            from joeynmt.model import build_model  # type: ignore[import-not-found]
            from joeynmt.vocabulary import Vocabulary  # type: ignore[import-not-found]
        self._batch = JoeyBatch
        special = types.SimpleNamespace(
            unk_token=SPECIAL[UNKNOWN], pad_token=SPECIAL[PAD], bos_token=SPECIAL[BOS], eos_token=SPECIAL[EOS],
            sep_token=None, unk_id=0, pad_id=1, bos_id=2, eos_id=3, sep_id=None, lang_tags=[],
        )  # fmt: skip
        vocabulary = Vocabulary([f"t{number}" for number in range(4, size)], special)
        side = {
            "type": "transformer", "num_layers": LAYERS, "num_heads": HEADS, "hidden_size": WIDTH, "ff_size": INNER,
            "dropout": 0.1, "layer_norm": "pre", "embeddings": {"embedding_dim": WIDTH, "scale": True, "dropout": 0.1},
        }  # fmt: skip
        config = {"tied_embeddings": True, "tied_softmax": True, "encoder": side, "decoder": dict(side)}
        with contextlib.redirect_stderr(io.StringIO()):
            self._model = build_model(config, src_vocab=vocabulary, trg_vocab=vocabulary)
        self._model.loss_function = ("crossentropy", 0.1)
        self.weights = sum(one.numel() for one in self._model.parameters())
        self._optimizer = torch.optim.Adam(self._model.parameters(), lr=1e-4, betas=(0.9, 0.98))
        self._is_cast = precision == "bfloat16"

    def rate(self, batches: list[Batch]) -> float:
        """Targets a second."""
        given = [_theirs(batch) for batch in batches]
        began, count = time.process_time(), 0
        self._model.train()
        for source, target, lengths in given:
            batch = self._batch(
                source, lengths, None, target, None, torch.arange(len(source)), torch.device("cpu"), 1, 3
            )
            batch.sort_by_src_length()
            with torch.autocast("cpu", torch.bfloat16, enabled=self._is_cast):
                loss, _, _, correct = self._model(return_type="loss", **vars(batch))
            normed = batch.normalize(loss, normalization="tokens", n_gpu=0, n_accumulation=1)
            correct = batch.normalize(correct, "sum", 0)
            normed.backward()
            normed.item(), correct.item()
            torch.nn.utils.clip_grad_norm_(self._model.parameters(), 1.0)
            self._optimizer.step()
            self._optimizer.zero_grad()
            count += batch.ntokens
        return count / (time.process_time() - began)


def _theirs(batch: Batch) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """The same batch by JoeyNMT's numbers (unknown 0, padding 1, begin 2, end 3), with begin and end in one row."""
    assert batch.source is not None
    numbers = torch.arange(VOCABULARY + 4)
    numbers[[PAD, BOS, EOS, UNKNOWN]] = torch.tensor([1, 2, 3, 0])
    target = torch.cat([torch.full((len(batch.targets), 1), BOS), batch.targets], dim=1)
    return numbers[batch.source], numbers[target], (batch.source != PAD).sum(dim=1)


def _flat(run: Run) -> dict[str, Any]:
    values = run.to_json()
    return {name: value for part in ("data", "tokens", "shape", "training") for name, value in values[part].items()}


if __name__ == "__main__":
    torch.set_num_threads(1)
    numbers = [int(one) for one in sys.argv[4:]]
    main(Path(sys.argv[1]), sys.argv[2], sys.argv[3], *(numbers + [5, 12][len(numbers) :]))
