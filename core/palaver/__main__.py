"""`python -m palaver` is `palaver`."""

from __future__ import annotations

import sys

from palaver.cli import main

if __name__ == "__main__":
    sys.exit(main())
