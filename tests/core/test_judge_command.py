"""`palaver compare --judge` from end to end: two real runs, and a judge behind a server of OpenAI's protocol."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from palaver import cli


class Judge(BaseHTTPRequestHandler):
    """Finds the longer of the two answers better, in whichever order they come; keeps what it was asked."""

    asked: list[str]

    def do_POST(self) -> None:
        text = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["messages"][-1]["content"]
        self.asked.append(text)
        first, second = (text.split(f"[answer {one}]\n")[1].split("\n[end of")[0] for one in "AB")
        said = "A" if len(first) > len(second) else "B"
        deltas = [{"delta": {"content": said}, "finish_reason": None}, {"delta": {}, "finish_reason": "stop"}]
        body = "".join(f"data: {json.dumps({'choices': [{'index': 0, **one}]})}\n\n" for one in deltas)
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.end_headers()
        self.wfile.write(f"{body}data: [DONE]\n\n".encode())

    def log_message(self, format: str, *args: object) -> None:
        return None


@pytest.fixture
def judge() -> Iterator[tuple[str, list[str]]]:
    """The model's name, and what it is asked."""
    asked: list[str] = []
    with ThreadingHTTPServer(("127.0.0.1", 0), type("Asked", (Judge,), {"asked": asked})) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        yield f"openai:http://127.0.0.1:{server.server_address[1]}/v1#judge", asked
        server.shutdown()


def command(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    code = cli.main([*map(str, arguments)])
    told = capsys.readouterr()
    return code, told.out, told.err


def evaluated(capsys: pytest.CaptureFixture[str], folder: Path, count: int = 8) -> None:
    """Run 1 gives one sentence, run 2 two; of the last example both give all there is."""
    rows = [
        {"text": f"Ship {n} left. Rain fell on {n} towns. Snow came.", "summary": f"Ship {n}."} for n in range(count)
    ]
    rows.append({"text": "Only this.", "summary": "This."})
    data = folder / "ships.jsonl"
    data.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    for length in (1, 2):
        assert command(capsys, "eval", "summarize", data, "-m", "lead-3", "-o", f"length={length}")[0] == 0


def test_a_judge_names_the_better_run_beside_the_metrics(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, judge: tuple[str, list[str]]
) -> None:
    evaluated(capsys, tmp_path)
    name, asked = judge
    code, out, _ = command(capsys, "compare", 1, 2, "--judge", name)
    assert code == 0
    # 8 of 9 pairs differ, each is asked in both orders; the identical one is a tie that nobody is asked about.
    assert len(asked) == 16
    assert "9 examples that all of lead-3#1, lead-3#2 answered" in out
    [row] = [line.split() for line in out.splitlines() if line.startswith("lead-3#1") and "0 1 8" in line]
    assert row[-1] == "lead-3#2"
    assert "n=9; the order decided 0% of the pairs" in out
    assert "1 the same text" in out
    assert "16 verdicts asked (run 3), 0 from history; judge|model:openai" in out


def test_the_verdicts_are_json_and_turns_of_history(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, judge: tuple[str, list[str]]
) -> None:
    evaluated(capsys, tmp_path)
    code, out, _ = command(capsys, "compare", 1, 2, "--judge", judge[0], "--json")
    found = json.loads(out)
    assert (code, found["schema"], found["runs"]) == (0, "palaver.compare/1", [1, 2])
    [pair] = found["judge"]["pairs"]
    assert (pair["wins"], pair["ties"], pair["losses"], pair["better"]) == (0, 1, 8, "lead-3#2")
    # The sign test over 8 losses and no win: 2 of 2^8 ways that coins fall are as one-sided.
    assert pair["p_holm"] == pytest.approx(2 / 2**8)
    assert found["judge"]["asked"] == 16
    code, out, _ = command(capsys, "history", "list", "run:3", "--json", "--limit", 50)
    assert json.loads(out)["total"] == 16


def test_a_judge_that_is_not_there_is_told_by_name(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    evaluated(capsys, tmp_path, count=2)
    code, out, err = command(capsys, "compare", 1, 2, "--judge", "openai:http://127.0.0.1:9/v1#judge")
    assert (code, out) == (1, "")
    assert "gave no verdict: There is no server at 127.0.0.1:9" in err
