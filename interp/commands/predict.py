"""`interp predict`."""

from pathlib import Path
from typing import Annotated

from typer import Argument, Option

from interp.ground.plain_text import number_of, say

Trial = Annotated[
    Path | None, Option("--out", help="Folder of the trial. [default: trials/<run>]", show_default=False)
]


def trial_folder(runs: list[Path], out: Path | None) -> Path:
    """Where the trial of a run lies, or of several, by the first of them."""
    return out if out is not None else Path("trials") / runs[0].expanduser().resolve().name


def predict(
    runs: Annotated[
        list[Path],
        Argument(
            help="A run with checkpoints that hold the optimizer's state; or several of one recipe, which differ by "
            "their seeds."
        ),
    ],
    out: Trial = None,
    at: Annotated[
        int | None,
        Option(
            help="Step at which arms leave the run. [default: the first with the optimizer's state at which the "
            "circuit is half formed]",
            min=0,
        ),
    ] = None,
    pairs: Annotated[
        int, Option(help="Pairs of arms, each with a disturbance of its own at the branch.", min=1)
    ] = 3,
    budget_factor: Annotated[
        float,
        Option(
            help="An arm is given up after so many times what the run itself took from the branch.", min=0.1
        ),
    ] = 4.0,
    steps: Annotated[
        int | None, Option(help="The budget in steps, for a run that never generalised.", min=1)
    ] = None,
    seed: Annotated[int, Option(help="Of what shams draw at random.")] = 0,
    critical_size: Annotated[
        int | None,
        Option(
            help="Train pairs below which this recipe does not generalise, as a sweep over train fractions shows; adds "
            "the arms of circuit efficiency.",
            min=1,
            show_default=False,
        ),
    ] = None,
    device: Annotated[str, Option(help="Where probes compute: cpu, cuda or mps.")] = "cpu",
) -> None:
    """Write down what every theory says of this run's arms, and lock it, before anything is trained.

    OUT/predictions.json holds the arms, the predictions with their rivals and thresholds, which of them are primary,
    and a hash of it all. `interp battery` trains nothing without it and refuses one that was edited.

    Example: interp predict checkpoints/mainline --out trials/mainline
    """
    from interp.runs.run import open_run
    from interp.trials.predicting import PREDICTIONS
    from interp.trials.predicting import predict as write

    folder = trial_folder(runs, out)
    lock = write(
        [open_run(run) for run in runs],
        folder,
        at=at,
        n_pairs=pairs,
        factor=budget_factor,
        steps=steps,
        seed=seed,
        critical_size=critical_size,
        device=device,
    )
    say(
        f"{folder / PREDICTIONS}: {number_of(len(lock.predictions), 'prediction')}, {len(lock.primary)} of them "
        f"primary; {number_of(len(lock.arms), 'arm')} from step {lock.branch_steps[0]}, "
        f"{number_of(lock.n_pairs, 'pair')}"
    )
    if without := lock.not_half_formed:
        say(
            f"The circuit is not half formed where arms leave {', '.join(without)}: rows that take one for granted say "
            "less. Where it is: the checkpoints with the optimizer's state and a restricted loss between 1 and 2 nats."
        )
    say(f"locked {lock.time}, hash {lock.hash[:16]}")
    say(f"Next: interp battery {' '.join(map(str, runs))}" + (f" --out {out}" if out is not None else ""))
