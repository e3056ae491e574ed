"""What the words of a page mean."""

from interp.theories.in_words import (
    CONSISTENT,
    CONTRADICTED,
    NOT_EVALUABLE,
    NOT_TESTABLE,
    SUPPORTED,
    UNDECIDED,
)
from interp.theories.verdict import EXPLORATORY

MEANINGS = {
    SUPPORTED: "the interval lies where the theory requires it, the checks passed, and a named rival requires it "
    "elsewhere",
    CONSISTENT: "it lies where the theory requires it, but no rival forbids that",
    CONTRADICTED: "it lies where the theory forbids it",
    UNDECIDED: "it lies neither wholly in the one nor wholly in the other, or does not survive the correction for the "
    "number of primary rows (Holm)",
    NOT_EVALUABLE: "a check failed, so that the numbers that are there cannot be used",
    NOT_TESTABLE: "something is missing that would be needed",
    "arm": "one way to go on from a checkpoint, with one thing changed; the control changes nothing",
    "sham": "an arm that does the same work without the supposed cause",
    "reference": "the arm that an arm is compared with, within the same pair",
    "pair": "arms that share start, data and disturbance (jitter) or seed",
    "zone": "ratios that count as equal: 1/1.15 to 1.15, or twice the spread of the reference's own jitter pairs",
    "primary": "one of the predictions whose verdict was corrected for their number",
    "observed": "read off the checkpoints of the run alone: an order or a size, no cause",
    "this run": "from jitter pairs: it holds of this one run, from these branch points and with these draws of shams",
    "this recipe": "from seeds: it holds of runs of this recipe",
    EXPLORATORY: "not written down before it was trained",
}
