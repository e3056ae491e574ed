"""What a checkpoint looks like: arrays over pairs, neurons and frequencies at every step, quantised for the page."""

from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from interp.runs.run import Run
from interp.views.along import Along


@dataclass(frozen=True)
class Stills:
    arrays: dict[str, dict[str, Any]] = field(default_factory=dict)
    tables: dict[str, pd.DataFrame] = field(default_factory=dict)
    about: dict[str, Any] = field(default_factory=dict)
    reasons: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


def stills(run: Run, found: Along, device: str = "cpu") -> Stills:
    return Stills()
