"""How often a theory is supported where no arm does anything: the null world of the tests, many draws.

python benchmarks/null_scoreboard.py [--draws 200]
"""

import argparse
import sys
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from interp.theories import ALL, scoreboard
from tests.theories import worlds

STANDS = ("supported", "consistent")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--draws", type=int, default=200, help="tables drawn of each kind")
    draws = parser.parse_args().draws
    # That nothing matters is true there.
    predictions = [
        p for theory in ALL if theory.name != "no_difference" for p in theory.predictions if p.arms
    ]
    print("pairs    sd   rows  supported or consistent  draws with one  contradicted  undecided  which")
    for n_pairs in (3, 8):
        for sd in (0.1, 0.3):
            boards = [board(predictions, n_pairs, sd, seed) for seed in range(draws)]
            told = Counter(verdict for found in boards for verdict in found["verdict"])
            false = [found.loc[found["verdict"].isin(STANDS), "prediction"].tolist() for found in boards]
            n = sum(told[name] for name in (*STANDS, "contradicted", "undecided"))
            which = Counter(name for names in false for name in names)
            rate, any_rate = sum(map(len, false)) / n, sum(map(bool, false)) / draws
            print(
                f"{n_pairs:>5}  {sd:>4g}  {n:>5}  {rate:>23.4f}  {any_rate:>14.3f}"
                f"  {told['contradicted'] / n:>12.3f}  {told['undecided'] / n:>9.3f}  {dict(which)}"
            )


def board(predictions, n_pairs: int, sd: float, seed: int):
    """The scoreboard of a draw, at the accuracy that the worlds are told at."""
    arms = worlds.null_world(n_pairs, sd, seed, "jitter", worlds.WITH_TURNING)
    is_it = (arms["event"] == "test_accuracy") & (arms["threshold"] == 0.95)
    return scoreboard(predictions, arms[is_it], worlds.steady_levels(arms), {})


if __name__ == "__main__":
    main()
