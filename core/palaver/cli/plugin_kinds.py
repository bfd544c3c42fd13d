"""What `palaver plugins new` writes for a data set and for a screen."""

from __future__ import annotations

DATASET = '''"""The data set `$name`."""

from __future__ import annotations

from collections.abc import Iterator

from palaver import Example, NamedDataset, hookimpl

ROWS = (
    ("A storm came over the bay. The ferries stayed in the harbour.", "Ferries stay in harbour as storm comes."),
    ("The council met on Monday. It voted to keep the old bridge.", "Council votes to keep the old bridge."),
    ("Rain fell for a week. The river left its banks on Friday.", "River leaves its banks after a week of rain."),
)


class $title:
    """Three news in two sentences each. Put yours here: read a file of the package, or download one."""

    name: str = "$name"
    summary: str = "three news in two sentences each, written for this plugin"
    tasks: tuple[str, ...] = ("summarize",)

    def examples(self) -> Iterator[Example]:
        """The same ones in the same order each time; their ids stay what they are."""
        for number, (text, summary) in enumerate(ROWS, 1):
            yield Example({"text": text}, (summary,), f"$name-{number}", "en")


@hookimpl
def palaver_datasets() -> list[NamedDataset]:
    return [$title()]
'''

DATASET_TEST = '''"""Every example can be used, and is the same tomorrow."""

from __future__ import annotations

from $module import $title


def test_each_example_has_a_text_a_summary_and_an_id_of_its_own() -> None:
    examples = list($title().examples())
    assert all(one["text"] and one.references for one in examples)
    assert len({one.id for one in examples}) == len(examples) == 3


def test_it_is_the_same_each_time() -> None:
    assert list($title().examples()) == list($title().examples())
'''

SCREEN = '''"""The screen `$title`. What it shows is in `$view`, which imports Textual."""

from __future__ import annotations

from palaver import Desk, ScreenKind, hookimpl


class $title:
    """A row of ctrl+g, and an entry of the command palette."""

    name: str = "$title"
    summary: str = "the newest answers, one a line"

    def open(self, desk: Desk) -> object:
        from $view import View  # Textual: paid by whoever goes there

        return View(desk)


@hookimpl
def palaver_screens() -> list[ScreenKind]:
    return [$title()]
'''

VIEW = '''"""What the screen shows."""

from __future__ import annotations

from typing import ClassVar

from palaver import Desk, safe_line
from textual.app import ComposeResult
from textual.binding import Binding
from textual.screen import Screen
from textual.widgets import Footer, Static


class View(Screen[None]):
    """The newest answers, one a line; read again at each visit."""

    BINDINGS: ClassVar = [Binding("r", "read", "read again"), Binding("d", "demo", "demo in the chat")]

    def __init__(self, desk: Desk) -> None:
        super().__init__()
        self.desk = desk

    def compose(self) -> ComposeResult:
        yield Static(markup=False)  # an answer may hold brackets, which are no markup
        yield Footer()

    def on_screen_resume(self) -> None:
        self.action_read()

    def action_read(self) -> None:
        """Read the history again."""
        turns = self.desk.turns(limit=20)
        lines = [f"#{turn['id']} {turn['task']}: {safe_line(str(turn['output']))}" for turn in turns]
        self.query_one(Static).update("\\n".join(lines) or "Nothing has been asked yet.")

    def action_demo(self) -> None:
        """Leave for the chat, and say something there."""
        self.desk.say("/demo")
'''

SCREEN_TEST = '''"""The screen shows what the desk has, and says in the chat what a key stands for."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

from textual.app import App
from textual.widgets import Static

from $module import $title
from $view import View


class Paper:
    """A desk with these turns."""

    def __init__(self, *outputs: str) -> None:
        self.outputs, self.said = outputs, list[str]()

    def turns(self, filter: str = "", limit: int = 100) -> Sequence[Mapping[str, object]]:
        return [{"id": 1, "task": "chat", "output": one} for one in self.outputs]

    def say(self, line: str) -> None:
        self.said.append(line)


def shown(desk: Paper, *keys: str) -> str:
    """What is on the screen after these keys."""

    async def look() -> str:
        app: App[None] = App()
        async with app.run_test() as pilot:
            view = $title().open(desk)
            assert isinstance(view, View)
            await app.push_screen(view)
            await pilot.press(*keys)
            return str(view.query_one(Static).content)

    return asyncio.run(look())


def test_each_answer_is_a_line() -> None:
    assert shown(Paper("A [/b] storm.", "Snow.")) == "#1 chat: A [/b] storm.\\n#1 chat: Snow."


def test_an_empty_history_says_so() -> None:
    assert shown(Paper()) == "Nothing has been asked yet."


def test_d_runs_the_demo_in_the_chat() -> None:
    desk = Paper()
    shown(desk, "d")
    assert desk.said == ["/demo"]
'''
