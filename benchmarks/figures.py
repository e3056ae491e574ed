"""How long the whole gallery takes, and `interp figure` from kept tables, in a new process, beside bare imports.

python benchmarks/figures.py [--repeats 20] [--json FILE]
"""

import subprocess
import sys
import tempfile
import time
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

from timing import arguments, median_seconds, report

ROOT = Path(__file__).parent.parent
RUN = ROOT / "checkpoints" / "mainline"
NAMES = ("loss_curves", "spectrum_map", "fourier")


def gallery_seconds(n: int | None) -> tuple[float, int]:
    """Seconds to draw the figures of the gallery from kept tables, as images in memory; and how many they are."""
    spec = spec_from_file_location("make_gallery", ROOT / "docs" / "make_gallery.py")
    assert spec is not None and spec.loader is not None
    gallery = module_from_spec(spec)
    spec.loader.exec_module(gallery)
    from io import BytesIO

    from interp.views.pictures import making, named, names

    start, shown = time.perf_counter(), names()[:n]
    for name in shown:
        tables, about = gallery.kept(name)
        making.drawn(named(name), *gallery.kept(name)).savefig(BytesIO(), format="png", dpi=gallery.DPI)
        gallery.full_caption(named(name), tables, about)
    return time.perf_counter() - start, len(shown)


def main() -> None:
    options = arguments(__doc__)
    names = NAMES[:1] if options.tiny else NAMES
    with tempfile.TemporaryDirectory() as folder:

        def figure(name: str, *more: str):
            command = ["-m", "interp", "figure", str(RUN), name, "--out", f"{folder}/{name}", *more]
            return lambda: subprocess.run(
                [sys.executable, *command], cwd=ROOT, check=True, capture_output=True
            )

        def process(code: str):
            return lambda: subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)

        for name in names:
            # Measured once, and kept.
            figure(name)()
        contenders = {name: figure(name) for name in names}
        contenders |= {"preset": figure(NAMES[0], "--preset", "neurips-column", "--caption")}
        contenders |= {"matplotlib": process("import matplotlib.figure, pandas")}
        contenders |= {"torch": process("import torch")}
        seconds = median_seconds(contenders, 1 if options.tiny else options.repeats)
    gallery, n = gallery_seconds(3 if options.tiny else None)
    rows = [
        (f"gallery of {n} figures from kept tables", gallery, "s", "under 60"),
        *((f"interp figure RUN {name}, kept tables", seconds[name], "s", "under 3") for name in names),
        ("the same as neurips-column, with caption", seconds["preset"], "s", "under 3"),
        ("import matplotlib and pandas alone", seconds["matplotlib"], "s", ""),
        (f"interp figure {names[0]} over that", seconds[names[0]] / seconds["matplotlib"], "times", ""),
        ("import torch alone, which it does without", seconds["torch"], "s", ""),
    ]
    report(rows, options)


if __name__ == "__main__":
    main()
