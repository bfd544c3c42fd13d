"""`palaver data inspect`: look through a corpus before training on it."""

from __future__ import annotations

import dataclasses
import json
from typing import cast

import click

from palaver import UsageError, safe_text


def add_to(group: click.Group) -> None:
    """Add `palaver data` to the command line."""
    data = click.Group("data", help="Look through text before a model is trained on it.")
    data.add_command(_inspect)
    group.add_command(data)


@click.command("inspect")
@click.argument("source", metavar="FILE")
@click.option("--target", default="", metavar="FILE", help="The other side, line by line.")
@click.option("--valid", default="", metavar="FILE", help="Texts, or sources, that are kept for validation.")
@click.option("--valid-target", default="", metavar="FILE", help="Their other side.")
@click.option("--test", default="", metavar="FILE", help="Texts, or sources, that are kept for the test.")
@click.option("--test-target", default="", metavar="FILE", help="Their other side.")
@click.option("--source-column", default="", help="The source's column, where the files are tables.")
@click.option("--target-column", default="", help="The target's column.")
@click.option("--tokenizer", type=click.Choice(["char", "word", "bpe", "unigram"]), default="bpe", show_default=True)
@click.option("--vocabulary", type=click.IntRange(8), default=8000, show_default=True, help="Most tokens.")
@click.option("--normalize", type=click.Choice(["nfc", "nfkc", "none"]), default="nfc", show_default=True)
@click.option("--lowercase/--no-lowercase", default=False, help="Learn the tokenizer in lower case.")
@click.option("--json", "is_json", is_flag=True, help="All of it, as one JSON object.")
def _inspect(
    source: str,
    target: str,
    valid: str,
    valid_target: str,
    test: str,
    test_target: str,
    source_column: str,
    target_column: str,
    tokenizer: str,
    vocabulary: int,
    normalize: str,
    lowercase: bool,
    is_json: bool,
) -> None:
    """Count what is wrong with a corpus: empty, twice, odd in length, in another language, broken, also in the test.

    Then its words, what a tokenizer makes of them, and what is unknown in the parts that are kept back. Ends with 4
    if a record cannot be read.
    """
    from palaver_train.inspection import Files, inspect
    from palaver_train.inspection_report import report
    from palaver_train.needs import require
    from palaver_train.text import Cleaning, Form
    from palaver_train.tokens import Sort

    require("tokenizers")
    if bool(source_column) != bool(target_column):
        raise UsageError("A table needs --source-column and --target-column.", fix="give both, or neither")
    columns = (source_column, target_column) if source_column else None
    parts = [("train", Files(source, target, columns))]
    for name, one, other in (("valid", valid, valid_target), ("test", test, test_target)):
        if not one and other:
            raise UsageError(f"--{name}-target needs --{name}.", fix=f"give --{name} FILE")
        if one and bool(other) != bool(target):
            raise UsageError(f"The {name} part must have as many sides as the training part.", fix=f"--{name}-target")
        if one:
            parts.append((name, Files(one, other, columns)))
    found = inspect(parts, Cleaning(cast(Form, normalize), lowercase), cast(Sort, tokenizer), vocabulary)
    if is_json:
        click.echo(json.dumps({"schema": "palaver.inspection/1", **dataclasses.asdict(found)}, ensure_ascii=False))
    else:
        for line in report(found):
            click.echo(safe_text(line))
    if found.has_bad:
        raise click.exceptions.Exit(4)
