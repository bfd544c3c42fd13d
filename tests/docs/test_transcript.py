"""The matcher of transcripts accepts what may differ, and nothing else."""

from __future__ import annotations

import pytest
from tests.docs.transcript import commands, matches, matches_answer

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
        (["BLEU 41.2"], ["BLEU 41.3"], False),  # a score is no duration
        (["2026-01-31 12:00  #3"], ["2027-11-02 08:15  #3"], True),
        (["a  b"], ["a     b"], True),  # columns move with what is in them
        (["a  b"], ["a b"], False),
        (["a b"], ["ab"], False),
        ([], ["noise"], False),
        (["[a] (b)*"], ["[a] (b)*"], True),
        (["a", ""], ["a"], True),
    ],
)
def test_a_page_matches_what_it_says(expected: list[str], printed: list[str], same: bool) -> None:
    assert matches(tuple(expected), printed) is same


@pytest.mark.parametrize(
    ("expected", "answer", "talk", "same"),
    [
        (["The sea is wide.", "smollm2 · 2.03 s · 45 tokens"], ["Water."], ["smollm2 · 1.1 s · 12 tokens"], True),
        (["The sea is wide.", "smollm2 · 2.03 s · 45 tokens"], [], ["smollm2 · 1.1 s · 12 tokens"], False),
        (["The sea is wide.", "smollm2 · 2.03 s · 45 tokens"], ["Water."], ["lead-3 · 1.1 s"], False),
        (["Two", "lines."], ["One."], [], True),
        (["smollm2 · 2.03 s"], ["Water."], ["smollm2 · 1.1 s"], False),  # the page shows no answer
        (["Text.", "BLEU 41.2"], ["Text."], ["BLEU 3.5"], True),
        (["Text.", "BLEU 41.2"], ["Text."], ["chrF 41.2"], False),
    ],
)
def test_a_models_words_may_differ_and_the_talk_may_not(
    expected: list[str], answer: list[str], talk: list[str], same: bool
) -> None:
    assert matches_answer(expected, answer, talk) is same
