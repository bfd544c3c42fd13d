"""Find installed plugins by their metadata, import them on use, and survive the broken ones."""

from palaver.plugins.describe import describe
from palaver.plugins.found import Found, find, is_safe_mode
from palaver.plugins.index import Known, known, read_index
from palaver.plugins.loader import Health, Plugin, Plugins, look
from palaver.plugins.probe import probe
from palaver.plugins.remedy import remedy

__all__ = [
    "Found",
    "Health",
    "Known",
    "Plugin",
    "Plugins",
    "describe",
    "find",
    "is_safe_mode",
    "known",
    "look",
    "probe",
    "read_index",
    "remedy",
]
