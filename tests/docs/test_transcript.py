"""The matcher of transcripts accepts what may differ, and nothing else."""

from __future__ import annotations

import pytest
from tests.docs.transcript import commands, matches

PAGE = """\
Text.

```console
$ palaver score <<'END'
> a b
> END
BLEU  41.2
```

```console model
$ palaver chat
...
```

```sh
$ not run
```
"""


def test_the_commands_of_a_page_come_in_order_with_their_output() -> None:
    first, second = commands(PAGE)
    assert (first.text, first.expected, first.line) == ("palaver score <<'END'\na b\nEND", ("BLEU  41.2",), 4)
    assert (second.text, second.needs_model) == ("palaver chat", True)


@pytest.mark.parametrize(
    ("expected", "printed", "same"),
    [
        (["a"], ["a"], True),
        (["a"], ["b"], False),
        (["a"], ["a", "b"], False),
        (["a", "..."], ["a", "b", "c"], True),
        (["...", "c"], ["a", "b", "c"], True),
        (["...", "d"], ["a", "b", "c"], False),
        (["the … dog"], ["the quick dog"], True),
        (["the … dog"], ["the quick cat"], False),
        (["took 12.5 s"], ["took 7.25 s"], True),
        (["took 12.5 s"], ["took long s"], False),
        (["lead-3"], ["lead-4"], False),  # a single digit is part of a name
        (["a  12  b"], ["a     7  b"], True),  # columns move with the numbers in them
        (["a b"], ["ab"], False),
        ([], ["noise"], False),
        (["[a] (b)*"], ["[a] (b)*"], True),
        (["a", ""], ["a"], True),
    ],
)
def test_a_page_matches_what_it_says(expected: list[str], printed: list[str], same: bool) -> None:
    assert matches(tuple(expected), printed) is same
