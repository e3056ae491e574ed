"""How much the train loss trembles early on (Notsawo et al. 2023): Hjorth's activity of its fast part."""

import numpy as np
import pandas as pd

# Steps that count as early, and the width of the running mean that is taken off.
FIRST, SMOOTH = 400, 21


def early_activity(history: pd.DataFrame) -> float | None:
    """Variance (nats squared) of the train loss in the first 400 steps, less its running mean over 21 steps.

    The paper calls what is taken off "low-pass" and describes the contrary; here the slow part is taken off. None where
    a step's loss is not known, or the run is shorter.

    Args:
        history: step, train_loss; a row a step.
    """
    early = history[history["step"] < FIRST].sort_values("step")
    loss = early["train_loss"].to_numpy(float)
    if len(loss) < FIRST or not np.isfinite(loss).all():
        return None
    slow = np.convolve(loss, np.full(SMOOTH, 1 / SMOOTH), mode="valid")
    half = SMOOTH // 2
    return float(np.var(loss[half:-half] - slow))
