"""`interp resume`."""

from pathlib import Path
from typing import Annotated

from typer import Argument, Option

from interp.commands.train import OPTIONS, Forecast, live_forecast
from interp.commands.wording import errors_as_typed
from interp.ground.plain_text import number_of, say


def resume(
    run: Annotated[
        Path, Argument(help="Directory of an interrupted or killed run, or of one to make longer.")
    ],
    steps: Annotated[
        int | None, Option(help="Steps that the run is to have in all; a complete run is made longer.")
    ] = None,
    save: Annotated[
        list[str] | None,
        Option(
            help="With --steps: steps to come to save, forms as of train; repeatable. [default: as many as bracket a "
            "switch within 5 % of its step]"
        ),
    ] = None,
    save_optimizer: Annotated[
        list[str] | None, Option(help="With --steps: the same with optimizer state; repeatable.")
    ] = None,
    device: Annotated[str | None, Option(help="Default: the device that the run was started on.")] = None,
    threads: Annotated[
        int | None, Option(help="Default: the thread count of its start.", min=1, max=1024)
    ] = None,
    forecast: Forecast = False,
) -> None:
    """Continue a run after Ctrl-C, kill or a crash, bit for bit as if it had never stopped.

    With --steps it is made longer, bit for bit as if it had been as long from the start.

    Examples: interp resume runs/p59

    interp resume runs/p59 --steps 20000 --save every:500
    """
    from interp.runs.run import open_run
    from interp.training.train import resume as resume_run

    with errors_as_typed(OPTIONS):
        done = resume_run(
            run,
            n_steps=steps,
            checkpoint_steps=save,
            optimizer_steps=save_optimizer,
            device=device,
            threads=threads,
            told=live_forecast(forecast, is_fresh=forecast and open_run(run).config.sees_fresh_rows),
        )
    say(f"{done.path}: complete, {number_of(len(done.steps), 'checkpoint')}.")
