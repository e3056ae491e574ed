"""`interp import`."""

from pathlib import Path
from typing import Annotated, Any, Literal

from typer import Argument, Option

from interp.ground.plain_text import say

TASK, MODEL = "Task", "Network"


def import_run(
    source: Annotated[
        Path | None, Argument(help="A file or folder of checkpoints; never written to.")
    ] = None,
    dest: Annotated[Path | None, Argument(help="New or empty directory for the run.")] = None,
    format: Annotated[str, Option(help="auto, or a name of --list.")] = "auto",
    list_formats: Annotated[
        bool, Option("--list", help="Say what each format is recognised by, and stop.")
    ] = False,
    task: Annotated[
        str | None, Option("--task", help="Operation: add, subtract, multiply, ...", rich_help_panel=TASK)
    ] = None,
    p: Annotated[int | None, Option(help="Modulus.", rich_help_panel=TASK)] = None,
    train_fraction: Annotated[
        float | None, Option(help="Share of the pairs in train.", rich_help_panel=TASK)
    ] = None,
    split: Annotated[
        Literal["shuffle", "unordered", "torch"] | None,
        Option(help="How train was drawn: Python's shuffle, torch.randperm.", rich_help_panel=TASK),
    ] = None,
    split_seed: Annotated[int | None, Option(help="Seed of the split.", rich_help_panel=TASK)] = None,
    equals_token: Annotated[bool | None, Option(help="Rows are (a, b, =).", rich_help_panel=TASK)] = None,
    separate_vocabularies: Annotated[
        bool | None, Option(help="The second operand has tokens of its own.", rich_help_panel=TASK)
    ] = None,
    activation: Annotated[
        Literal["relu", "gelu", "quadratic", "tanh"] | None, Option(rich_help_panel=MODEL)
    ] = None,
    normalization: Annotated[
        Literal["none", "LNPre"] | None, Option(help="LNPre leaves no tensors.", rich_help_panel=MODEL)
    ] = None,
    attention: Annotated[Literal["causal", "bidirectional"] | None, Option(rich_help_panel=MODEL)] = None,
    heads: Annotated[int | None, Option(help="Attention heads of a bridge.", rich_help_panel=MODEL)] = None,
    unit: Annotated[str | None, Option(help="What the checkpoints' numbers count. [default: found]")] = None,
) -> None:
    """Make a run of someone else's checkpoints; what they say is found, what they do not say can be stated.

    Examples: interp import grok_1662000000 runs/nanda

    interp import grokking_demo.pth runs/demo --task add --p 113
    """
    import typer

    if list_formats:
        from interp.sources.files.wrapping import WRAPPED_IN
        from interp.sources.formats import FORMATS

        recognized_by = {format.name: format.recognized_by for format in FORMATS}
        for title, table in (("Networks, recognised by", recognized_by), ("Wrapped in", WRAPPED_IN)):
            say(f"{title}:")
            for name, text in table.items():
                say(f"  {name:<24}{text}")
        return
    if source is None or dest is None:
        raise typer.BadParameter("needs SOURCE and DEST (or --list).")

    from interp import sources
    from interp.commands.info import describe, print_lines

    run = sources.import_run(
        source, dest, format=format, unit=unit,
        task=_given(
            operation=task, p=p, train_fraction=train_fraction, split=split, split_seed=split_seed,
            equals_token=equals_token, separate_vocabularies=separate_vocabularies,
        ),
        model=_given(act_fn=activation, attention_dir=attention, n_heads=heads) | _normalization(normalization),
    )  # fmt: skip
    print_lines(describe(run))


def _normalization(name: str | None) -> dict[str, Any]:
    return {} if name is None else {"normalization_type": None if name == "none" else name}


def _given(**options: Any) -> dict[str, Any]:
    return {name: value for name, value in options.items() if value is not None}
