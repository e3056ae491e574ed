"""How long each preset of the families beside modular addition takes to its transition, on one thread.

    python benchmarks/presets.py [NAME ...]

Trains each preset whole, one after the other, in a folder that is removed, and prints when it memorized and generalised
and the seconds by the clock until then. Where test accuracy (of what is predictable, where not all is) does not stay at
.95, the transition is half of the fall of the test loss.
"""

import argparse
import tempfile
import time
from pathlib import Path

from interp.ground.plain_text import say
from interp.runs.presets import PRESETS, named
from interp.tables.brackets_said import bracket_text
from interp.tables.transitions import grokking, memorization, share_of_change
from interp.training.train import train

# Hours on a CPU: docs/groups.md says how long smaller ones take.
LONG = ("mainline", "s5")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="*", default=[name for name in PRESETS if name not in LONG])
    for name in parser.parse_args().names:
        recipe = named(name)
        with tempfile.TemporaryDirectory() as folder:
            started, processor = time.perf_counter(), time.process_time()
            run = train(recipe, Path(folder) / name, threads=1)
            seconds, busy = time.perf_counter() - started, time.process_time() - processor
            history = run.history()
        evaluated = history[history["test_accuracy"].notna()]
        found = grokking(evaluated)
        what = "test accuracy .95"
        if found.step is None:
            found, what = share_of_change(evaluated, "test_loss", 0.5), "half of the fall of the test loss"
        until = seconds * (found.step or recipe.n_steps) / recipe.n_steps
        say(
            f"{name}: memorization {bracket_text(memorization(evaluated))}, {what} {bracket_text(found)}, "
            f"{until:.0f} s until then; {recipe.n_steps} steps in {seconds:.0f} s ({busy:.0f} s of processor time)"
        )


if __name__ == "__main__":
    main()
