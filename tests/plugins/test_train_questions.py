"""What a checkpoint can be asked: how likely a text is, which texts are near, and its task through the command line."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

pytest.importorskip("torch")
pytest.importorskip("tokenizers")

from tests.plugins.train_runs import SMALL, TEN, small_run, text_file, trained

from palaver import BadInput, Example
from palaver.cli.app import palaver
from palaver_train.backend import Trained
from palaver_train.config import make_run
from palaver_train.events import Interval
from palaver_train.questions import likelihood, open_kind
from palaver_train.reconstruct import Reconstruct


@pytest.fixture(autouse=True)
def one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PALAVER_THREADS", "1")


def run(*arguments: str) -> Result:
    return CliRunner().invoke(palaver, list(arguments), catch_exceptions=False)


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An autoencoder that knows ten lines a little."""
    folder = tmp_path_factory.mktemp("encoder")
    (folder / "ten.txt").write_text("".join(f"{line}\n" for line in TEN), "utf-8")
    settings = {"valid_share": 0.0, "tokenizer": "word", "layers": 1, "steps": 20, "learning_rate": 1e-2}
    trained(make_run("autoencoder", {**SMALL, "text": str(folder / "ten.txt"), **settings}), folder / "run")
    return folder


def test_the_perplexity_of_the_validation_text_is_the_one_that_training_told(tmp_path: Path) -> None:
    valid = tmp_path / "valid.txt"
    valid.write_text("the cat sat on the mat\n" * 20, "utf-8")
    told = trained(small_run("lm", tmp_path, valid=str(valid), precision="float32"), tmp_path / "run")
    loss = [one.validation_loss for one in told if isinstance(one, Interval)][-1]
    found = likelihood(open_kind(tmp_path / "run" / "step-00000004", "lm"), valid.read_text("utf-8"))
    assert loss is not None
    assert found.perplexity == pytest.approx(math.exp(loss), rel=1e-4)
    # One character is one token here, but the first, which nothing foresees.
    assert found.bits_per_character == pytest.approx(loss / math.log(2) * found.tokens / found.characters, rel=1e-4)
    said = json.loads(run("train", "perplexity", str(tmp_path / "run"), str(valid), "--json").stdout)
    assert said["models"][str(tmp_path / "run")]["perplexity"] == pytest.approx(found.perplexity)
    assert 1 < said["models"]["5-grams"]["perplexity"] < found.perplexity  # four steps are few


def test_the_nearest_text_is_the_text_itself(encoder: Path) -> None:
    said = run("train", "nearest", str(encoder / "run"), TEN[4], "--among", str(encoder / "ten.txt"), "-n", "2")
    first, second = said.stdout.splitlines()
    assert first == f"1.000  {TEN[4]}"
    assert second.partition("  ")[2] in TEN


def test_turns_of_history_can_be_searched_for_what_is_near(encoder: Path, tmp_path: Path) -> None:
    turns = tmp_path / "turns.jsonl"
    turns.write_text("".join(json.dumps({"inputs": {"text": line}}) + "\n" for line in TEN), "utf-8")
    said = run("train", "nearest", str(encoder / "run"), TEN[0], "--among", str(turns), "-n", "1")
    assert said.stdout == f"1.000  {TEN[0]}\n"


def test_vectors_have_the_length_one(encoder: Path) -> None:
    rows = [
        json.loads(line)
        for line in run("train", "embed", str(encoder / "run"), str(encoder / "ten.txt")).stdout.splitlines()
    ]
    assert [row["text"] for row in rows] == TEN
    assert all(math.hypot(*row["vector"]) == pytest.approx(1, abs=1e-3) for row in rows)


def test_a_checkpoint_of_another_kind_is_refused(encoder: Path) -> None:
    with pytest.raises(BadInput, match="no checkpoint of a language model, but of autoencoder"):
        open_kind(next((encoder / "run").glob("step-*")), "lm")


def test_a_text_is_its_own_reference_when_it_is_reconstructed() -> None:
    assert Reconstruct().prepare(Example({"text": "so"})).references == ("so",)
    assert Reconstruct().prepare(Example({"text": "so"}, ("other",))).references == ("other",)


def test_a_translator_tells_its_languages_and_a_search_is_part_of_a_name(tmp_path: Path) -> None:
    languages = {"task": "translate", "source_language": "en", "target_language": "de"}
    trained(small_run("seq2seq", tmp_path, steps=1, **languages), tmp_path / "run")
    info = Trained().resolve(f"{tmp_path / 'run'}#beams=3")
    assert info is not None
    assert (info.tasks, info.pairs, info.name) == (("translate",), ("en-de",), "run#beams=3")
    plain, greedy = (Trained().resolve(f"{tmp_path / 'run'}{end}") for end in ("", "#greedy"))
    assert plain is not None and greedy is not None
    assert Trained().load(plain).info.digest != Trained().load(greedy).info.digest
    assert Trained().resolve(f"{tmp_path / 'run'}#beam") is None


def test_the_command_line_trains_and_the_folder_answers(tmp_path: Path) -> None:
    config = tmp_path / "run.toml"
    config.write_text('text = "text.txt"\nwidth = 32\nheads = 2\nlayers = 1\ncontext = 16\nsteps = 2\n', "utf-8")
    text_file(tmp_path)
    done = run("train", "lm", str(config), "--out", str(tmp_path / "run"), "--batch", "4")
    assert done.exit_code == 0
    assert done.stdout == f"{tmp_path / 'run'}\n"
    assert "step 2 of 2 · epoch" in done.stderr
    said = run("generate", "-m", str(tmp_path / "run"), "the cat", "--max-new-tokens", "5", "--json", "--no-log")
    assert json.loads(said.stdout)["output"]
