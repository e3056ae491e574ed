"""docs/gallery.md: every figure that has a name, the lines that draw it, and its caption. `make gallery` runs this.

    python docs/make_gallery.py                  draw all from the tables that are kept in docs/gallery/tables
    python docs/make_gallery.py --measure        measure those that have no tables there yet, then draw all
    python docs/make_gallery.py --measure NAME   measure these anew, then draw all

The tables are of the bundled run, of the committed evidence, and of runs that are trained for it, some minutes each;
the slow ones take some minutes too. A test compares page and drawings with what these tables give today.
"""

import argparse
import hashlib
import inspect
import json
import tempfile
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from PIL import Image

from interp import figures
from interp.ground.plain_text import say
from interp.ground.whole_files import write_bytes, write_json
from interp.tables.folder import Tables, clean
from interp.views.few_colours import few_colours
from interp.views.pictures import (
    PICTURES,
    carries,
    crossings,
    in_context,
    making,
    named,
    names,
    representations,
    subnetworks,
)
from interp.views.pictures.captions import full_caption

ROOT = Path(__file__).parents[1]
PAGE, FOLDER = ROOT / "docs" / "gallery.md", ROOT / "docs" / "gallery"
TABLES, INDEX, DRAWN = FOLDER / "tables", FOLDER / "tables.json", FOLDER / "drawn.json"
DPI = 144
# Figures that the bundled run cannot show, by the run that is trained for them.
SHOWN_BY = {
    "runs/s4": (*representations.PICTURES, "groups", "chughtai2023"),
    "runs/digits": (*carries.PICTURES, "digits"),
    "runs/parity": (*subnetworks.PICTURES, "parity"),
    "runs/languages": (*crossings.PICTURES, "languages"),
    "runs/sequences": (*in_context.PICTURES, "sequences"),
}
TRAINED = {
    "runs/s4": "interp train runs/s4 --preset s5 --group S4 --train-fraction 0.6 --d-model 64 --lr 0.003 --steps 9000 "
    "--save every:300 --threads 1",
    "runs/digits": "interp train runs/digits --preset digits --threads 1",
    "runs/parity": "interp train runs/parity --preset parity --steps 6000 --save every:200 --threads 1",
    "runs/languages": "interp train runs/languages --preset languages --threads 1",
    "runs/sequences": "interp train runs/sequences --preset sequences --threads 1",
}
LINES = "\n".join(TRAINED.values())
HEAD = f"""# Gallery

Every figure that has a name. `interp figure RUN NAME` draws one of your run, at the width and in the fonts of where it
goes (`--preset neurips-column`, `icml-column`, `slides-text`, ...), and prints it as LaTeX with its caption
(`--caption`). Here they show the bundled run, the sweeps in `analyses/evidence`, and runs of other tasks, which

```
{LINES}
```

train in 20 s to some minutes each. `make gallery` draws this page from the tables in `docs/gallery/tables`.
"""


def source_of(name: str) -> str:
    """What the figure of this name shows here, as it is typed."""
    if (subject := named(name).subject) is not None:
        return subject.bundled.relative_to(ROOT).as_posix()
    found = (run for run, shown in SHOWN_BY.items() if name in shown)
    return next(found, "checkpoints/mainline")


def kept(name: str) -> tuple[Tables, dict[str, Any]]:
    """The tables of a figure that lie here, and what they are of."""
    entry = json.loads(INDEX.read_text("utf-8"))[name]
    return {table: pd.read_parquet(TABLES / file) for table, file in entry["tables"].items()}, entry["about"]


def keep(name: str, tables: Tables, about: dict[str, Any]) -> None:
    """Write a figure's tables, each content once, and name them in the index."""
    index = json.loads(INDEX.read_text("utf-8")) if INDEX.exists() else {}
    files = {}
    for table, rows in tables.items():
        rows = rows.copy(deep=False)
        rows.attrs = {}
        buffer = BytesIO()
        rows.to_parquet(buffer, compression="zstd", compression_level=19, index=False)
        files[table] = f"{table}-{hashlib.sha256(buffer.getvalue()).hexdigest()[:8]}.parquet"
        write_bytes(TABLES / files[table], buffer.getvalue())
    told = {key: about[key] for key in ("run", "p", "unit", "step", "is_of_step", "n_runs") if key in about}
    index[name] = {"about": told, "tables": files}
    write_json(INDEX, clean({name: index[name] for name in names() if name in index}))
    used = {file for entry in index.values() for file in entry["tables"].values()}
    for path in TABLES.glob("*.parquet"):
        if path.name not in used:
            path.unlink()


def measure(wanted: list[str]) -> None:
    """Compute the tables of these figures and keep them."""
    from interp.analyses import frame

    with tempfile.TemporaryDirectory() as folder:
        for name in wanted:
            picture, run = named(name), ROOT / source_of(name)
            if (source := source_of(name)) in TRAINED:
                run = Path(folder) / Path(source).name
                if not run.exists():
                    _train(source, run)
            analysis = making.asked(name, picture, None)
            tables, about = frame.computed(
                analysis, str(run), device="cpu", program="interp figure", stated={}
            )
            making.check_seen(name, picture, tables, about)
            keep(name, tables, {**about, "is_of_step": picture.is_of_step})
            say(f"{name}: {len(tables)} tables")


def _train(source: str, run: Path) -> None:
    from typer.testing import CliRunner

    from interp.commands.cli import app

    arguments = TRAINED[source].replace(source, str(run)).split()[1:]
    done = CliRunner().invoke(app, arguments)
    if done.exit_code:
        raise RuntimeError(done.output)


def lines_of(name: str) -> str:
    """The three lines of Python that draw a figure."""
    return (
        "from interp.views.pictures import making, named\n"
        f'tables = making.tables_of("{source_of(name)}", "{name}")\n'
        f'figure = named("{name}").draw(tables)\n'
    )


def page() -> str:
    """The page, from the tables that are kept."""
    return "\n".join([HEAD, *(part for name in names() for part in _part(name))]) + "\n"


def _part(name: str) -> Iterator[str]:
    picture = named(name)
    tables, about = kept(name)
    yield f"## {name}\n"
    ending = "" if picture.shows[-1] in ".?" else "."
    yield f"{picture.shows[0].upper()}{picture.shows[1:]}{ending}\n"
    yield f"![{picture.shows}](gallery/{name}.png)\n"
    yield f"> {_plain(full_caption(picture, tables, about))}\n"
    yield f"```\ninterp figure {source_of(name)} {name}\n```\n"
    yield f"```python\n{lines_of(name)}```\n"
    if name in PICTURES and hasattr(figures, name):
        signature = inspect.signature(getattr(figures, name))
        arguments = ", ".join(_argument(one) for one in signature.parameters.values())
        yield f"Onto axes of your own: `interp.figures.{name}({arguments})`.\n"


def _argument(parameter: inspect.Parameter) -> str:
    stars = "**" if parameter.kind is parameter.VAR_KEYWORD else ""
    given = "" if parameter.default is parameter.empty else f"={parameter.default!r}"
    named_only = "=..." if parameter.kind is parameter.KEYWORD_ONLY and not given else ""
    return f"{stars}{parameter.name}{given}{named_only}"


def _plain(caption: str) -> str:
    """A caption in Markdown: signs that it would obey are escaped."""
    return "".join(f"\\{sign}" if sign in "\\*_`[]<>~|$" else sign for sign in caption)


def fingerprint(figure: Figure) -> str:
    """A hash of what a figure draws, not of its pixels: those differ with the fonts of a machine."""
    found: list[Any] = [figure.get_size_inches().round(3).tolist()]
    # Without the ticks, most of what there is to walk through: they follow from the rest.
    for ax in figure.axes:
        found += [["line", *_digits(x.get_xydata()), str(x.get_color()), x.get_label()] for x in ax.lines]
        found += [["patch", *_digits(x.get_path().vertices), str(x.get_facecolor())] for x in ax.patches]
        for x in ax.collections:
            # Bands and error bars are their edges, points and maps their colours.
            values = x.get_array()
            shown = (
                [path.vertices for path in x.get_paths()]
                if values is None
                else [np.ma.filled(values, np.nan)]
            )
            found.append(["collection", *(_digits(part) for part in shown), *_digits(x.get_offsets())])
        legend = ax.get_legend()
        texts = [ax.xaxis.label, ax.yaxis.label, ax.title, *ax.texts, *(legend.get_texts() if legend else ())]
        found.append([text.get_text() for text in texts])
    # Bands of a figure have legends and titles of their own; what is said below it is a text of the whole.
    for part in (figure, *figure.subfigs):
        named = [text for legend in part.legends for text in legend.get_texts()]
        found.append([text.get_text() for text in (*part.texts, *named)])
    return hashlib.sha256(json.dumps(found, default=str).encode()).hexdigest()[:16]


def _digits(values: Any) -> list[str]:
    return [f"{value:.4g}" for value in np.asarray(values, dtype=float).ravel()]


def draw_all() -> None:
    """The image of every figure, in few colours, and what was drawn."""
    drawn = {}
    for name in names():
        figure = making.drawn(named(name), *kept(name))
        drawn[name] = fingerprint(figure)
        buffer = BytesIO()
        figure.savefig(buffer, format="png", dpi=DPI, metadata={"Software": None})
        small = BytesIO()
        few_colours(Image.open(buffer)).save(small, format="png", optimize=True)
        write_bytes(FOLDER / f"{name}.png", small.getvalue())
    for path in FOLDER.glob("*.png"):
        if path.stem not in drawn:
            path.unlink()
    write_json(DRAWN, drawn)


def main() -> None:
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    options.add_argument(
        "--measure", nargs="*", metavar="NAME", help="measure these, or all that have no tables yet"
    )
    asked = options.parse_args().measure
    if asked is not None:
        there = set(json.loads(INDEX.read_text("utf-8"))) if INDEX.exists() else set()
        measure(asked or [name for name in names() if name not in there])
    draw_all()
    write_bytes(PAGE, page().encode())
    size = sum(path.stat().st_size for path in FOLDER.glob("*.png"))
    say(f"{PAGE}: {len(names())} figures, {size / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
