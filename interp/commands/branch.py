"""`interp branch`."""

from pathlib import Path
from typing import Annotated

from typer import Argument, Option

from interp.ground.plain_text import number_of, say


def branch(
    run: Annotated[Path | None, Argument(help="The run to continue.", show_default=False)] = None,
    out: Annotated[Path | None, Argument(help="Folder for the branches.", show_default=False)] = None,
    at: Annotated[
        int | None,
        Option(help="Step of the checkpoint at which arms leave the run.", min=0, show_default=False),
    ] = None,
    arm: Annotated[
        list[str] | None,
        Option(
            help="control, or an arm of --list, as norm:1.15, or a JSON file of an arm; repeatable. What an arm is "
            "compared with and follows is trained too.",
            show_default=False,
        ),
    ] = None,
    set: Annotated[
        list[str] | None,
        Option(
            "--set",
            metavar="FIELD=VALUE",
            help="An arm with this field of the recipe changed, as optimizer.weight_decay=0; repeatable, all in one "
            "arm.",
            show_default=False,
        ),
    ] = None,
    name: Annotated[str, Option(help="Name of the arm of --set.")] = "changed",
    steps: Annotated[
        int | None, Option(help="Steps to train since the branch.", min=1, show_default=False)
    ] = None,
    whole: Annotated[
        bool, Option("--whole", help="Train all the steps, also once an arm has generalised.")
    ] = False,
    pairs: Annotated[
        int,
        Option(help="Pairs, each with a disturbance of its own; 0: one without, as the run itself.", min=0),
    ] = 0,
    fresh_optimizer: Annotated[
        bool,
        Option("--fresh-optimizer", help="Without the optimizer's state, in every arm and the control."),
    ] = False,
    preset: Annotated[
        str | None,
        Option(
            help="How training goes on, for a run that was trained elsewhere and does not say it: the recipe of a "
            "preset. The branch is a new parent, as far as that is right.",
            show_default=False,
        ),
    ] = None,
    jobs: Annotated[int, Option(help="Arms at once, one process and thread each.", min=1)] = 1,
    list_arms: Annotated[bool, Option("--list", help="List the arms of the battery, and stop.")] = False,
) -> None:
    """Continue a run from a checkpoint with one thing changed, beside the control that changes nothing.

    Each branch is an ordinary run in OUT/branches/PAIR/ARM. Without --pairs and with one job the control equals the run
    itself bit for bit. Called again, what is trained is taken as it is.

    Examples: interp branch checkpoints/mainline trials/decay --at 2500 --steps 500 --set optimizer.weight_decay=0

    interp branch checkpoints/mainline trials/norm --at 2500 --arm norm:1.15 --pairs 3 --steps 13000 --jobs 2
    """
    from interp.sources.opening import open_run
    from interp.trials.planned import GROUPS

    if list_arms:
        for group in GROUPS:
            say(", ".join(group))
        return
    if run is None or out is None or at is None or steps is None:
        asked = (("RUN", run), ("OUT", out), ("--at", at), ("--steps", steps))
        lacking = [name for name, x in asked if x is None]
        raise ValueError(
            f"interp branch needs {', '.join(lacking)}. See interp branch --help for an example."
        )
    from interp.runs.presets import named
    from interp.trials.branching import gather, train_entries
    from interp.trials.choosing import changed_arm, chosen_entries

    parent = open_run(run)
    recipe = None if preset is None else named(preset)
    changed = [changed_arm(name, set, fresh_optimizer=fresh_optimizer)] if set else []
    entries = chosen_entries(parent, at, arm or [], changed, steps=steps, is_whole=whole, n_pairs=pairs)
    ends = train_entries(
        parent, out, entries, n_pairs=pairs, n_processes=jobs, fresh_optimizer=fresh_optimizer, recipe=recipe
    )
    for end in ends:
        say(f"{end.job.path}: {end.ended}" + (f". {end.why}" if end.why else ""))
    tables = gather(out, {"run": parent.name})
    say(f"{out}: arms.csv ({number_of(len(tables['arms']), 'row')}), levels.csv, checks.csv, curves.csv")
    say(f"Next: interp judge {out / 'arms.csv'} --out {out / 'judged'}")
