"""What a check found: for people, and as JSON for programs."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal


@dataclass(frozen=True)
class Finding:
    """One thing that was seen.

    Attributes:
        level: "problem", or "note" for what is unusual but explained.
        kind: a word or two, see `interp.checks.series` and `interp.checks.of_run`.
        where: the file (relative to the folder) or the tensor; "" where it is about steps.
        steps: the steps that it is about.
        message: one sentence.
    """

    level: Literal["problem", "note"]
    kind: str
    where: str
    steps: tuple[int, ...]
    message: str

    def to_json(self) -> dict[str, Any]:
        """The same as plain values."""
        return {
            "level": self.level,
            "kind": self.kind,
            "where": self.where,
            "steps": list(self.steps),
            "message": self.message,
        }


@dataclass(frozen=True)
class Repair:
    """What was done about one file, or why nothing could be.

    Attributes:
        where: the file, relative to the run.
        done: whether it is restored.
        message: one sentence.
    """

    where: str
    done: bool
    message: str

    def to_json(self) -> dict[str, Any]:
        """The same as plain values."""
        return {"where": self.where, "done": self.done, "message": self.message}


@dataclass(frozen=True)
class Difference:
    """Where a recorded curve differs most from what the weights say.

    Attributes:
        shift: the curve's row at step + shift is about the weights of step.
        n: steps that could be compared.
    """

    column: str
    step: int
    recorded: float
    recomputed: float
    shift: int
    n: int

    def to_json(self) -> dict[str, Any]:
        """Plain values; NaN and infinity as text."""
        values = {k: v if math.isfinite(v) else str(v) for k, v in self.__dict__.items() if k != "column"}
        return {"column": self.column, **values}


@dataclass
class Report:
    """What a check of a run or of foreign checkpoints saw.

    Attributes:
        n_steps: checkpoints that could be read.
        losses: where each recorded curve differs most from the recomputed one; empty where that was not checked.
    """

    path: Path
    format: str
    findings: list[Finding] = field(default_factory=list)
    n_steps: int = 0
    losses: list[Difference] = field(default_factory=list)

    @property
    def problems(self) -> list[Finding]:
        return [finding for finding in self.findings if finding.level == "problem"]

    def say(
        self, level: Literal["problem", "note"], kind: str, where: str, message: str, *steps: int
    ) -> None:
        self.findings.append(Finding(level, kind, where, steps, message))

    def to_json(self) -> dict[str, Any]:
        """Plain values; "ok" is what the exit code says."""
        return {
            "path": str(self.path),
            "format": self.format,
            "ok": not self.problems,
            "n_steps": self.n_steps,
            "findings": [finding.to_json() for finding in self.findings],
            "recorded_against_recomputed": [difference.to_json() for difference in self.losses],
        }


def listed(items: Sequence[object]) -> str:
    """The first few items of a list, as text."""
    text = [str(item) for item in items]
    if len(text) <= 8:
        return ", ".join(text)
    return f"{', '.join(text[:5])}, ... {text[-1]} ({len(text)} in all)"
