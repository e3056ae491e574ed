"""What `interp forecast` ships with, learned anew from the sweeps in analyses/evidence.

python -m benchmarks.forecaster [--write]

Says how it differs from interp/theories/forecaster.json, or writes it there.
"""

import argparse
import json

from interp.analyses.forecast import learned_from
from interp.analyses.many_runs import BOUNDARY
from interp.theories.forecaster import BUNDLED, Forecaster, read_forecaster

SWEEPS = (BOUNDARY, BOUNDARY.with_name("p59-seeds"))


def learned() -> Forecaster:
    """From the published sweeps."""
    return learned_from(SWEEPS, [path.name for path in SWEEPS])


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--write", action="store_true", help="replace the file")
    value = learned().to_json()
    if parser.parse_args().write:
        BUNDLED.write_text(json.dumps(value, separators=(",", ":")) + "\n", encoding="utf-8")
    print("the same" if BUNDLED.exists() and read_forecaster().to_json() == value else "it differs")
