"""What `interp forecast` ships with, learned anew from the sweeps in analyses/evidence.

python -m benchmarks.forecaster [--write]

Says how it differs from interp/theories/forecaster.json, or writes it there.
"""

import argparse
import json
from pathlib import Path

from interp.analyses.many_runs import BOUNDARY, table_of
from interp.sweeps.gathered import gathered
from interp.theories.forecast import curves_of
from interp.theories.forecaster import BUNDLED, Forecaster, forecaster, read_forecaster

SWEEPS = (BOUNDARY, BOUNDARY.with_name("p59-seeds"))


def learned() -> Forecaster:
    """From the published sweeps."""
    found = gathered(SWEEPS[0], SWEEPS[1:])
    about = {"sweeps": [Path(path).name for path in SWEEPS]}
    return forecaster(
        found.runs, curves_of(found.histories(), table_of(found, "fourier_sparsity")), found.fields, about
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--write", action="store_true", help="replace the file")
    value = learned().to_json()
    if parser.parse_args().write:
        BUNDLED.write_text(json.dumps(value, separators=(",", ":")) + "\n", encoding="utf-8")
    print("the same" if BUNDLED.exists() and read_forecaster().to_json() == value else "it differs")
