"""The line mode: the same chat for a reader of screens, where every event is a line and nothing is drawn over."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from tests.core.scripted import Script, Scripted, ScriptedRegistry, says
from tests.core.terminals import on_terminal, piped
from tests.tui.test_escapes import MARKUP, OBEYED, SEQUENCES

from palaver.cli.app import COMMANDS
from palaver.plugins import Plugins
from palaver.registry import Registry
from palaver.session import Session
from palaver.store import Filter, Store
from palaver_tui import slash
from palaver_tui.places import PLACES
from palaver_tui.plain.loop import talk_in_lines
from palaver_tui.plain.orders import COMMAND_OF, Orders
from palaver_tui.plain.talk import Talk
from palaver_tui.plain.voice import Spoken, Voice


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store.open(tmp_path / "history.db")


def talk(store: Store, script: Script, *lines: str) -> int:
    """The line mode in this process, with these lines on stdin."""
    sys.stdin = io.StringIO("\n".join([*lines, ""]))
    try:
        return talk_in_lines(Session(ScriptedRegistry(Scripted(script)), store, model="scripted"), Voice())
    finally:
        sys.stdin = sys.__stdin__


def test_a_model_that_is_not_there_is_named_before_anything_is_asked(
    store: Store, capsys: pytest.CaptureFixture[str]
) -> None:
    sys.stdin = io.StringIO("/quit\n")
    try:
        talk_in_lines(Session(Registry(Plugins()), store, model="nope"), Voice())
    finally:
        sys.stdin = sys.__stdin__
    told = "".join(capsys.readouterr()).splitlines()
    assert told[0].endswith("line mode.")
    assert told[1].startswith("Error: There is no model named 'nope'.")


def test_a_terminal_gets_lines_and_not_one_escape_sequence() -> None:
    keys, terminal = iter((b"/demo\n", b"/quit\n")), list[int]()

    def types(process: subprocess.Popen[bytes], seen: bytes) -> None:
        if seen.endswith(b"You: "):
            os.write(terminal[0], next(keys))

    ended = on_terminal("chat", "--plain", when_it_writes=types, on_open=terminal.append)
    assert ended.code == 0, ended.out
    assert "\x1b" not in ended.out
    lines = ended.out.replace("\r\n", "\n").splitlines()
    assert "You: /demo" in lines
    assert "demo: Gestern ich lese das Heft." in lines
    assert any(line.startswith("Scores: BLEU 100.0, chrF 100.0") for line in lines)
    assert not any("\r" in line or "\b" in line for line in lines)  # nothing is drawn over


def test_ctrl_c_stops_an_answer_and_keeps_it_and_the_talk_goes_on(tmp_path: Path) -> None:
    history = tmp_path / "history.db"
    keys, terminal = [b"Tell me a story\n", b"\x03", b"/history\n", b"/quit\n"], list[int]()

    def acts(process: subprocess.Popen[bytes], seen: bytes) -> None:
        if keys and (seen.endswith(b"You: ") != (keys[0] == b"\x03")) and (len(keys) != 3 or b"pond." in seen):
            os.write(terminal[0], keys.pop(0))

    program = ("-m", "tests.tui.plain_chat", str(history))
    ended = on_terminal(program=program, when_it_writes=acts, on_open=terminal.append)
    assert ended.code == 0, ended.out
    lines = ended.out.replace("\r\n", "\n")
    # Whole sentences come as they are written; what was begun comes when it is known that it ends there.
    assert "scripted: Once there was a frog. It sat in a pond." in lines
    assert "Stopping. Ctrl+c again leaves." in lines
    assert "And then\nNote: stopped before the end." in lines
    assert "Turn 1, " in lines
    with Store.open(history) as kept:
        assert kept.turn(1).status == "cancelled"
        assert kept.turn(1).output == "Once there was a frog. It sat in a pond. And then"


@pytest.mark.parametrize(
    ("arguments", "environment"), [((), {"PALAVER_PLAIN": "1"}), ((), {"TERM": "dumb"}), (("--plain",), {})]
)
def test_three_ways_lead_to_the_line_mode(arguments: tuple[str, ...], environment: dict[str, str]) -> None:
    ended = piped("chat", *arguments, given=b"/nonsense\n", environment={"TERM": "xterm", **environment})
    assert ended.code == 0
    assert "line mode" in ended.err
    assert "You: /nonsense\nError: There is no task named 'nonsense'." in ended.err


def test_without_it_a_pipe_is_refused_and_told_of_it() -> None:
    ended = piped("chat", given=b"Hello\n", environment={"TERM": "xterm"})
    assert ended.code == 2
    assert "palaver chat --plain" in ended.err


def test_the_line_mode_imports_no_library_of_the_screens() -> None:
    script = "import json, sys, palaver_tui.plain.loop, palaver_tui.screens.words; print(json.dumps(list(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True)
    assert not any(name.partition(".")[0] in ("textual", "rich", "torch") for name in json.loads(done.stdout))


def test_it_knows_every_command_that_the_chat_has(store: Store) -> None:
    orders = Orders(Talk(Session(ScriptedRegistry(Scripted(says("ok"))), store), Voice()))
    assert {*orders.by_name, "quit"} == slash.NAMES


def test_what_a_screen_shows_is_said_by_the_command_of_its_name(
    store: Store, capsys: pytest.CaptureFixture[str]
) -> None:
    for place in PLACES[1:]:
        assert place.command in ("history", "train") or COMMAND_OF.get(place.command, place.command) in COMMANDS
    talk(store, says("ok"), "/models info lead-3", "/plugins disable 'no such one'", "Hello")
    out, err = capsys.readouterr()
    assert "about     the first sentences of the text" in out
    assert "There is no plugin named 'no such one'" in err
    assert "scripted: ok" in out  # an error of the command ends no talk


def test_an_answer_goes_to_stdout_and_all_talk_to_stderr(store: Store, capsys: pytest.CaptureFixture[str]) -> None:
    talk(store, says("The cat sat."), "Hello", "/ref The cat sat.", "/details", "!!")
    out, err = capsys.readouterr()
    assert out == "scripted: The cat sat.\nscripted: The cat sat.\n"
    assert "You: Hello\nTurn 1, " in err
    assert "Scores: R-1 100.0" in err
    assert "Reference: The cat sat." in err
    assert store.turn(2).input_text == "Hello"


def test_a_line_that_ends_with_a_backslash_goes_on(store: Store) -> None:
    talk(store, says("ok"), "one\\", "two")
    assert store.turn(1).input_text == "one\ntwo"


def test_a_number_is_a_choice_only_after_choices(store: Store, capsys: pytest.CaptureFixture[str]) -> None:
    session = Session(Registry(Plugins()), store)
    sys.stdin = io.StringIO("1\n/nonsense\n1\n2\n")
    talk_in_lines(session, Voice())
    sys.stdin = sys.__stdin__
    err = capsys.readouterr().err
    assert "1. /demo: score three ready translations, no model, 2 s" in err
    assert "You: 1\n/demo\nText: The dog sleeps" in err
    inputs = [line.input_start for line in store.page(Filter(), limit=9)]
    assert inputs[0] == "2"  # there was no second choice then: a text like any other
    assert "You: 1\n/help\n" in err  # the third line's choice: what /nonsense may have meant


def test_errors_say_what_helps_and_the_text_can_be_sent_again(store: Store, capsys: pytest.CaptureFixture[str]) -> None:
    sys.stdin = io.StringIO("Hello\n")
    talk_in_lines(Session(Registry(Plugins()), store), Voice())
    sys.stdin = sys.__stdin__
    err = capsys.readouterr().err
    assert "Error: No installed model can do chat.\n1. /pull smollm2: downloads smollm2, 93 MB" in err
    assert "2. Hello: your text again, afterwards" in err


def test_two_turns_are_not_compared_in_lines_and_that_is_said(store: Store, capsys: pytest.CaptureFixture[str]) -> None:
    talk(store, says("ok"), "/compare #1")
    said = capsys.readouterr().err
    assert "In lines only evaluations are compared" in said
    assert "/compare RUN RUN" in said


def test_a_plugin_that_raises_ends_no_talk(store: Store, capsys: pytest.CaptureFixture[str]) -> None:
    def breaks(*_: object) -> None:
        raise ZeroDivisionError("by design")

    talk(store, breaks, "Hello", "/history")  # type: ignore[arg-type]
    err = capsys.readouterr().err
    assert "Error: scripted broke: ZeroDivisionError: by design." in err
    assert "Turn 1, " in err


def test_nothing_that_a_model_or_a_user_says_is_obeyed(store: Store, capsys: pytest.CaptureFixture[str]) -> None:
    both = "\n".join((*SEQUENCES, *MARKUP))
    talk(store, says(both), "Hello", f"/ref {SEQUENCES[0]}", "/details", f"/model {SEQUENCES[1]}", SEQUENCES[2])
    out, err = capsys.readouterr()
    assert not OBEYED.search((out + err).replace("\n", ""))
    assert "[@click=app.quit]quit[/]" in out


def test_an_answer_is_said_by_sentences(capsys: pytest.CaptureFixture[str]) -> None:
    spoken = Spoken(Voice())
    spoken.name = "m"
    said = []
    for piece in ("  Hel", "lo. How", " are you", "? 3", ".5 is\na num", "ber"):
        spoken.add(piece)
        said.append(capsys.readouterr().out)
    spoken.end("")
    assert said == ["", "m: Hello.", "", " How are you?", " 3.5 is\n", ""]
    assert capsys.readouterr().out == "a number\n"


def test_a_second_ctrl_c_leaves_what_cannot_be_stopped(store: Store) -> None:
    """The model waits for its cancel and then for ever: pressing twice ends the wait."""
    import threading

    from palaver_tui.plain.talk import Left

    talk_of = Talk(Session(ScriptedRegistry(Scripted(says("ok"))), store), Voice())
    never, cancel = threading.Event(), threading.Event()

    def stuck() -> None:
        os.kill(os.getpid(), signal.SIGINT)
        cancel.wait(20)
        os.kill(os.getpid(), signal.SIGINT)
        never.wait(20)

    with pytest.raises(Left):
        talk_of.wait(stuck, cancel, lambda: "")
    never.set()
