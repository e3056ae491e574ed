"""The options of a script of analyses/."""

import argparse
from pathlib import Path

from interp.analyses.own_options import of
from interp.ground.stated_options import STATED_OPTIONS


def parser(name: str, description: str | None, bundled: Path, *, is_of_many: bool) -> argparse.ArgumentParser:
    """The options of the script of this name.

    Args:
        bundled: what it is asked of where nothing is named.
        is_of_many: whether it is asked of many runs side by side.
    """
    example = "sweeps/decay" if is_of_many else "checkpoints/mainline"
    parser = argparse.ArgumentParser(
        prog=f"python analyses/{name}.py",
        description=description,
        epilog=f"example: python analyses/{name}.py --run {example} --out figures/{Path(example).name}/{name}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(others=[])
    if not is_of_many:
        parser.add_argument(
            "--run", help="a run, or a file or folder of anyone's checkpoints (default: the bundled run)"
        )
    else:
        parser.add_argument(
            "--run", help=f"folder of a sweep, of its tables, or of runs (default: {bundled.name}, bundled)"
        )
        parser.add_argument(
            "--with",
            dest="others",
            action="append",
            metavar="RUN",
            help="a further run or folder; repeatable",
        )
    parser.add_argument("--out", type=Path, help=f"output folder (default: figures/<run>/{name}/)")
    parser.add_argument(
        "--draw-only", action="store_true", help="redraw from the tables in the output folder; needs no torch"
    )
    parser.add_argument(
        "--device",
        choices=["auto", "cpu", "cuda", "mps"],
        default="auto",
        help="where probes compute; auto is cuda where there is one, otherwise cpu",
    )
    for option in of(name):
        if option.kind is bool:
            parser.add_argument(option.flag, action="store_true", default=None, help=option.help)
        else:
            parser.add_argument(option.flag, type=option.kind, metavar=option.metavar, help=option.help)
    parser.set_defaults(drop_downloads=False)
    if not is_of_many:
        parser.add_argument(
            "--drop-downloads",
            action="store_true",
            help="of hf://org/name, delete the weights of a step once it was measured",
        )
        _add_statements(parser)
    else:
        parser.set_defaults(**{option.name: None for option in STATED_OPTIONS})
    return parser


def _add_statements(parser: argparse.ArgumentParser) -> None:
    """The options that state what a source does not say, as the command line has them."""
    group = parser.add_argument_group("what someone else's checkpoints do not say")
    for option in STATED_OPTIONS:
        if option.kind is bool:
            action = argparse.BooleanOptionalAction
            group.add_argument(option.flag, action=action, default=None, help=option.help)
        else:
            choices = option.choices or None
            group.add_argument(option.flag, type=option.kind, choices=choices, help=option.help)
