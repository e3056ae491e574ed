"""How often judging says "later" or "earlier" where no arm does anything: the null world of the tests, many draws.

python benchmarks/null_world.py [--draws 200]
"""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from interp.theories.effects import effects
from tests.theories import worlds


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--draws", type=int, default=200, help="tables drawn of each kind")
    draws = parser.parse_args().draws
    print("pairs  kind    sd   effects  later or earlier  equal  undecided  resolvable ratio, median")
    for n_pairs in (3, 8):
        for kind in ("jitter", "seed"):
            for sd in (0.1, 0.3):
                told = [judged(n_pairs, sd, seed, kind) for seed in range(draws)]
                verdicts = [verdict for found in told for verdict in found["verdict"]]
                n = len(verdicts)
                share = {
                    name: verdicts.count(name) / n for name in ("later", "earlier", "equal", "undecided")
                }
                resolvable = sorted(value for found in told for value in found["resolvable"])[n // 2]
                print(
                    f"{n_pairs:>5}  {kind:<6} {sd:>4g}  {n:>7}  {share['later'] + share['earlier']:>16.4f}  "
                    f"{share['equal']:>5.3f}  {share['undecided']:>9.3f}  {resolvable:.2f}"
                )


def judged(n_pairs: int, sd: float, seed: int, kind: str):
    """The effects of a draw from the main branch step, at the accuracy that the worlds are told at."""
    arms = worlds.null_world(n_pairs, sd, seed, kind)
    is_it = (arms["event"] == "test_accuracy") & (arms["threshold"] == 0.95)
    return effects(arms[is_it & (arms["branch_step"] == worlds.MAIN)])


if __name__ == "__main__":
    main()
