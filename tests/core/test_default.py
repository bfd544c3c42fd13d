"""The default model is one line of the settings file; the user's other lines stay."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from palaver.cli import main
from palaver.config import read_settings, set_default, set_theme
from palaver.errors import UsageError
from palaver.paths import config_file

MINE = """# mine
theme = "ledger-light"  # for the day
model = 'smollm2'  # small

[models]  # one task each
qa = "qwen2.5-1.5b"

[other]
model = "not this"
"""


@pytest.fixture
def file() -> Path:
    path = config_file()
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


def test_the_first_default_makes_the_file(file: Path) -> None:
    assert set_default("lead-3") == file
    set_default("bm25", task="qa")
    assert file.read_text() == 'model = "lead-3"\n\n[models]\nqa = "bm25"\n'
    assert read_settings().model == "lead-3"
    assert read_settings().models == {"qa": "bm25"}


def test_one_line_changes_and_comments_stay(file: Path) -> None:
    file.write_text(MINE)
    set_default("lead-3")
    assert file.read_text() == MINE.replace("model = 'smollm2'", 'model = "lead-3"')
    set_default("bm25", task="qa")
    set_default("copy", task="translate")
    assert tomllib.loads(file.read_text())["models"] == {"qa": "bm25", "translate": "copy"}
    assert "# for the day" in file.read_text() and "# one task each" in file.read_text()


def test_a_theme_is_one_line_too(file: Path) -> None:
    file.write_text(MINE)
    set_theme("nord")
    set_theme("ledger-light")
    assert read_settings().theme == "ledger-light"
    assert {**tomllib.loads(MINE), "theme": "ledger-light"} == tomllib.loads(file.read_text())
    assert "# for the day" in file.read_text()


@pytest.mark.parametrize("name", ["C:\\new\\x.gguf", 'a "b".gguf', "über.gguf", "openai:http://x:1/v1#m"])
def test_any_name_comes_back_as_it_was(file: Path, name: str) -> None:
    set_default(name, task="qa")
    set_default(name)
    assert (read_settings().model, read_settings().models["qa"]) == (name, name)


@pytest.mark.parametrize("odd", ['models = { qa = "bm25" }\n', 'models.qa = "bm25"\n', 'model = """\nx\n"""\n'])
def test_a_file_in_another_layout_is_left_alone(file: Path, odd: str) -> None:
    file.write_text(odd)
    with pytest.raises(UsageError) as caught:
        set_default("copy", task="" if odd.startswith("model =") else "translate")
    assert caught.value.fix.startswith(f"edit {file}")
    assert file.read_text() == odd


def test_the_command_checks_the_name_and_tells_who_answers(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models", "default", "qa", "no-such"]) == 3
    assert main(["models", "default", "no-such-task", "copy"]) == 3
    assert main(["models", "default", "smollm2"]) == 7  # not on this machine
    assert main(["models", "default", "qa", "copy"]) == 4  # it cannot
    assert not file.exists()
    assert main(["models", "default", "qa", "bm25"]) == 0
    capsys.readouterr()
    assert main(["models", "default"]) == 0
    row = next(line.split() for line in capsys.readouterr().out.splitlines() if line.startswith("qa"))
    assert row == ["qa", "bm25", "settings"]


def test_a_path_is_kept_whole_and_a_server_by_its_name(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "own.gguf").write_bytes(b"GGUF")
    monkeypatch.chdir(tmp_path)
    assert main(["models", "default", "./own.gguf"]) == 0
    assert read_settings().model == str(tmp_path / "own.gguf")
    assert main(["models", "default", "openai:http://127.0.0.1:1/v1#m"]) == 0
    assert read_settings().model == "openai:http://127.0.0.1:1/v1#m"


def test_loading_ahead_needs_weights_and_an_engine(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models", "load", "smollm2"]) == 7
    assert main(["models", "load", "lead-3"]) == 1  # the tests run without an engine
    assert "PALAVER_NO_DAEMON" in capsys.readouterr().err
