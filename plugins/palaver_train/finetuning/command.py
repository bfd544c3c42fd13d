"""`palaver train finetune`: a model of others, and examples of yours."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import click

from palaver import BadInput, UsageError, paths
from palaver_train.events import Ended
from palaver_train.finetuning.settings import Lora, Tuning

Perform = Callable[..., None]


def make_command(perform: Perform) -> click.Command:
    """The command; `perform` runs it with its lines and its ctrl+c."""

    @click.command("finetune")
    @click.argument("model", metavar="MODEL")
    @click.option("--source", default="", metavar="FILE", help="Inputs, one a line; or a table with both sides.")
    @click.option("--target", default="", metavar="FILE", help="Answers, line by line with the inputs.")
    @click.option("--source-column", default="source", show_default=True, help="The inputs' column of a table.")
    @click.option("--target-column", default="target", show_default=True, help="The answers' column of a table.")
    @click.option("--valid-source", default="", metavar="FILE", help="Held-out inputs; else a share is held out.")
    @click.option("--valid-target", default="", metavar="FILE", help="Held-out answers.")
    @click.option("--turns", default=None, metavar="FILTER", help="Your own turns: with a reference, or four stars.")
    @click.option("--out", default="tuned", show_default=True, metavar="FOLDER", help="Where the tuned model goes.")
    @click.option("--lora/--full", "is_lora", default=True, help="Train small updates beside the weights, or all.")
    @click.option("--rank", type=int, default=16, show_default=True, help="Rank of LoRA's updates.")
    @click.option("--alpha", type=int, default=32, show_default=True, help="LoRA's updates count alpha / rank times.")
    @click.option("--lora-dropout", type=float, default=0.05, show_default=True)
    @click.option("--epochs", type=float, default=3.0, show_default=True)
    @click.option("--steps", type=int, default=0, help="Instead of --epochs.")
    @click.option("--minutes", type=float, default=0.0, help="End after this much time.")
    @click.option("--batch", type=int, default=8, show_default=True)
    @click.option("--accumulate", type=int, default=1, show_default=True, help="Batches that make one step.")
    @click.option("--learning-rate", type=float, default=0.0, help="Else 2e-4 with LoRA, 5e-5 with --full.")
    @click.option("--context", type=int, default=512, show_default=True, help="Most tokens of an example.")
    @click.option("--evaluate-every", type=int, default=0, help="Steps; else four times an epoch.")
    @click.option("--patience", type=int, default=3, show_default=True, help="Evaluations without a better one.")
    @click.option("--valid-share", type=float, default=0.1, show_default=True, help="Share that is held out.")
    @click.option("--seed", type=int, default=1, show_default=True)
    @click.option("--source-language", default="", help="For models of many languages: en, English, eng_Latn.")
    @click.option("--target-language", default="", help="The same for what is written.")
    @click.option("--keep-worse", "keeps_worse", is_flag=True, help="Write the result even if it is no better.")
    @click.option("--json", "is_json", is_flag=True, help="How it ended, as one JSON object.")
    @click.option("--quiet", "is_quiet", is_flag=True, help="Nothing on stderr but errors.")
    def finetune(
        model: str,
        source: str,
        target: str,
        source_column: str,
        target_column: str,
        valid_source: str,
        valid_target: str,
        turns: str | None,
        out: str,
        is_lora: bool,
        rank: int,
        alpha: int,
        lora_dropout: float,
        is_json: bool,
        is_quiet: bool,
        **settings: float | int | str | bool,
    ) -> None:
        """Go on training MODEL, a folder or the name of an installed model, on examples of yours.

        A part is held out. The model is written only if it is better on that part than the one it began with.
        """
        from palaver_train.needs import require

        if (turns is None) == (not source):
            raise UsageError("Give either --source with its answers, or --turns.", fix="palaver train finetune --help")
        folder = Path(out).expanduser().resolve()
        if (folder / "config.json").exists():
            raise UsageError(f"{folder} holds a model already.", fix="give another --out", code="run_exists")
        lora = Lora(rank, alpha, lora_dropout) if is_lora else None
        tuning = Tuning(base=_folder(model), out=folder, lora=lora, **settings)  # type: ignore[arg-type]
        require("torch", "transformers", *(["peft"] if is_lora else []))

        def work(**told: object) -> Ended:
            from palaver_train.finetuning.examples import from_files, from_turns
            from palaver_train.finetuning.tune import tune

            if turns is not None:
                lessons = from_turns(turns, tuning.valid_share, tuning.seed)
            else:
                columns, valid = (source_column, target_column), (valid_source, valid_target)
                held_out = valid if valid_source else None
                lessons = from_files(source, target, columns, held_out, tuning.valid_share, tuning.seed)
            return tune(tuning, lessons, **told)  # type: ignore[arg-type]

        perform(folder, work, is_json=is_json, is_quiet=is_quiet)

    return finetune


def _folder(model: str) -> Path:
    """The folder that a path or the name of an installed model means."""
    for path in (Path(model).expanduser(), paths.model_dir(model)):
        if (path / "config.json").is_file():
            return path.resolve()
        found = sorted(path.glob("*/config.json")) if path.is_dir() and not Path(model).is_absolute() else []
        if found:  # a bundle of the catalogue, unpacked beside what was downloaded
            return found[0].parent.resolve()
    raise BadInput(
        f"'{model}' is no folder with a model of transformers, and no installed model of that name has such a folder.",
        fix="palaver models list",
        code="no_model",
    )
