"""What can be done with turns of history: score, rate, note, tag, ask again, compare, copy, export, delete."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import datetime
from typing import Literal

from textual import on, work
from textual.widgets import Input

from palaver.command import read_text
from palaver.errors import PalaverError
from palaver.session import Session
from palaver.store import Filter
from palaver.terminal import safe_line
from palaver_tui.go import Go
from palaver_tui.screens.history_words import ASKED, IN, MEANT, in_full
from palaver_tui.screens.place import PlaceScreen
from palaver_tui.screens.turn_export import export
from palaver_tui.screens.turn_rows import table_row
from palaver_tui.widgets.filter_box import Question
from palaver_tui.widgets.table import Table
from palaver_tui.widgets.text import Text, styled
from palaver_tui.widgets.turn_detail import Detail, TurnDetail

Asked = Literal["", "reference", "note", "tag", "export"]


class TurnActsScreen(PlaceScreen):
    """The half of the History screen that changes something."""

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        self._session = session
        self._store = session.store
        self._deleted: list[frozenset[int]] = []
        """What `d` took away and `u` brings back, the last one last; gone for good when the screen is left."""
        self._asked: Asked = ""
        self._writing = asyncio.Lock()
        self._cancel: threading.Event | None = None
        """Set while a turn is being asked again."""

    @property
    def _table(self) -> Table:
        return self.query_one("#history-table", Table)

    @property
    def _shown(self) -> Detail | None:
        return self.query_one(TurnDetail).detail

    @property
    def _query(self) -> Filter:
        """The turns that the list shows."""
        raise NotImplementedError

    @property
    def command(self) -> str:
        """The command line that lists the same turns."""
        raise NotImplementedError

    def show_all(self, *, at: int | None = None) -> None:
        """Read the list anew, around a turn."""
        raise NotImplementedError

    def read(self, turn_id: int | None) -> None:
        """Show a turn in full."""
        raise NotImplementedError

    def _say(self, text: str, style: str = "$muted") -> None:
        """Put a sentence above the command line; an empty one takes it away."""
        said = self.query_one("#said", Text)
        said.set_class(not text, "-empty")
        said.show(styled((text, style)))

    # Asking for one line of text

    def action_reference(self) -> None:
        """Ask for a reference for the turn under the cursor."""
        self._ask("reference", "")

    def action_note(self) -> None:
        """Ask for a note on the turn under the cursor."""
        self._ask("note", safe_line(self._shown.note) if self._shown else "")

    def action_tag(self) -> None:
        """Ask for tags for the turn under the cursor."""
        self._ask("tag", "")

    def action_export(self) -> None:
        """Ask where the marked turns go, or all that the filter finds."""
        self._ask("export", "palaver-history.jsonl")

    def _ask(self, what: Asked, value: str) -> None:
        turn_id = self._table.cursor
        if turn_id is None:
            return
        self._asked, self._asked_of = what, turn_id
        self._say("")
        self.add_class("-asking")
        self.query_one(Question).ask(ASKED[what].format(turn_id), value, MEANT[what])

    def _stop_asking(self) -> None:
        self._asked = ""
        self.remove_class("-asking")
        (self.query_one(TurnDetail) if self.has_class("-open") else self._table).focus()

    @on(Input.Submitted, "#ask")
    def _answered(self, event: Input.Submitted) -> None:
        text, turn_id = event.value, self._asked_of
        if self._asked == "reference":
            self._change(turn_id, lambda: self._add_reference(turn_id, text))
        elif self._asked == "note":
            self._change(turn_id, lambda: self._note(turn_id, text.strip()))
        elif self._asked == "tag":
            self._change(turn_id, lambda: self._tag(turn_id, text.split()))
        elif self._asked == "export":
            marks = self._table.marks
            chosen = Filter().and_where(IN, json.dumps(sorted(marks))) if marks else self._query
            self._change(turn_id, lambda: export(self._store, chosen, text))

    def _add_reference(self, turn_id: int, text: str) -> str:
        turn = self._session.add_references(turn_id, [read_text(text)])
        failed = [score for score in turn.scores if score.error]
        return f"not scored by {failed[0].title}: {failed[0].error}" if failed else f"#{turn_id} scored"

    def _note(self, turn_id: int, text: str) -> str:
        self._store.note(turn_id, text)
        return f"#{turn_id} noted" if text else f"note of #{turn_id} removed"

    def _tag(self, turn_id: int, words: Sequence[str]) -> str:
        more = [word.lstrip("#") for word in words if not word.startswith("-")]
        fewer = [word[1:].lstrip("#") for word in words if word.startswith("-")]
        self._store.tag(turn_id, *filter(None, more))
        self._store.untag(turn_id, *filter(None, fewer))
        return f"#{turn_id} tagged" if more else f"tags of #{turn_id} removed" if fewer else ""

    @work(group="write")
    async def _change(self, turn_id: int, change: Callable[[], str]) -> None:
        """Write in a thread, one change after the other, then show the turn as it is now."""
        async with self._writing:
            try:
                said = await asyncio.to_thread(change)
                lines = await asyncio.to_thread(self._store.lines, [turn_id])
            except PalaverError as error:
                self._say(in_full(error), "$error")
                return
            except Exception as error:  # a metric plugin may raise anything at all
                self._say(f"A metric broke: {type(error).__name__}: {error}", "$error")
                return
        for line in lines:
            self._table.put(table_row(line, datetime.now()))
        if self._table.cursor == turn_id:
            self.read(turn_id)
        self._say(said)
        if self._asked:
            self._stop_asking()

    # Rating, deleting, copying

    def action_rate(self, stars: int) -> None:
        """Rate the turn under the cursor; 0 takes the rating back."""
        if (turn_id := self._table.cursor) is not None:
            self._change(turn_id, lambda: self._rate(turn_id, stars))

    def _rate(self, turn_id: int, stars: int) -> str:
        self._store.rate(turn_id, stars or None)
        return f"#{turn_id} {'★' * stars or 'unrated'}"

    def action_delete(self) -> None:
        """Delete the marked turns, or the one under the cursor; `u` brings them back until the screen is left."""
        cursor = self._table.cursor
        chosen = self._table.marks or (frozenset([cursor]) if cursor is not None else frozenset())
        if not chosen:
            return
        self._deleted.append(chosen)
        self._table.unmark(chosen)
        stays = next((row.id for row in self._table.rows if row.id <= (cursor or 0) and row.id not in chosen), None)
        self.show_all(at=stays if stays is not None else cursor)
        named = f"#{next(iter(chosen))}" if len(chosen) == 1 else f"{len(chosen)} turns"
        self._say(f"{named} deleted · u brings {'it' if len(chosen) == 1 else 'them'} back")

    def action_undo(self) -> None:
        """Bring back what was deleted last."""
        if not self._deleted:
            self._say("nothing to bring back")
            return
        back = self._deleted.pop()
        self.show_all(at=max(back))
        self._say(f"#{max(back)} is back" if len(back) == 1 else f"{len(back)} turns are back")

    def _delete_for_good(self) -> None:
        turns = [turn for chosen in self._deleted for turn in chosen]
        self._deleted.clear()
        if turns:
            with suppress(PalaverError):  # what could not be deleted is still there to be seen
                self._store.delete(turns)

    def action_resume(self) -> None:
        """Go on in the chat with the conversation of the turn under the cursor."""
        if shown := self._shown:
            self.post_message(Go("Chat", f"#{shown.id}"))

    def action_copy(self) -> None:
        """Copy the output of the turn under the cursor."""
        if shown := self._shown:
            self.app.copy_to_clipboard(shown.output)
            self._say(f"copied {len(shown.output):,} characters")

    def action_copy_command(self) -> None:
        """Copy the command line that lists the same turns."""
        self.app.copy_to_clipboard(self.command)
        self._say("copied the command line")

    # Asking again, comparing

    @property
    def is_busy(self) -> bool:
        """A turn is being asked again."""
        return self._cancel is not None

    def stop_again(self) -> None:
        """End the answer that is being written again; its text so far is kept."""
        if self._cancel is not None:
            self._cancel.set()

    def halt(self) -> None:
        """Stop the turn that is asked again."""
        self.stop_again()

    def action_again(self) -> None:
        """Ask the turn under the cursor once more: same prompt, parameters and seed."""
        turn_id = self._table.cursor
        if self._cancel is not None:
            self._say("one at a time: esc stops the one that is asked again")
        elif turn_id is not None:
            self._cancel = threading.Event()
            self._again(turn_id, self._cancel)

    @work(group="again")
    async def _again(self, turn_id: int, cancel: threading.Event) -> None:
        self._say(f"asking #{turn_id} again… esc stops and keeps the text")
        try:
            said, style = await asyncio.to_thread(asked_again, self._session, turn_id, cancel)
        except PalaverError as error:
            said, style = in_full(error), "$error"
        except Exception as error:  # a plugin may raise anything at all
            said, style = f"! {type(error).__name__}: {error}", "$error"
        finally:
            self._cancel = None
        if self.is_attached:
            self._say(said, style)
            self.show_all(at=self._table.cursor)

    def action_compare(self) -> None:
        """Look at two marked turns side by side, or ask other models what the one under the cursor asked."""
        marks, cursor = sorted(self._table.marks), self._table.cursor
        if len(marks) not in (0, 2):
            self._say(f"comparing takes two marked turns, and {len(marks)} {'is' if len(marks) == 1 else 'are'} marked")
        elif cursor is not None:
            from palaver_tui.screens.compare import CompareScreen

            compare = CompareScreen(self._session)
            self.app.push_screen(compare)
            compare.call_after_refresh(compare.arrive, " ".join(f"#{turn}" for turn in marks or [cursor]))


def asked_again(session: Session, turn_id: int, cancel: threading.Event) -> tuple[str, str]:
    """Ask a turn once more; what became of it, with what has drifted since, and how that is inked. Blocks.

    Raises:
        PalaverError: it cannot be asked again.
    """
    from palaver.again import drift, question_of

    before = session.store.turn(turn_id)
    # A session of its own: what is repeated belongs to no conversation.
    asking = Session(session.registry, session.store, kind="task", metrics=session.metrics)
    outcome = asking.ask(question_of(session.registry, before), cancel=cancel)
    after = outcome.turn
    if outcome.error is not None:
        return f"#{turn_id} again is #{after.id}: {in_full(outcome.error)}", "$error"
    same = "stopped" if after.status == "cancelled" else "another answer"
    if after.output == before.output and after.status == before.status:
        same = "the same answer"
    changed = " ".join(drift(before, after))
    return f"#{turn_id} again is #{after.id}: {same}. {changed or 'Nothing else has changed.'}", "$muted"
