"""`interp animate`."""

from pathlib import Path
from typing import Annotated

from typer import Argument, Option

from interp.ground.plain_text import number_of, say


def animate(
    run: Annotated[str, Argument(help="A run, or a file or folder of anyone's checkpoints.")],
    name: Annotated[str, Argument(help="embedding_circles, spectrum, attention or logits.")],
    out: Annotated[
        Path | None, Option(help="File, .gif or .mp4 (default: figures/<run>/animate/<name>.gif).")
    ] = None,
    fps: Annotated[int, Option(help="Frames a second.")] = 8,
    steps: Annotated[
        str | None, Option(help="Which checkpoints: all, every:N, log:N, near:S, A-B. [default: all]")
    ] = None,
    frames: Annotated[
        int, Option(help="At most so many frames; of more checkpoints some are left out.")
    ] = 120,
    preset: Annotated[str, Option(help="Width and fonts, as of interp figure.")] = "journal-text",
    device: Annotated[str, Option(help="Where probes compute: auto, cpu, cuda or mps.")] = "auto",
) -> None:
    """Write a film of a run: a frame a checkpoint, above the losses.

    Examples: interp animate checkpoints/mainline embedding_circles

    interp animate checkpoints/mainline attention --out attention.mp4 --fps 12 --steps log:60
    """
    from interp.views.animations import animate as write
    from interp.views.animations import named

    named(name)
    if frames < 1:
        raise ValueError(f"--frames needs at least 1, got {frames}. Leave it out for 120.")
    from interp.ground.evenly import spread
    from interp.measurement.steps import select_steps
    from interp.networks.devices import named_device
    from interp.sources.opening import open_run

    opened = open_run(run)
    chosen = select_steps(opened, steps)
    shown = spread(chosen, frames)
    if len(shown) < len(chosen):
        say(
            f"{len(shown)} of {len(chosen)} checkpoints are shown, evenly by their place; --frames shows more."
        )
    file = out or Path("figures") / opened.name / "animate" / f"{name}.gif"
    size = write(opened, name, file, steps=shown, fps=fps, preset=preset, device=named_device(device))
    say(f"{file}: {number_of(len(shown), 'frame')}, {size / 1e6:.2f} MB")
