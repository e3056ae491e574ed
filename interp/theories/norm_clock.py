"""Norm as a clock: a held norm does not prevent generalisation, it slows it, exponentially in the norm."""

import numpy as np

from interp.theories.pair_statistics import LEVEL
from interp.theories.prediction import Theory, of_arms, of_sweep
from interp.theories.reading import NotTestable, Seen, Tables, table
from interp.theories.statistic import EffectRatio, Region

NAME = "norm_clock"
SOURCE = "Truong et al. 2026 (delay law of norm separation; runs with a held norm)"

FEWEST = 8


def norm_over_seeds(tables: Tables) -> Seen:
    """Standard deviation over mean of the norm at the grokking step, of runs of one recipe from other seeds.

    The interval is that of the standard deviation of a normal distribution.
    """
    # Half a second to load, and theories are listed more often than judged.
    from scipy.stats import chi2

    rows = table(tables, "sweep_runs", is_recipe=True)
    norms = rows["norm_at_event"].dropna().to_numpy(float)
    if (n := len(norms)) < FEWEST:
        raise NotTestable(
            f"the norm at the grokking step is known of {n} runs of this recipe, it takes {FEWEST}; measure "
            "weight_norms along them (interp sweep --probes)"
        )
    value = float(norms.std(ddof=1) / norms.mean())
    tail = (1 - LEVEL) / 2
    low, high = (value * np.sqrt((n - 1) / chi2.ppf(q, n - 1)) for q in (1 - tail, tail))
    said = f"norms of {norms.min():.3g} to {norms.max():.3g} at the grokking step of {n} runs"
    return Seen(value, float(low), float(high), said, "More seeds.")


NORM_CLOCK = Theory(
    name=NAME,
    statement="The delay grows exponentially with the norm at which the weights are held; grokking comes at that norm.",
    source=SOURCE,
    requires="1.15 times the norm takes much longer than 0.85 times, and neither is kept from generalising.",
    forbids="That the norm plays no part; that generalisation waits for one value of it.",
    predictions=(
        of_arms(
            theory=NAME,
            name="larger_norm_is_slower",
            statement="With 1.15 times the control's norm the jump takes twice as long as with 0.85 times.",
            source=SOURCE,
            statistic=EffectRatio(arm="norm", dose=1.15, over="norm", over_dose=0.85),
            required=Region(low=2.0),
            rival="the norm plays no part",
            rival_region=Region(1 / 1.15, 1.15),
            cost=3.0,
            assumptions="Both arms follow the control's norm path times their dose; the sham is a replay of that "
            "path, not "
            "a norm held where the branch happened to find it.",
            stress_test="The replay of the control's own path must equal the control.",
            does_not_show="Whether the norm or the scale of the logits that comes with it does the slowing.",
        ),
        of_sweep(
            theory=NAME,
            name="one_norm_over_seeds",
            statement="Free runs of one recipe grok at one norm, within 2 % over seeds.",
            source=SOURCE,
            function="norm_over_seeds",
            needs="A sweep with at least 8 seeds of this recipe and --probes weight_norms",
            required=Region(high=0.02),
            rival="the recipe fixes every trajectory alike",
            rival_region=None,
        ),
    ),
    observations=(norm_over_seeds,),
)
