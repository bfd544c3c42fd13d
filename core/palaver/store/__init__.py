"""Every turn of every conversation in one SQLite file: write it safely, find it again, take it elsewhere."""

from palaver.store.answers import Answered, GoodOutput
from palaver.store.conversations import Said, clipped
from palaver.store.evaluations import Given, Promoted, Result, StoredDataset
from palaver.store.export import FORMATS, export_turns, turn_record
from palaver.store.filter import Filter, parse_filter
from palaver.store.history import Store
from palaver.store.migrations import telling
from palaver.store.rows import STATUS_OF, STATUSES, Reference, Run, Status, Turn, TurnLine, TurnStart
from palaver.store.sqlite import Error, sqlite_version
from palaver.store.votes import Vote

__all__ = [
    "FORMATS",
    "STATUSES",
    "STATUS_OF",
    "Answered",
    "Error",
    "Filter",
    "Given",
    "GoodOutput",
    "Promoted",
    "Reference",
    "Result",
    "Run",
    "Said",
    "Status",
    "Store",
    "StoredDataset",
    "Turn",
    "TurnLine",
    "TurnStart",
    "Vote",
    "clipped",
    "export_turns",
    "parse_filter",
    "sqlite_version",
    "telling",
    "turn_record",
]
