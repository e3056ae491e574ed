"""`interp verify`."""

from pathlib import Path
from typing import Annotated, Any

from typer import Argument, Exit, Option

from interp.commands.stated import takes_statements
from interp.ground.plain_text import number_of, say, shown
from interp.ground.stated_options import check_no_run, stated_arguments


@takes_statements
def verify(
    path: Annotated[Path, Argument(help="A run, or a file or folder of anyone's checkpoints.")],
    repair: Annotated[
        bool, Option("--repair", help="Rewrite what can be rewritten from what remains of a run.")
    ] = False,
    json: Annotated[Path | None, Option(help="Write the findings here, for programs; - is stdout.")] = None,
    losses: Annotated[
        int, Option(help="Checkpoints whose losses are recomputed, evenly spread, and compared.", min=0)
    ] = 12,
    *,
    stated: dict[str, Any],
) -> None:
    """Find every truncated, altered or missing file of a run, and steps that are not what they claim to be.

    Works on foreign checkpoints too, without importing them: copies served under other names, outliers, NaN, gaps.
    Exit code 0: nothing wrong; 1: problems (notes are none).

    Examples: interp verify checkpoints/mainline

    interp verify downloads/some_series --json findings.json
    """
    from interp.runs.beginnings import is_beginning

    if is_beginning(path):
        from interp.runs.run import open_run

        # Which refuses it, and says why.
        open_run(path)
    is_run = (path / "run.json").exists() or (path / "index.json").exists()
    check_no_run(path, is_run, stated)
    if json is not None and json.is_dir():
        raise ValueError(
            f"--json needs a file to write, got {shown(str(json))}, which is a folder. Name a file in it."
        )
    repairs = []
    if repair:
        if not is_run:
            raise ValueError(
                f"--repair needs a run, and {path} is none: only a run holds the checksums that prove a repair. "
                "Copy damaged files again from their origin."
            )
        from interp.checks.repair import repair_run

        repairs = repair_run(path)
    if is_run:
        from interp.checks.of_run import verify_run

        report = verify_run(path, losses=losses)
    else:
        from interp.checks.of_source import verify_source

        report = verify_source(path, losses=losses, stated=stated_arguments(stated))
    value = report.to_json() | {"repairs": [done.to_json() for done in repairs]}
    to_stdout = json is not None and str(json) == "-"
    if json is not None and not to_stdout:
        from interp.ground.whole_files import write_json

        write_json(json, value)
    if to_stdout:
        from json import dumps

        say(dumps(value, indent=2, allow_nan=False))
    else:
        for done in repairs:
            say(f"{'repaired' if done.done else 'not repaired'}  {done.where}: {done.message}")
        for finding in report.findings:
            say(f"{finding.level:<8}  {finding.kind}: {finding.message}")
        for difference in report.losses:
            say(
                f"largest difference of {difference.column}, at step {difference.step}: recorded "
                f"{difference.recorded:.8g}, recomputed {difference.recomputed:.8g} "
                f"({number_of(difference.n, 'checkpoint')} compared)"
            )
        n, read = len(report.problems), report.n_steps
        say(
            f"{path}: {number_of(read, 'checkpoint')} read, {number_of(n, 'problem') if n else 'no problems'}."
        )
    if report.problems:
        raise Exit(1)
