"""`interp battery`."""

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from typer import Argument, Option

from interp.commands.predict import Trial, trial_folder
from interp.ground.cores import n_cores
from interp.ground.plain_text import number_of, say

if TYPE_CHECKING:
    from interp.trials.battery import Plan


def battery(
    runs: Annotated[list[Path], Argument(help="The run of the lock, or its runs in the same order.")],
    out: Trial = None,
    budget: Annotated[
        str | None,
        Option(
            help="Time for it, as 2h, 90m or 1h30m: the arms that decide most within it. What is begun when it is over "
            "is finished. [default: all arms]",
            show_default=False,
        ),
    ] = None,
    theories: Annotated[
        str | None,
        Option(
            help="Only what these theories ask for, separated by commas. [default: all]", show_default=False
        ),
    ] = None,
    pairs: Annotated[
        int | None,
        Option(
            help="Train so many pairs; more than the lock says are exploratory. [default: the lock's]",
            min=1,
            show_default=False,
        ),
    ] = None,
    jobs: Annotated[
        int | None,
        Option(
            help="Arms at once, one process and thread each. [default: one a core]", min=1, show_default=False
        ),
    ] = None,
    longer: Annotated[
        float,
        Option(
            help="Give arms that have shown nothing so many times their budget, from where they ended; exploratory.",
            min=1.0,
        ),
    ] = 1.0,
    stacked: Annotated[
        bool,
        Option(
            "--stacked",
            help="Train arms that wait for no other together, as one tensor program: for a GPU. A control is its run "
            "to rounding then, not to the last bit.",
        ),
    ] = False,
    stack: Annotated[
        int | None,
        Option(
            help="Of --stacked: arms together at most. [default: as many as are quickest here]",
            min=1,
            max=4096,
            show_default=False,
        ),
    ] = None,
    device: Annotated[str, Option(help="Of --stacked: cpu or cuda; recorded.")] = "cpu",
    dry_run: Annotated[
        bool, Option("--dry-run", help="Say what would be trained and how long, and stop.")
    ] = False,
) -> None:
    """Train the arms of a lock, and gather when each generalised.

    Stopped with Ctrl-C or killed, the same command goes on where it was; what is trained is not trained again.

    Examples: interp battery checkpoints/mainline --out trials/mainline --dry-run

    interp battery checkpoints/mainline --out trials/mainline --budget 2h

    interp battery checkpoints/mainline --out trials/mainline --stacked --device cuda
    """

    from interp.networks.devices import check_device
    from interp.runs.run import open_run
    from interp.trials.battery import Stacked, cleanup_by_hand, plan, train
    from interp.trials.branching import gather
    from interp.trials.predicting import about_lock, kind_of, locked

    if not stacked and (stack is not None or device != "cpu"):
        raise ValueError("--stack and --device are of --stacked: add it, or leave them out.")
    check_device(device)
    folder, parents = trial_folder(runs, out), [open_run(run) for run in runs]
    seconds = None if budget is None else seconds_of(budget)
    planned = plan(
        parents,
        folder,
        seconds=seconds,
        theories=None if theories is None else [name.strip() for name in theories.split(",")],
        n_pairs=pairs,
        # A stack is one process.
        n_processes=1 if stacked else jobs or n_cores(),
    )
    for line in lines(planned, stacked=stacked):
        say(line)
    if dry_run:
        return
    how = Stacked(device, stack) if stacked else None
    ends = train(parents, folder, planned, seconds=seconds, times=longer, stacked=how)
    lock = locked(folder, parents)
    tables = gather(folder, about_lock(lock), kind_of(lock), cleanup_by_hand(parents, lock.n_pairs))
    for end in ends:
        if end.ended != "complete":
            say(f"{end.job.path}: {end.ended}. {end.why}")
    n_invalid = int((~tables["arms"].drop_duplicates(["arm", "dose", "pair", "branch_step"])["valid"]).sum())
    say(
        f"{folder}: arms.csv, levels.csv, checks.csv and curves.csv of {number_of(len(ends), 'arm')} this time"
        + (f"; not evaluable, since a check failed: {number_of(n_invalid, 'arm')}" if n_invalid else "")
    )
    say(f"Next: interp report {runs[0]} --trial {folder}")


def lines(planned: "Plan", *, stacked: bool = False) -> list[str]:
    """What a battery will train, and how long."""
    low, high = planned.seconds
    n = sum(len(pairs) for _, pairs in planned.entries)
    told = [f"{number_of(len(planned.keys), 'arm')}, {n} in all pairs: {', '.join(planned.keys)}"]
    if left := list(dict.fromkeys(entry.key for entry in planned.left_out)):
        told.append(f"not this time: {', '.join(left)}")
    told.append(
        f"About {duration(low)} if arms are as fast as the run itself, {duration(high)} if all go to the end of their "
        f"budgets; {'one by one, stacks take less' if stacked else f'{planned.n_processes} at once'}."
    )
    return told


def seconds_of(text: str, option: str = "--budget") -> float:
    """A duration in seconds.

    Raises:
        ValueError: if it is none.

    >>> seconds_of("1h30m"), seconds_of("45m"), seconds_of("2h")
    (5400.0, 2700.0, 7200.0)
    """
    found = re.fullmatch(r"(?:(\d+(?:\.\d+)?)h)?(?:(\d+(?:\.\d+)?)m)?(?:(\d+)s)?", text.strip())
    if not text.strip() or found is None:
        raise ValueError(f"{option} needs a time as 2h, 90m or 1h30m, got {text!r}.")
    hours, minutes, seconds = (float(x or 0) for x in found.groups())
    return 3600 * hours + 60 * minutes + seconds


def duration(seconds: float) -> str:
    """A duration in hours and minutes.

    >>> duration(5400.0), duration(30.0)
    ('1 h 30 min', '1 min')
    """
    minutes = max(round(seconds / 60), 1)
    hours, minutes = divmod(minutes, 60)
    return " ".join([f"{hours} h"] * bool(hours) + [f"{minutes} min"] * bool(minutes or not hours))
