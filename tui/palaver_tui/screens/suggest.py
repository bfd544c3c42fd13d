"""The menu above the prompt: when it opens, what is in it, what tab and enter do with the chosen entry."""

from __future__ import annotations

from textual import on

from palaver_tui import messages, slash
from palaver_tui.completions import file_entries, word_entries
from palaver_tui.conversation import OpenSession
from palaver_tui.entries import Entry
from palaver_tui.screens.turns import TurnScreen
from palaver_tui.widgets.menu import Menu, matching
from palaver_tui.widgets.prompt import Prompt


class SuggestScreen(TurnScreen):
    """The part of the Chat screen that completes what is typed."""

    def __init__(self, open_session: OpenSession) -> None:
        super().__init__(open_session)
        self.searched: str | None = None
        """What was in the prompt before earlier prompts were searched; None while they are not."""

    @on(messages.Opened)
    def _recall(self) -> None:
        self.conversation.do(lambda session: messages.Recalled(session.store.typed()))

    @on(messages.Recalled)
    def _recalled(self, event: messages.Recalled) -> None:
        self.prompt.recall(event.texts)

    @property
    def menu(self) -> Menu:
        """The entries above the prompt."""
        return self.query_one(Menu)

    @on(Prompt.Stepped)
    def _step(self, event: Prompt.Stepped) -> None:
        self.menu.move(event.step)
        self.refresh_hints()

    @on(Menu.Picked)
    def _picked(self) -> None:
        self.prompt.focus()
        self.complete()
        self.refresh_hints()

    @on(Prompt.Completed)
    async def _complete_or_fix(self) -> None:
        if self.menu.entry is not None:
            self.complete()
        elif self.fix:
            self.prompt.put(self.fix)
        await self.prompt.release()

    @on(Prompt.SearchWanted)
    def _search(self) -> None:
        """Find an earlier prompt by what is typed now; once more takes the next one."""
        if self.searched is not None:
            self.menu.move(1)
            return
        self.searched = self.prompt.text
        self.suggest()
        self.refresh_hints()

    def end_search(self, *, text: str | None = None) -> None:
        """Put the chosen prompt there, or what was there before."""
        before, self.searched = self.searched, None
        self.prompt.put(before or "" if text is None else text)
        self.close_menu()

    def close_menu(self) -> None:
        """Hide the menu."""
        self.menu.close()
        self.prompt.menu_is_open = False

    def suggest(self) -> None:
        """Open the menu on a first word that begins with `/`, on a last one with `@` or `-`, or while searching."""
        text = self.prompt.text
        if self.searched is not None:
            found = [Entry(one) for one in self.prompt.matching(text)]
            self.menu.open(found, len(self.prompt.earlier))
            self.prompt.menu_is_open = True
            return
        found, total = self._found(text)
        self.returned = self.returned if text == self.returned else ""
        if text == self.returned or (len(found) == 1 and self._completed(found[0]).strip() == text.strip()):
            # Nothing is left to choose: a command that needs more gets its space from enter, all else is sent.
            found = found if text != self.returned and self.enter(found[0]) == "complete" else []
        self.menu.open(found, total)
        self.prompt.menu_is_open = bool(found)

    def _found(self, text: str) -> tuple[list[Entry], int]:
        """The entries that go with the text, of so many."""
        word = text.rpartition(" ")[2]
        at_end = self.prompt.cursor_location == self.prompt.document.end
        if word.startswith("@") and at_end:
            return file_entries(text), 0
        if not text.startswith("/") or text.startswith("//") or "\n" in text or not at_end:
            return [], 0
        registry = self.session.registry if self.session else None
        if " " not in text:
            entries = slash.entries(registry)
            return matching(entries, text), len(entries)
        entries = word_entries(registry, text) if registry is not None else []
        return matching(entries, word) if word else entries, len(entries)

    def _completed(self, entry: Entry) -> str:
        """The text of the prompt with the entry in it."""
        if self.searched is not None:
            return entry.text
        if entry.text.startswith("@"):
            return self.prompt.text.rpartition("@")[0] + entry.text
        before, space, _ = self.prompt.text.rpartition(" ")
        return f"{before}{space}{entry.text} " if space else f"{entry.text} "

    def enter(self, entry: Entry) -> str:
        """What the enter key does with the entry: complete what cannot be sent as it is, else run or send."""
        if self.searched is not None:
            return "take"
        text, completed = self.prompt.text, self._completed(entry)
        is_value = " " in text and not entry.text.startswith("--")
        is_typed = completed == text or (is_value and completed.rstrip() == text)  # a value needs no space after it
        if entry.needs_more and not is_typed:
            return "complete"
        return "run" if self.prompt.text.startswith("/") else "send"

    def complete(self) -> None:
        """Put the chosen entry of the menu into the prompt."""
        entry = self.menu.entry
        if entry is None:
            return
        if self.searched is not None:
            self.end_search(text=entry.text)
            return
        self.prompt.put(self._completed(entry))
        if not entry.text.endswith("/"):
            self.close_menu()

    def chosen_line(self, entry: Entry) -> str:
        """What enter sends while an entry is chosen: the line completed with it, but for files."""
        return self.prompt.text.strip() if entry.text.startswith("@") else self._completed(entry).strip()
