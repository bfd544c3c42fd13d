"""JUnit's XML and the Markdown table of an evaluation: whole, countable, and hurt by nothing that a model may say."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from xml.etree import ElementTree

import pytest

from palaver.cli import evalprogress
from palaver.cli.program import Program
from palaver.cli.reports import junit_xml, markdown
from palaver.errors import ModelFailed
from palaver.evaluate import Evaluation
from palaver.model import Request
from palaver.plans import Wanted, make_plans
from palaver.runs import Report, begin, report
from palaver.store import Store
from palaver.testing.scripted import Scripted, ScriptedRegistry

NASTY = "a < b & ]]> | \x1b[31m\x00 \N{OGONEK}"


def ship(request: Request) -> str:
    text = request.messages[-1].content
    if "Ship 2" in text or "Ship 4" in text:
        raise ModelFailed(f"The engine said: {NASTY}")
    return f"A ship left. {NASTY}"


@pytest.fixture
def reports(tmp_path: Path) -> list[Report]:
    """Of three runs: lead-3 on all 6 examples, a model that fails on 2 of them, one that was stopped before the end."""
    data = tmp_path / "ships | and <boats>.jsonl"
    rows = [{"id": f"e{n}&<", "text": f"Ship {n} left. Rain fell.", "summary": f"Ship {n}."} for n in range(6)]
    data.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    registry = ScriptedRegistry(Scripted(ship))
    found = []
    with Store.open(tmp_path / "history.db") as store:
        for model, last in (("lead-3", 6), ("scripted", 6), ("copy", 3)):
            wanted = Wanted(task="summarize", dataset=str(data), models=(model,))
            dataset, [plan] = make_plans(registry, store, wanted)
            cancel = threading.Event()
            run = begin(store, plan)
            Evaluation(registry, store, run, dataset).run(
                cancel, lambda now, last=last, cancel=cancel: cancel.set() if now.tally.done == last < 6 else None
            )
            found.append(report(registry, store, run))
    return found


def test_junit_has_a_suite_a_run_whose_counts_are_those_of_its_cases(reports: list[Report]) -> None:
    text = junit_xml(reports, ["lead-3 chrF 20.1, 99 was wanted"])
    root = ElementTree.fromstring(text.encode())
    assert root.tag == "testsuites"
    assert [suite.tag for suite in root] == ["testsuite"] * 3
    for suite in root:
        cases = suite.findall("testcase")
        assert len(cases) == len(suite)
        assert suite.get("name")
        assert float(suite.get("time", "")) >= 0
        assert all(case.get("name") and case.get("classname") == suite.get("name") for case in cases)
        assert {child.tag for case in cases for child in case} <= {"failure", "error", "system-out"}
        for attribute, child in (("tests", ""), ("failures", "failure"), ("errors", "error")):
            hits = [case for case in cases if not child or case.find(child) is not None]
            assert suite.get(attribute) == str(len(hits)), (suite.get("name"), attribute)
    first, second, third = root
    assert (first.get("tests"), first.get("failures"), first.get("errors")) == ("2", "1", "0")  # below the bound
    assert (second.get("tests"), second.get("failures"), second.get("errors")) == ("4", "0", "2")
    assert [case.get("name") for case in second][2:] == ["example e2&<", "example e4&<"]
    assert "a < b & ]]> |" in second[2][0].get("message", "")
    assert third.get("failures") == "1"
    assert third[0].find("failure").get("message", "").endswith(" of 6 answered")  # type: ignore[union-attr]
    assert "chrF2|nrefs:1" in (first[0].findtext("system-out") or "")


def test_markdown_is_one_table_with_a_row_a_score(reports: list[Report]) -> None:
    lines = markdown(reports).splitlines()
    rows = [line for line in lines if line.startswith("| ")]
    assert len(rows) == 1 + sum(len(one.scores) for one in reports)
    cells = [line.replace("\\|", "").strip("|").split("|") for line in rows]
    assert {len(row) for row in cells} == {7}
    assert "ships \\| and <boats>.jsonl" in rows[1]
    assert all(line.isprintable() for line in lines)
    [failed] = [line for line in lines if "scripted: 4 complete, 2 failed of 6" in line]
    assert "first failure, example e2&<: The engine said" in failed


def test_a_slow_first_answer_is_waited_for_with_signs_of_life(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(evalprogress, "REPORT_SECONDS", 0.01)
    said = ""

    def slow(request: Request) -> str:
        nonlocal said
        while "waiting" not in said:  # the answer comes once the user was told that it is waited for
            said += capsys.readouterr().err
        return "A ship left."

    data = tmp_path / "ships.jsonl"
    data.write_text(json.dumps({"text": "A ship left. Rain fell."}) + "\n", "utf-8")
    registry = ScriptedRegistry(Scripted(slow))
    with Store.open(tmp_path / "history.db") as store:
        dataset, [plan] = make_plans(registry, store, Wanted(task="summarize", dataset=str(data), models=("scripted",)))
        evaluation = Evaluation(registry, store, begin(store, plan), dataset)
        progress = evalprogress.EvalProgress(Program(), "auto")
        progress.start(evaluation)
        evaluation.run(threading.Event(), progress.show)
        progress.end()
    assert "scripted · waiting for the first answer · 0 s" in said
