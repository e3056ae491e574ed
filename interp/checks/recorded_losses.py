"""Do the recorded losses fit the weights? Losses recomputed from every checkpoint, against the run's history.

Trainers differ in what the number beside a checkpoint means: some record the loss before the update and save the
weights after it. So for an imported run each recorded curve may be shifted by one step as a whole, which is found out
and reported, and each number may be off by as much as one step changes it. A run trained here has neither excuse.
"""

import math
from statistics import median

import torch

from interp.checks.findings import Difference, Finding, listed
from interp.ground.judged import PREDICTABLE
from interp.networks import objective
from interp.networks.answers import answer_logits
from interp.networks.config import Weights
from interp.runs.run import Run

RELATIVE = 1e-3  # float32 logits differ by about 1e-5 between machines, and so do losses, relatively
ABSOLUTE_FLOAT64 = 1e-9
ABSOLUTE_FLOAT32 = 1e-5  # log-softmax in float32 at logits of 20 to 100
ACCURACY = 5e-3
COLUMNS = (
    *("train_loss", "test_loss", "train_accuracy", "test_accuracy"),
    *(f"{split}_{PREDICTABLE}_accuracy" for split in ("train", "test")),
)
BATCHES = " (a trainer that records means over mini-batches or an epoch may be right)"


class RecordedLossCheck:
    """Takes the checkpoints of a run one by one, then compares with its history.

    Raises:
        ValueError: if the run has no task, no network that can be built here, or no split.
    """

    def __init__(self, run: Run):
        if run.config.model is None:
            raise ValueError(f"Run {run.name!r} has no network that can be built here.")
        task = run.task
        self.run = run
        self._questions = {split: task.of_split(split) for split in ("train", "test")}
        self._logits = {split: answer_logits(run.config.model, q) for split, q in self._questions.items()}
        self._is_judged = {split: task.is_judged(split) for split in self._questions}
        self.recomputed: dict[int, dict[str, float]] = {}

    @torch.no_grad()
    def add(self, step: int, weights: Weights) -> None:
        """The next checkpoint."""
        row: dict[str, float] = {}
        for split, questions in self._questions.items():
            found = objective.scores(self._logits[split](weights), questions.labels, self._is_judged[split])
            row |= {f"{split}_{name}": x for name, x in found.items()}
        self.recomputed[step] = row

    def findings(self) -> tuple[list[Finding], list[Difference]]:
        """What does not fit, and the largest difference of each curve."""
        if losses_are := (self.run.record.source or {}).get("losses_are"):
            text = f"recorded losses are not compared: this trainer's are {losses_are}"
            return [Finding("note", "recorded loss", "", (), text)], []
        history, found, differences = self.run.history(), [], []
        for column in COLUMNS:
            if column not in history or not any(column in row for row in self.recomputed.values()):
                continue
            rows = history.dropna(subset=[column])
            optimizer = self.run.config.optimizer
            if column == "train_loss" and optimizer and optimizer.batch_size is not None:
                # Elsewhere it is the loss of a mini-batch.
                rows = rows.dropna(subset=["train_accuracy"])
            recorded = dict(zip(rows["step"].astype(int), rows[column].astype(float), strict=True))
            compared = self._compare(column, recorded)
            found += compared[0]
            differences += compared[1]
        return found, differences

    def _compare(self, column: str, recorded: dict[int, float]) -> tuple[list[Finding], list[Difference]]:
        is_own = self.run.record.is_own
        by_shift = {
            shift: {
                step: (recorded[step + shift], row[column])
                for step, row in self.recomputed.items()
                if step + shift in recorded
            }
            for shift in ((0,) if is_own else (0, 1, -1))
        }
        n_most = max(len(pairs) for pairs in by_shift.values())
        if not n_most:
            return [], []
        # A shift under which most steps have no row could fit by chance.
        shift = min(
            (shift for shift, pairs in by_shift.items() if 2 * len(pairs) > n_most),
            key=lambda shift: median(_gap(a, b) / (abs(b) + 1e-12) for a, b in by_shift[shift].values()),
        )
        pairs = by_shift[shift]
        worst = max(pairs, key=lambda step: _gap(*pairs[step]))
        out = []
        bad = [step for step, pair in pairs.items() if not self._fits(column, step, *pair, is_own)]
        if bad:
            step = max(bad, key=lambda s: _gap(*pairs[s]))
            out.append(
                Finding(
                    "problem",
                    "recorded loss",
                    column,
                    tuple(bad),
                    f"{column} as recorded does not fit the weights at {self.run.unit} {listed(bad)}: recorded "
                    f"{pairs[step][0]:.6g}, recomputed {pairs[step][1]:.6g} at {step}"
                    + ("" if is_own or column.startswith("test") else BATCHES),
                )
            )
        if shift:
            out.append(
                Finding(
                    "note",
                    "recorded loss",
                    column,
                    (),
                    f"{column} recorded at {self.run.unit} s{shift:+d} is the loss of the weights saved as s",
                )
            )
        return out, [Difference(column, worst, *pairs[worst], shift, len(pairs))]

    def _fits(self, column: str, step: int, recorded: float, recomputed: float, is_own: bool) -> bool:
        if column.endswith("accuracy"):
            allowed = ACCURACY
        else:
            optimizer = self.run.config.optimizer
            is_double = is_own and optimizer is not None and optimizer.loss_dtype == "float64"
            floor = ABSOLUTE_FLOAT64 if is_double or (column == "test_loss" and is_own) else ABSOLUTE_FLOAT32
            allowed = RELATIVE * max(abs(recorded), abs(recomputed)) + floor
        if not is_own:
            allowed += self._one_step(column, step)
        return _gap(recorded, recomputed) <= allowed

    def _one_step(self, column: str, step: int) -> float:
        """How much one step changes the curve here, from the neighbouring checkpoints (twice that, to be safe)."""
        steps = sorted(self.recomputed)
        i = steps.index(step)
        slopes = [
            abs(self.recomputed[b][column] - self.recomputed[a][column]) / (b - a)
            for a, b in zip(steps[max(i - 1, 0) :], steps[max(i, 1) : i + 2], strict=False)
        ]
        return 2 * max((s for s in slopes if math.isfinite(s)), default=0.0)


def _gap(a: float, b: float) -> float:
    if math.isfinite(a) and math.isfinite(b):
        return abs(a - b)
    return 0.0 if str(a) == str(b) else math.inf
