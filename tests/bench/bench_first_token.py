"""Whether a long chat reads its history again: the time to the first token, turn by turn, through a session.

    python tests/bench/bench_first_token.py [turns] [tokens]
    python tests/bench/bench_first_token.py ahead [turns] [tokens]
    python tests/bench/bench_first_token.py texts [tokens]

Each turn asks a question of about thirty tokens and gets an answer of some length, so what a model without a prefix
cache would have to read grows by both each turn. The same messages go to llama.cpp itself, turn by turn, which says how
many tokens were new to it: what grows there is the attention to a longer past. At the end the whole prompt of the last
turn is given to a model that has just been loaded: what the last turn would have cost without the cache. Beside the
wall clock stands the processor time of the model's process, which does not count who else was busy.

`ahead` asks the same questions three times, turn by turn in three conversations side by side: as they are; typed at
five keys a second without a rest and sent with the last key, so that the words of the last second are not read ahead;
and with a rest before enter, so that all is. The waits of typing are left out, what is read meanwhile is not. `texts`
asks a dozen conversations of four turns greedily, and counts how many answers stay the same when what is typed is read
ahead, and how many when the prefix cache is left out and each prompt is read anew.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from palaver import Chat, Example, GenerationConfig, Message, ModelInfo, Request
from palaver.ahead import read_ahead
from palaver.isolated import IsolatedModel
from palaver.plugins import Plugins
from palaver.pull import pull
from palaver.registry import Registry
from palaver.session import Ask, Session
from palaver.store import Store, Turn
from palaver_llamacpp.answer import body
from palaver_llamacpp.catalogue import SMOLLM2, located
from palaver_llamacpp.server import Server, serve

KEYS_A_SECOND = 5
"""Sixty words a minute; without a rest the chat reads once a second what is there."""
CONVERSATIONS = (
    ("What is bread made of?", "How long does it bake?", "And without yeast?", "Which one keeps longer?"),
    ("Name three rivers of Europe.", "Which is the longest?", "Where does it end?", "What towns lie on it?"),
    ("Write two lines about the sea.", "Now about a storm.", "Make it sadder.", "Give it a title."),
    ("Who was Marie Curie?", "What did she find?", "Which prizes did she get?", "Tell it to a child."),
    ("Explain what a prime number is.", "Is 21 one?", "And 23?", "How many are there below 20?"),
    ("I cannot sleep. What can I do?", "I drink much coffee.", "And tea?", "Sum it up in one sentence."),
    ("What is a compiler?", "How does it differ from an interpreter?", "Name one of each.", "Which is faster?"),
    ("Plan a day in Rome.", "It will rain.", "We travel with two children.", "What should we eat?"),
    ("Describe an owl.", "What does it eat?", "Can it see by day?", "Where does it nest?"),
    ("Give me a name for a boat.", "Another one.", "Something of the north.", "Why this one?"),
    ("What makes the sky blue?", "Why is the sunset red?", "And on Mars?", "Put it in ten words."),
    ("Begin a story about a keeper of a lighthouse.", "A stranger knocks.", "He has a letter.", "End the story."),
)

QUESTION = "And what happened on day {} at the lighthouse, when the wind turned and the boats came home? One sentence."


def processor_seconds(pid: int | None) -> float:
    """Of a process so far; 0 of one that is not there yet."""
    if pid is None:
        return 0.0
    fields = Path(f"/proc/{pid}/stat").read_text("ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def first_token(model: IsolatedModel, request: Request) -> float:
    """Seconds to the first text of an answer."""
    begun = time.perf_counter()
    cancel = threading.Event()
    for delta in model.stream([request], GenerationConfig(max_new_tokens=2), cancel):
        if delta.text:
            return time.perf_counter() - begun
    return 0.0


def cold(info: ModelInfo, request: Request) -> float:
    """The same of a model that has read nothing of it."""
    with IsolatedModel(info, module="palaver_llamacpp") as model:
        model.load()
        return first_token(model, request)


class Bare:
    """llama.cpp itself with the same conversation, in a process of its own: what is left once Palaver is taken away."""

    def __init__(self, path: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, __file__, "bare", path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def ask(self, messages: list[dict[str, str]], tokens: int) -> tuple[float, float, int]:
        """Seconds and processor seconds to the first text, and how many tokens of the prompt were read."""
        assert self._process.stdin and self._process.stdout
        self._process.stdin.write(json.dumps([messages, tokens]) + "\n")
        self._process.stdin.flush()
        seconds, work, read = json.loads(self._process.stdout.readline())
        return seconds, work, read

    def close(self) -> None:
        """End it."""
        self._process.kill()
        self._process.wait()


def bare(path: str) -> None:
    """What runs in that process."""
    server = serve(Path(path), 8192)
    for line in sys.stdin:
        messages, tokens = json.loads(line)
        asked = Request(tuple(Message(one["role"], one["content"]) for one in messages), "chat")
        first: list[tuple[float, float]] = []
        read: list[int] = []
        begun = time.perf_counter(), time.process_time()

        def hear(chunk: Mapping[str, Any], first: list[tuple[float, float]] = first, read: list[int] = read) -> bool:
            if any((one.get("delta") or {}).get("content") for one in chunk.get("choices") or ()) and not first:
                first.append((time.perf_counter(), time.process_time()))
            if progress := chunk.get("prompt_progress"):
                read.append(progress["total"] - progress["cache"])
            return False

        server.handle_chat_completions(body(asked, GenerationConfig(max_new_tokens=tokens)), hear)
        print(json.dumps([first[0][0] - begun[0], first[0][1] - begun[1], read[-1]]), flush=True)


def main(turns: int = 12, tokens: int = 48) -> None:
    """Measure and print."""
    pull(SMOLLM2, on_progress=lambda progress: None, cancel=threading.Event())
    info = located(SMOLLM2)
    seconds: list[float] = []
    work: list[float] = []
    direct: list[tuple[float, float, int]] = []
    peer = Bare(info.path)
    with tempfile.TemporaryDirectory() as folder, Store.open(Path(folder) / "history.db") as store:
        session = Session(Registry(Plugins()), store, model="llamacpp:smollm2")
        config = {"temperature": "0", "max_new_tokens": str(tokens)}
        for number in range(1, turns + 1):
            model = session.registry.model("smollm2")
            assert isinstance(model, IsolatedModel)
            before, at_first = processor_seconds(model.pid), list[float]()

            def heard(piece: str, model: IsolatedModel = model, at_first: list[float] = at_first) -> None:
                if not at_first:
                    at_first.append(processor_seconds(model.pid))

            asked = Ask(Chat(), Example({"text": QUESTION.format(number)}), config=config)
            outcome = session.ask(asked, on_text=heard)
            assert outcome.error is None, outcome.error
            work.append(at_first[0] - before)
            turn = outcome.turn
            seconds.append(turn.first_token_seconds or 0.0)
            direct.append(peer.ask([{"role": one.role, "content": one.content} for one in turn.prompt], tokens))
            took = f"first after {seconds[-1]:.3f} s, {work[-1]:.2f} s of work"
            print(f"turn {number:2}: {turn.prompt_tokens:5} prompt tokens, {direct[-1][2]} of them new, {took}", end="")
            print(f"; llama.cpp itself {direct[-1][0]:.3f} s, {direct[-1][1]:.2f}", flush=True)
        session.close()
        peer.close()
        whole = cold(info, Request(turn.prompt, "chat"))
    later, worked = statistics.median(seconds[-3:]), statistics.median(work[-3:])
    print(f"last three turns / turn 2: {later / seconds[1]:.2f}, by processor time {worked / work[1]:.2f}")
    wall, processor = (statistics.median(one[at] for one in direct[-3:]) / direct[1][at] for at in (0, 1))
    print(f"llama.cpp itself, the same messages: {wall:.2f}, by processor time {processor:.2f}")
    ours = statistics.median(mine - bare[0] for mine, bare in zip(seconds[1:], direct[1:], strict=True))
    print(f"session, child and history beside llama.cpp itself: {1000 * ours:.0f} ms a turn")
    print(f"the same prompt read anew: {whole:.3f} s, {whole / later:.1f} times as long")


def typed(session: Session, text: str, *, rests: bool) -> float:
    """Seconds that the model reads while a text is typed after the last answer."""
    begun = time.perf_counter()
    for end in range(0, len(text), KEYS_A_SECOND):
        read_ahead(session, text[:end], threading.Event())
    if rests:
        read_ahead(session, text, threading.Event())
    return time.perf_counter() - begun


def ask(session: Session, text: str, tokens: int) -> Turn:
    """A greedy answer."""
    config = {"temperature": "0", "max_new_tokens": str(tokens)}
    outcome = session.ask(Ask(Chat(), Example({"text": text}), config=config))
    assert outcome.error is None, outcome.error
    return outcome.turn


def ahead(turns: int = 12, tokens: int = 48) -> None:
    """The same conversation three times, each with a model of its own."""
    ways = {"not read ahead": None, "typed without a rest": False, "with a rest before enter": True}
    seconds: dict[str, list[float]] = {way: [] for way in ways}
    read: list[float] = []
    with tempfile.TemporaryDirectory() as folder, Store.open(Path(folder) / "history.db") as store:
        sessions = {way: Session(Registry(Plugins()), store, model="llamacpp:smollm2") for way in ways}
        for number in range(1, turns + 1):
            for way, rests in ways.items():
                if rests is not None:
                    took = typed(sessions[way], QUESTION.format(number), rests=rests)
                    read += [took] if rests and number > 1 else []
                turn = ask(sessions[way], QUESTION.format(number), tokens)
                seconds[way].append(turn.first_token_seconds or 0.0)
            told = ", ".join(f"{way} {1000 * found[-1]:.0f} ms" for way, found in seconds.items())
            print(f"turn {number:2}, {turn.prompt_tokens} prompt tokens: {told}", flush=True)
        for session in sessions.values():
            session.close()
    plain = seconds["not read ahead"]
    for way, found in seconds.items():
        later = statistics.median(found[-3:])
        print(f"{way}: last three turns {1000 * later:.0f} ms, / turn 2 {later / found[1]:.2f}", end="")
        print(f", / turn 2 that was not read ahead {later / plain[1]:.2f}")
    print(f"read while a question was typed: {statistics.median(read):.2f} s a turn")


def written(server: Server, said: list[Message], tokens: int, *, anew: bool = False) -> str:
    """A greedy answer of llama.cpp itself; `anew` takes nothing from what was read before."""
    asked = body(Request(tuple(said), "chat"), GenerationConfig(max_new_tokens=tokens))
    pieces: list[str] = []

    def hear(chunk: Mapping[str, Any]) -> bool:
        pieces.extend((one.get("delta") or {}).get("content") or "" for one in chunk.get("choices") or ())
        return False

    server.handle_chat_completions({**asked, "cache_prompt": asked["cache_prompt"] and not anew}, hear)
    return "".join(pieces)


def texts(tokens: int = 48) -> None:
    """Whether the batches that a prompt is read in change what is written greedily."""
    pull(SMOLLM2, on_progress=lambda progress: None, cancel=threading.Event())
    plain, ahead, cold = (serve(Path(located(SMOLLM2).path), 8192) for _ in range(3))
    turns = same_ahead = same_anew = 0
    for conversation in CONVERSATIONS:
        said: list[Message] = []
        for text in conversation:
            question = [*said, Message("user", text)]
            answer = written(plain, question, tokens)
            for end in range(0, len(text), KEYS_A_SECOND):
                written(ahead, [*said, Message("user", text[:end])], 0)
            turns += 1
            same_ahead += written(ahead, question, tokens) == answer
            same_anew += written(cold, question, tokens, anew=True) == answer
            said = [*question, Message("assistant", answer.strip())]
        print(f"{turns} answers: {same_ahead} equal when read ahead, {same_anew} when read anew", flush=True)


if __name__ == "__main__":
    if sys.argv[1:2] == ["bare"]:
        bare(sys.argv[2])
    elif sys.argv[1:2] == ["ahead"]:
        ahead(*map(int, sys.argv[2:]))
    elif sys.argv[1:2] == ["texts"]:
        texts(*map(int, sys.argv[2:]))
    else:
        main(*map(int, sys.argv[1:]))
