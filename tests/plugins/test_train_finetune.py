"""Fine-tuning: a tiny model of transformers learns pairs, is written only if it is better, and answers as a model."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner, Result

pytest.importorskip("torch")
pytest.importorskip("transformers")
pytest.importorskip("peft")

import torch
import transformers
from tests.plugins.torch_models import EOS, PAD, VOCABULARY, llama, load, saved, told

from palaver import BadInput, GenerationConfig, ModelFailed, UsageError
from palaver_train.commands import add_to
from palaver_train.control import Control
from palaver_train.events import Ended, Event, Interval
from palaver_train.finetuning.base import NOTHING, Causal
from palaver_train.finetuning.base import load as load_base
from palaver_train.finetuning.examples import Lesson, Lessons, from_files, from_turns
from palaver_train.finetuning.settings import Lora, Tuning
from palaver_train.finetuning.tune import tune


@pytest.fixture(autouse=True)
def one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PALAVER_THREADS", "1")


def bart(folder: Path) -> Path:
    torch.manual_seed(0)
    config = transformers.BartConfig(
        vocab_size=VOCABULARY, d_model=32, encoder_layers=1, decoder_layers=1, encoder_attention_heads=2,
        decoder_attention_heads=2, encoder_ffn_dim=64, decoder_ffn_dim=64, max_position_embeddings=64,
        eos_token_id=EOS, pad_token_id=PAD, bos_token_id=EOS, decoder_start_token_id=EOS, forced_eos_token_id=EOS,
    )  # fmt: skip
    return saved(folder, transformers.BartForConditionalGeneration(config))


@pytest.fixture
def files(tmp_path: Path) -> tuple[str, str]:
    """Forty inputs; every answer is "a b c", whatever was asked: easily learnt, and the same for what is held out."""
    inputs, answers = tmp_path / "inputs", tmp_path / "answers"
    inputs.write_text("".join(f"who sat {n}?\n" for n in range(40)), "utf-8")
    answers.write_text("".join(f"a b c {n % 10}\n" for n in range(40)), "utf-8")
    return str(inputs), str(answers)


def lessons(files: tuple[str, str]) -> Lessons:
    found = from_files(*files, ("source", "target"), None, 0.2, 1)
    both = [*found.train, *found.valid]  # answers recur, so that a split by them is uneven: cut by number here
    return Lessons(both[:32], both[32:])


def tuned(base: Path, out: Path, files: tuple[str, str], **settings: Any) -> list[Event]:
    events: list[Event] = []
    given = {"lora": None, "steps": 30, "learning_rate": 1e-2, "evaluate_every": 10, **settings}
    tune(Tuning(base, out, **given), lessons(files), on_event=events.append, control=Control())
    return events


@pytest.mark.parametrize("make", [llama, bart], ids=["causal", "seq2seq"])
@pytest.mark.parametrize("lora", [None, Lora(rank=8, alpha=32)], ids=["full", "lora"])
def test_what_was_held_out_gets_likelier_and_the_result_is_a_model_that_answers(
    tmp_path: Path, files: tuple[str, str], make: Any, lora: Lora | None
) -> None:
    base, out = make(tmp_path / "base"), tmp_path / "tuned"
    events = tuned(base, out, files, lora=lora)
    losses = [one.validation_loss for one in events if isinstance(one, Interval)]
    assert losses[0] is not None
    assert losses[-1] is not None
    assert losses[-1] < losses[0]
    story = json.loads((out / "finetune.json").read_text("utf-8"))
    assert story["validation_loss"] == {"base": losses[0], "tuned": min(one for one in losses if one is not None)}
    assert not list(out.glob("*.bin"))
    model = load(out)
    text = "".join(
        one.text for one in model.stream([told("who sat 3?")], GenerationConfig(max_new_tokens=8), threading.Event())
    )
    if lora is None:  # thirty steps are few for updates of rank 8
        assert text.strip().startswith("a b c"), text


def test_lora_leaves_the_weights_of_the_base_alone_until_they_are_added_together(
    tmp_path: Path, files: tuple[str, str]
) -> None:
    base = load_base(llama(tmp_path / "base"), Lora(), ("", ""))
    learning = {name for name, one in base.network.named_parameters() if one.requires_grad}
    assert learning
    assert all("lora_" in name for name in learning)


def test_only_the_answer_of_a_causal_model_is_a_target(tmp_path: Path) -> None:
    base = load_base(llama(tmp_path / "base"), None, ("", ""))
    assert isinstance(base, Causal)
    found = base.encode(Lesson((), "", "a b"))
    asked = base.encode(Lesson(told("who sat?").messages, "who sat?", "a b"))
    answer = base.tokenizer("\n\na b")["input_ids"] + [EOS]
    assert [one for one in asked.targets if one != NOTHING] == answer
    assert asked.inputs[-len(answer) :] == answer
    assert len(asked.inputs) > len(found.inputs)


def test_a_result_that_is_no_better_is_not_written(tmp_path: Path, files: tuple[str, str]) -> None:
    base, out = llama(tmp_path / "base"), tmp_path / "tuned"
    with pytest.raises(ModelFailed, match="no better than its base on the 8 held-out examples"):
        tuned(base, out, files, learning_rate=1e-12, steps=4, evaluate_every=4)
    assert not (out / "model.safetensors").exists()


def test_a_loss_that_is_no_number_ends_the_run_and_nothing_is_written(tmp_path: Path, files: tuple[str, str]) -> None:
    base, out = llama(tmp_path / "base"), tmp_path / "tuned"
    with pytest.raises(ModelFailed, match="diverged"):
        tuned(base, out, files, learning_rate=1e30, steps=20)
    assert not (out / "model.safetensors").exists()


def test_stop_writes_the_best_so_far(tmp_path: Path, files: tuple[str, str]) -> None:
    control, out, events = Control(), tmp_path / "tuned", list[Event]()

    def watch(event: Event) -> None:
        events.append(event)
        if isinstance(event, Interval) and event.step == 10:
            control.order("stop")

    tuning = Tuning(llama(tmp_path / "base"), out, lora=None, steps=1000, learning_rate=1e-2, evaluate_every=10)
    tune(tuning, lessons(files), on_event=watch, control=control)
    assert isinstance(events[-1], Ended)
    assert (events[-1].reason, events[-1].step) == ("stopped", 11)
    assert (out / "model.safetensors").exists()


def test_own_turns_are_accepted_by_reference_or_by_four_stars(monkeypatch: pytest.MonkeyPatch) -> None:
    def turn(number: int, **more: object) -> str:
        said = {"input_text": f"in {number}", "prompt": [{"role": "user", "content": f"ask {number}"}],
                "output": f"out {number}", "status": "complete", "references": [], "rating": None}  # fmt: skip
        return json.dumps({**said, **more})

    rows = [turn(n, references=[{"text": f"ref {n}"}]) for n in range(10)]
    rows += [turn(10, rating=5), turn(11, rating=2), turn(12, rating=4, status="cancelled"), turn(13)]

    class Done:
        returncode, stdout, stderr = 0, "\n".join(rows) + "\n", ""

    monkeypatch.setattr("subprocess.run", lambda *arguments, **options: Done())
    found = from_turns("task:qa", 0.2, 1)
    both = [*found.train, *found.valid]
    assert {one.answer for one in both} == {f"ref {n}" for n in range(10)} | {"out 10"}
    assert both[0].messages[0].content.startswith("ask ")
    assert found.notes == ("3 turns have neither a reference nor 4 stars and are left out.",)
    assert not {one.text for one in found.train} & {one.text for one in found.valid}


def run(*arguments: str) -> Result:
    group = click.Group("palaver")
    add_to(group)
    return CliRunner().invoke(group, ["train", "finetune", *arguments])


def test_the_command_says_what_is_missing(tmp_path: Path, files: tuple[str, str]) -> None:
    base = str(llama(tmp_path / "base"))
    few = tmp_path / "few"
    few.write_text("one\ntwo\n", "utf-8")
    for arguments, error, said in (
        ((base,), UsageError, "--source with its answers, or --turns"),
        (("no-such-model", "--source", files[0], "--target", files[1]), BadInput, "no installed model of that name"),
        ((base, "--source", str(few), "--target", str(few)), BadInput, "too few to learn from"),
        ((base, "--source", files[0], "--target", files[1], "--valid-share", "0"), UsageError, "--valid-share"),
        ((base, "--source", files[0], "--target", files[1], "--out", base), UsageError, "holds a model already"),
    ):
        done = run(*arguments, *(() if "--out" in arguments else ("--out", str(tmp_path / "out"))))
        assert isinstance(done.exception, error), done.output
        assert said in str(done.exception)
