"""By which accuracy a run is judged: that of all questions, or of those whose answers can be foreseen."""

import math
from collections.abc import Mapping
from typing import Any

# The part of the questions by which a run is judged, where its task names one so. On the others no accuracy comes near
# a threshold, whatever was learned.
PREDICTABLE = "predictable"
# The column that a history has where rows were new at every step. What is called train there was never trained on, and
# a high accuracy on it is no memory.
SEES_FRESH_ROWS = "sees_fresh_rows"


def judged_by(split: str) -> tuple[str, str]:
    """The accuracies by which a run is judged, the one of what is predictable before that of all questions.

    >>> judged_by("test")
    ('test_predictable_accuracy', 'test_accuracy')
    """
    return f"{split}_{PREDICTABLE}_accuracy", f"{split}_accuracy"


def judged_accuracy(row: Mapping[str, Any], split: str) -> float:
    """The accuracy by which a row of a history is judged; NaN where it has none.

    >>> judged_accuracy({"test_accuracy": 0.4, "test_predictable_accuracy": 0.9}, "test")
    0.9
    >>> judged_accuracy({"test_accuracy": 0.4, "test_predictable_accuracy": math.nan}, "test")
    0.4
    """
    found = (float(row.get(name, math.nan)) for name in judged_by(split))
    return next((x for x in found if not math.isnan(x)), math.nan)
