"""Training, from a file to a model that answers: steps, checkpoints, resuming, control."""

from __future__ import annotations

import dataclasses
import itertools
import json
import math
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")
pytest.importorskip("tokenizers")

import torch
from tests.plugins.train_runs import SMALL, TEN, pair_files, small_run, text_file, trained

from palaver import BadInput, GenerationConfig, ModelFailed, Request, UsageError
from palaver.example import Example
from palaver_train.backend import Trained
from palaver_train.checkpoint import WEIGHTS, describe
from palaver_train.config import Kind, make_run, read_config
from palaver_train.control import Control, tell
from palaver_train.events import Ended, Interval, OverFitting, Sampled, read_events
from palaver_train.places import find
from palaver_train.session import begin, resume

KINDS: list[tuple[Kind, str]] = [
    ("lm", "transformer"), ("lm", "lstm"), ("seq2seq", "transformer"), ("seq2seq", "lstm"),
    ("autoencoder", "lstm"), ("autoencoder", "embedding"),
]  # fmt: skip


@pytest.fixture(autouse=True)
def one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PALAVER_THREADS", "1")


def weights_of(folder: Path, *, is_last: bool = True) -> dict[str, torch.Tensor]:
    from safetensors.torch import load_file

    found = find(folder, wants_last=is_last)
    assert found is not None
    return dict(load_file(str(found / WEIGHTS)))


def answer(folder: Path | str, text: str, **config: Any) -> str:
    info = Trained().resolve(str(folder))
    assert info is not None
    model = Trained().load(info)
    request = Request((), info.tasks[0], Example({"text": text}))
    deltas = list(model.stream([request], GenerationConfig(**config), threading.Event()))
    assert deltas[-1].finish_reason in ("stop", "length")
    return "".join(one.text for one in deltas)


@pytest.mark.parametrize(("kind", "architecture"), KINDS)
def test_a_run_that_was_resumed_equals_an_unbroken_one_to_the_last_bit(
    kind: Kind, architecture: str, tmp_path: Path
) -> None:
    settings = {"architecture": architecture, "dropout": 0.2, "accumulate": 2, "noise": 0.1, "batch": 4}
    unbroken = small_run(kind, tmp_path, **settings)
    begin(unbroken, tmp_path / "unbroken")
    halves = dataclasses.replace(unbroken, training=dataclasses.replace(unbroken.training, decay="none"))
    begin(halves, tmp_path / "whole")
    first = dataclasses.replace(halves, training=dataclasses.replace(halves.training, steps=2))
    begin(first, tmp_path / "broken")
    resume(tmp_path / "broken", {"steps": 4})
    one, other = weights_of(tmp_path / "whole"), weights_of(tmp_path / "broken")
    assert one.keys() == other.keys()
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_the_metrics_of_a_resumed_run_are_those_of_one_run(tmp_path: Path) -> None:
    run = small_run("lm", tmp_path, steps=2)
    begin(run, tmp_path / "run")
    resume(tmp_path / "run", {"steps": 4})
    told = list(read_events(tmp_path / "run"))
    assert [one.step for one in told if isinstance(one, Interval) and one.validation_loss is not None] == [2, 4]
    assert [type(one) for one in told].count(Ended) == 1


def test_a_run_is_not_written_over(tmp_path: Path) -> None:
    run = small_run("lm", tmp_path, steps=1)
    begin(run, tmp_path / "run")
    with pytest.raises(UsageError, match="holds a run already") as caught:
        begin(run, tmp_path / "run")
    assert "palaver train resume" in caught.value.fix


def test_a_language_model_learns_ten_lines_by_heart_and_goes_on_with_them(tmp_path: Path) -> None:
    (tmp_path / "ten.txt").write_text("".join(f"{line}\n" for line in TEN) * 4, "utf-8")
    run = make_run(
        "lm",
        {
            **SMALL,
            "text": str(tmp_path / "ten.txt"),
            "width": 64,
            "steps": 200,
            "evaluate_every": 200,
            "learning_rate": 5e-3,
        },
    )
    trained(run, tmp_path / "run")
    assert answer(tmp_path / "run", "a dog", max_new_tokens=16) == " ran in the rain"


@pytest.mark.parametrize("architecture", ["transformer", "lstm"])
def test_a_seq2seq_model_learns_ten_pairs_by_heart(architecture: str, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("".join(f"{line}\n" for line in TEN), "utf-8")
    (tmp_path / "b.txt").write_text("".join(" ".join(line.split()[::-1]) + "\n" for line in TEN), "utf-8")
    run = make_run(
        "seq2seq",
        {
            **SMALL, "source": str(tmp_path / "a.txt"), "target": str(tmp_path / "b.txt"), "valid_share": 0.0,
            "tokenizer": "word", "architecture": architecture, "width": 64, "steps": 120, "learning_rate": 5e-3,
            "decay": "none", "label_smoothing": 0.0, "guided_attention": 0.5, "evaluate_every": 120,
        },
    )  # fmt: skip
    trained(run, tmp_path / "run")
    for folder in (tmp_path / "run", f"{tmp_path / 'run'}#greedy"):
        assert answer(folder, TEN[3] + "\n" + TEN[1]) == "port the left ship old the\nrain the in ran dog a"


@pytest.mark.parametrize("architecture", ["lstm", "embedding"])
def test_an_autoencoder_gives_back_what_it_has_learnt(architecture: str, tmp_path: Path) -> None:
    (tmp_path / "ten.txt").write_text("".join(f"{line}\n" for line in TEN), "utf-8")
    run = make_run(
        "autoencoder",
        {
            **SMALL, "text": str(tmp_path / "ten.txt"), "valid_share": 0.0, "tokenizer": "word", "layers": 1,
            "architecture": architecture, "width": 64, "steps": 150, "learning_rate": 1e-2, "evaluate_every": 150,
        },
    )  # fmt: skip
    trained(run, tmp_path / "run")
    assert [answer(tmp_path / "run", line) for line in TEN].count(TEN[0]) == 1
    assert sum(answer(tmp_path / "run", line) == line for line in TEN) >= 9


def test_over_fitting_is_told_once_and_the_best_checkpoint_is_the_one_before(tmp_path: Path) -> None:
    changes = {"architecture": "lstm", "valid_share": 0.4, "steps": 150, "evaluate_every": 15, "learning_rate": 1e-2}
    run = make_run("lm", {**SMALL, "text": str(text_file(tmp_path, 12)), "width": 64, "patience": 4, **changes})
    told = trained(run, tmp_path / "run")
    [alarm] = [one for one in told if isinstance(one, OverFitting)]
    assert alarm.loss > alarm.best_loss
    [ended] = [one for one in told if isinstance(one, Ended)]
    assert ended.reason == "patience"
    found = find(tmp_path / "run")
    assert found is not None
    assert describe(found).progress.step == ended.best_step == alarm.since_step
    kept = {path.name for path in (tmp_path / "run").glob("step-*")}
    assert len(kept) == 3
    assert found.name in kept


def test_a_run_can_be_paused_lowered_and_stopped_from_another_process(tmp_path: Path) -> None:
    run = small_run("lm", tmp_path, steps=10_000, evaluate_every=5_000, log_every=1, decay="none", warmup=1)
    rates: list[float] = []
    folder = tmp_path / "run"
    control = Control(folder)

    def listen(event: object) -> None:
        if isinstance(event, Interval):
            rates.append(event.learning_rate)
            if event.step == 3:
                tell(folder, "lower")
            if event.step == 6:
                tell(folder, "pause")
                threading.Timer(0.01, lambda: (tell(folder, "go"), tell(folder, "stop"))).start()

    ended = begin(run, folder, on_event=listen, control=control)
    assert ended.reason == "stopped"
    assert rates[:3] == [1e-3] * 3
    assert rates[-1] == 5e-4
    found = find(folder, wants_last=True)
    assert found is not None
    assert describe(found).progress.step == ended.step
    assert describe(found).progress.scale == 0.5


def test_samples_are_written_at_each_evaluation(tmp_path: Path) -> None:
    told = trained(small_run("seq2seq", tmp_path), tmp_path / "run")
    found = [one for one in told if isinstance(one, Sampled)]
    assert [one.step for one in found] == [2, 4]
    assert len(found[0].samples) > 0


def test_a_loss_that_is_no_number_ends_the_run_and_keeps_the_checkpoint(tmp_path: Path) -> None:
    run = small_run("lm", tmp_path, steps=2)
    begin(run, tmp_path / "run")
    before = weights_of(tmp_path / "run")
    with pytest.raises(ModelFailed, match=r"diverged.*is as it was") as caught:
        resume(tmp_path / "run", {"steps": 40, "learning_rate": 1e12, "clip": 0.0})
    assert "--learning-rate" in caught.value.fix
    after = weights_of(tmp_path / "run")
    assert all(torch.equal(before[name], after[name]) for name in before)


def test_text_that_has_changed_is_not_gone_on_with(tmp_path: Path) -> None:
    begin(small_run("lm", tmp_path, steps=1), tmp_path / "run")
    text_file(tmp_path, 150)
    with pytest.raises(BadInput, match="has changed"):
        resume(tmp_path / "run", {"steps": 2})


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "is empty"),
        (b" \n\n", "is empty"),
        (b"\x7fELF\x00\x01\xff\xfe", "is not a text file"),
        (b"short\n", "few"),
    ],
)
def test_a_corpus_that_is_none_is_refused_in_one_sentence(content: bytes, sentence: str, tmp_path: Path) -> None:
    (tmp_path / "bad.txt").write_bytes(content)
    run = make_run("lm", {**SMALL, "text": str(tmp_path / "bad.txt"), "steps": 1})
    with pytest.raises(BadInput, match=sentence) as caught:
        begin(run, tmp_path / "run")
    assert "\n" not in caught.value.message
    assert not (tmp_path / "run").exists()


def test_pairs_that_do_not_go_together_are_refused(tmp_path: Path) -> None:
    files = pair_files(tmp_path)
    with (tmp_path / "b.txt").open("a", encoding="utf-8") as file:
        file.write("one more\n")
    with pytest.raises(BadInput, match=r"60 lines and .* has 61"):
        begin(make_run("seq2seq", {**SMALL, **files, "steps": 1}), tmp_path / "run")


@pytest.mark.parametrize(("kind", "architecture"), KINDS)
def test_a_network_that_cannot_fit_the_memory_is_refused_before_it_is_made(
    kind: Kind, architecture: str, tmp_path: Path
) -> None:
    run = small_run(kind, tmp_path, width=1_000_000, architecture=architecture)
    with pytest.raises(ModelFailed, match="million weights needs about"):
        begin(run, tmp_path / "run")


def test_a_full_disk_ends_the_run_in_a_sentence_and_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = small_run("lm", tmp_path, steps=2)
    begin(run, tmp_path / "run")

    def full(path: Path, content: bytes) -> None:
        path.write_bytes(content[:100])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("palaver_train.checkpoint._write", full)
    with pytest.raises(ModelFailed, match=r"the disk is full; step-00000002 is as it was\."):
        resume(tmp_path / "run", {"steps": 4})
    assert [path.name for path in sorted((tmp_path / "run").glob("*step*"))] == ["step-00000002"]
    assert answer(tmp_path / "run", "the", max_new_tokens=3)


KILLED = """
import os, sys, threading
from pathlib import Path
from palaver_train import checkpoint
from palaver_train.session import resume
at = int(sys.argv[2])
calls = 0
def counted(real):
    def call(*arguments, **named):
        global calls
        calls += 1
        if calls == at:
            os.kill(os.getpid(), 9)
        return real(*arguments, **named)
    return call
os.fsync = counted(os.fsync)
os.replace = counted(os.replace)
Path.rename = counted(Path.rename)
resume(Path(sys.argv[1]), {"steps": 6})
"""


def kill_and_go_on(folder: Path, at: int) -> None:
    """A save that dies at its n-th step to the disk leaves a checkpoint that loads, and a run that goes on."""
    done = subprocess.run([sys.executable, "-c", KILLED, str(folder), str(at)], capture_output=True, timeout=120)
    assert done.returncode == -signal.SIGKILL, done.stderr.decode()
    for wants_last in (True, False):
        found = find(folder, wants_last=wants_last)
        assert found is not None
        from palaver_train.model import open_checkpoint

        open_checkpoint(found)
    resume(folder, {"steps": 6})
    last = find(folder, wants_last=True)
    assert last is not None
    assert describe(last).progress.step == 6
    assert not list(folder.glob(".*step*"))


@pytest.mark.fault
@pytest.mark.parametrize("at", [2, 7])
def test_kill_9_during_a_save_leaves_a_checkpoint_that_loads(at: int, tmp_path: Path) -> None:
    begin(small_run("lm", tmp_path, steps=2), tmp_path / "run")
    kill_and_go_on(tmp_path / "run", at)


@pytest.mark.soak
@pytest.mark.parametrize("number", range(50))
def test_kill_9_during_a_save_fifty_times(number: int, tmp_path: Path) -> None:
    begin(small_run("lm", tmp_path, steps=2), tmp_path / "run")
    kill_and_go_on(tmp_path / "run", 1 + number % 14)


TWO = """
import json, sys
from pathlib import Path
import torch.distributed as distributed
from palaver_train.config import Run
from palaver_train.session import begin
worlds = []
def listen(event):
    if event.name == "begun":
        worlds.append((event.processes, distributed.get_world_size()))
    if event.name == "interval":
        print(json.dumps([event.step, event.train_loss, event.validation_loss]))
begin(Run.from_json(json.loads(sys.argv[1])), Path(sys.argv[2]), on_event=listen)
assert not worlds or worlds == [(2, 2)], worlds
"""


@pytest.mark.parametrize("parallel", ["ddp", "fsdp"])
def test_two_processes_have_the_same_loss_as_one(parallel: str, tmp_path: Path) -> None:
    run = small_run("lm", tmp_path, precision="float32", batch=7, parallel=parallel, log_every=1, steps=3)
    alone = [one for one in trained(run, tmp_path / "one") if isinstance(one, Interval)]
    script = tmp_path / "two.py"
    script.write_text(TWO, "utf-8")
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    done = subprocess.run(
        [*launcher, str(script), json.dumps(run.to_json()), str(tmp_path / "two")],
        capture_output=True, text=True, timeout=120, env=os.environ | {"OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    together = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("[")]
    assert [row[0] for row in together] == [one.step for one in alone] == [1, 2, 3]
    for row, one in zip(together, alone, strict=True):
        assert row[1] == pytest.approx(one.train_loss, abs=2e-5)
    assert math.isclose(together[-1][2], alone[-1].validation_loss or 0, abs_tol=2e-5)
    one, two = weights_of(tmp_path / "one"), weights_of(tmp_path / "two")
    assert all(torch.allclose(one[name], two[name], atol=1e-4) for name in one)


def test_a_configuration_in_a_file_means_its_paths_from_there_and_flags_come_first(tmp_path: Path) -> None:
    (tmp_path / "run.toml").write_text('[data]\ntext = "text.txt"\n[shape]\nwidth = 64\nheads = 2\n', "utf-8")
    run = make_run("lm", {**read_config(tmp_path / "run.toml"), "width": 32})
    assert run.data.text == str(tmp_path / "text.txt")
    assert (run.shape.width, run.shape.heads, run.architecture) == (32, 2, "transformer_lm.v1")


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"widht": 3}, "no setting 'widht'"),
        ({"layers": 1.5}, "--layers is a whole number"),
        ({"tokenizer": "bits"}, "--tokenizer is one of char, word"),
        ({"architecture": "rnn"}, "--architecture of lm is one of transformer, lstm"),
        ({"width": 30, "heads": 4}, "--width is a multiple of --heads"),
        ({"learning_rate": -1}, "--learning-rate is a number of 0 or more"),
    ],
)
def test_a_setting_that_cannot_be_is_refused(settings: dict[str, Any], sentence: str) -> None:
    with pytest.raises(UsageError, match=sentence):
        make_run("lm", settings)


def test_more_checkpoints_are_kept_spread_over_the_run(tmp_path: Path) -> None:
    trained(small_run("lm", tmp_path, steps=12, evaluate_every=1, keep=4), tmp_path / "run")
    steps = sorted(int(one.name.rpartition("-")[2]) for one in (tmp_path / "run").glob("step-*"))
    assert (steps[0], steps[-2:]) == (1, [11, 12])  # the first, the last two
    assert len(steps) >= 4
    assert max(after - before for before, after in itertools.pairwise(steps)) <= 6
