"""When Python's garbage collector looks at everything: while nobody waits, and not in the middle of an answer."""

from __future__ import annotations

import gc


def collect_now() -> None:
    """Collect all garbage, and leave what is alive out of the collections to come.

    A full collection looks at every object, some 40 ms with this many modules, and would come several times in one
    answer. What is set aside here is looked at again the next time this is called, so nothing is kept for ever.
    """
    gc.unfreeze()
    gc.collect()
    gc.freeze()
