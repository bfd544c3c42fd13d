"""`palaver train perplexity`, `embed` and `nearest`: what a checkpoint knows beside its task."""

from __future__ import annotations

import json
from pathlib import Path

import click

from palaver import BadInput, safe_line
from palaver_train.needs import require
from palaver_train.places import find


def add_to(train: click.Group) -> None:
    """Add them to `palaver train`."""
    for command in (_perplexity, _embed, _nearest):
        train.add_command(command)


@click.command("perplexity")
@click.argument("folder", metavar="FOLDER")
@click.argument("file", metavar="FILE")
@click.option("--json", "is_json", is_flag=True, help="One JSON object.")
def _perplexity(folder: str, file: str, is_json: bool) -> None:
    """How well a language model foresees a text, with 5-grams of the same training text beside it."""
    checkpoint = _checkpoint(folder)
    from palaver_train.questions import likelihood, ngram_likelihood, open_kind
    from palaver_train.text import Cleaning, read_text

    loaded = open_kind(checkpoint, "lm")
    data = loaded.description.run.data
    text = read_text(file, Cleaning(data.normalize, data.lowercase))
    found, beside = likelihood(loaded, text), ngram_likelihood(loaded, text)
    rows = [(folder, found), *([("5-grams", beside)] if beside else [])]
    if is_json:
        keys = ("perplexity", "bits_per_character", "tokens")
        models = {name: {key: getattr(one, key) for key in keys} for name, one in rows}
        click.echo(json.dumps({"schema": "palaver.perplexity/1", "models": models}))
        return
    for name, one in rows:
        click.echo(
            f"{safe_line(name)}: perplexity {one.perplexity:,.2f} · "
            f"{one.bits_per_character:.3f} bits a character · {one.tokens:,} tokens"
        )


@click.command("embed")
@click.argument("folder", metavar="FOLDER")
@click.argument("file", metavar="FILE")
def _embed(folder: str, file: str) -> None:
    """The vectors that an autoencoder makes of the lines of a file, a JSON object a line."""
    checkpoint = _checkpoint(folder)
    from palaver_train.questions import open_kind, vectors
    from palaver_train.text import Cleaning, read_texts

    loaded = open_kind(checkpoint, "autoencoder")
    texts = read_texts(file, Cleaning("none"))
    for text, vector in zip(texts, vectors(loaded, texts), strict=True):
        click.echo(json.dumps({"text": text, "vector": [round(one, 6) for one in vector]}))


@click.command("nearest")
@click.argument("folder", metavar="FOLDER")
@click.argument("text")
@click.option("--among", required=True, metavar="FILE", help="Texts, one a line; or what palaver history export wrote.")
@click.option("-n", "count", type=click.IntRange(1), default=5, show_default=True, help="How many.")
def _nearest(folder: str, text: str, among: str, count: int) -> None:
    """The texts that an autoencoder finds most like one, with the cosine of their vectors."""
    checkpoint = _checkpoint(folder)
    from palaver_train.questions import nearest, open_kind
    from palaver_train.text import Cleaning, read_asked, read_texts

    loaded = open_kind(checkpoint, "autoencoder")
    is_table = among.endswith((".jsonl", ".jsonl.gz"))
    texts = list(dict.fromkeys(read_asked(among) if is_table else read_texts(among, Cleaning("none"))))
    for cosine, found in nearest(loaded, text, texts, count):
        click.echo(f"{cosine:.3f}  {safe_line(found)}")


def _checkpoint(folder: str) -> Path:
    """
    Raises:
        BadInput: there is none. ModelFailed: PyTorch is not installed.
    """
    require("torch", "safetensors", "tokenizers")
    found = find(Path(folder).expanduser())
    if found is None:
        raise BadInput(f"{folder} holds no checkpoint.", fix="palaver train --help", code="no_run")
    return found
