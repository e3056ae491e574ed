"""Are these checkpoints the steps that they claim to be? Checks of any series of state dicts, one at a time.

Published series have served copies of the final weights under the names of earlier steps for years, and a copy loads
without complaint. `SeriesCheck` takes a series step by step and keeps a checksum of every tensor and a sample of its
values, never the weights themselves, so that a series of any size needs the memory of one checkpoint.

What is a problem and what is a note:

    same weights       two steps with every tensor equal to the last bit. Explained, and then a note: the first updates
                       of a warm-up have learning rate 0; or the caller says that training stood still.
    same tensor        a matrix that equals itself at another step, though the rest changed (one file of several was
                       served twice). A note for vectors between neighbouring steps: a bias without gradient, or a
                       norm's weight in half precision, can stand still.
    outlier            the way through a step is far longer than the way around it (rule below).
    not finite         NaN or infinity in a tensor that is no buffer of its format.
    shape              a tensor appears, disappears, or changes shape or dtype.
    order              steps that do not ascend, or come twice.
    missing step       a gap inside an otherwise even series of steps (see `missing_steps`).
    never changes      a note: frozen weights and buffers do this rightly.

The outlier rule. With d the distance of the weights, the detour of step i is (d(i-1, i) + d(i, i+1)) / d(i-1, i+1): 1
on a straight way, 1.41 for a random walk, 3 where two neighbouring files are swapped, more for weights from elsewhere.
It does not depend on how far apart the steps were saved. A step is an outlier where its detour is above 2.5 and twice
the median of its five neighbours' on each side (weights that oscillate have a large detour everywhere). Distances are
estimated from a fixed sample of up to 1024 numbers a tensor. The first and the last step have no detour; weights from
the same run a step or two away have a small one.
"""

import statistics
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from itertools import pairwise
from typing import Literal

import torch
from torch import Tensor

from interp.checks.findings import Finding, listed
from interp.ground.plain_text import several
from interp.runs.tensor_files import tensor_checksum

DETOUR = 2.5
DETOUR_TO_NEIGHBOURS = 2.0
SAMPLE = 1024


class SeriesCheck:
    """Takes the checkpoints of a series in the order in which they are served, then says what is wrong with them."""

    def __init__(self, unit: str = "step"):
        self.unit = unit
        self.checksums: dict[int, dict[str, str]] = {}
        self._kinds: dict[str, str] = {}
        self._is_vector: dict[str, bool] = {}
        self._findings: list[Finding] = []
        self._places: dict[str, Tensor] = {}
        self._recent: list[tuple[int, dict[str, Tensor]]] = []
        self._detours: list[tuple[int, float]] = []
        self._last_step: int | None = None

    def add(self, step: int, weights: Mapping[str, Tensor], buffers: Collection[str] = ()) -> None:
        """The next checkpoint; the weights are not kept.

        Args:
            buffers: names of tensors that are no weights, as masks, and may hold infinity rightly.
        """
        checksums = {name: tensor_checksum(tensor) for name, tensor in weights.items()}
        if step in self.checksums:
            same = self.checksums[step] == checksums
            self._say(
                "note" if same else "problem",
                "order",
                "",
                (step,),
                f"{self.unit} {step} comes twice, with {'equal' if same else 'different'} weights",
            )
            return
        if self._last_step is not None and step < self._last_step:
            self._say(
                "problem",
                "order",
                "",
                (self._last_step, step),
                f"{self.unit} {step} is served after {self.unit} {self._last_step}",
            )
        self._last_step = step
        self.checksums[step] = checksums
        self._compare_kinds(step, weights)
        trained = {name: tensor for name, tensor in weights.items() if name not in buffers}
        if self._is_finite(step, trained):
            self._measure_detour(step, trained)

    def findings(
        self, *, still: Collection[tuple[int, int]] = (), expected: Sequence[int] | None = None
    ) -> list[Finding]:
        """What was seen.

        Args:
            still: pairs of neighbouring steps between which training is known to have changed nothing.
            expected: the steps that the series should have; without them gaps in an even spacing are found.
        """
        found = list(self._findings)
        steps = sorted(self.checksums)
        absent = sorted(set(expected) - set(steps)) if expected is not None else missing_steps(steps)
        if absent:
            why = "the schedule saves them" if expected is not None else "the spacing around them is even"
            found.append(
                Finding(
                    "problem",
                    "missing step",
                    "",
                    tuple(absent),
                    f"{self.unit} {listed(absent)} missing: {why}",
                )
            )
        return [*found, *self._same_weights(steps, set(still)), *self._same_tensors(steps), *self._outliers()]

    def _say(self, level: Literal["problem", "note"], kind: str, where: str, steps: tuple, text: str) -> None:
        self._findings.append(Finding(level, kind, where, steps, text))

    def _compare_kinds(self, step: int, weights: Mapping[str, Tensor]) -> None:
        kinds = {
            name: f"{tuple(t.shape)} {str(t.dtype).removeprefix('torch.')}" for name, t in weights.items()
        }
        first = len(self.checksums) == 1
        for name in sorted({*kinds, *self._kinds}):
            before, now = self._kinds.get(name, "not there"), kinds.get(name, "not there")
            if before != now and not first:
                self._say(
                    "problem",
                    "shape",
                    name,
                    (step,),
                    f"{name} is {now} at {self.unit} {step} and was {before} before",
                )
        self._kinds = kinds
        self._is_vector |= {name: t.ndim < 2 for name, t in weights.items()}

    def _is_finite(self, step: int, weights: Mapping[str, Tensor]) -> bool:
        finite = True
        for name, tensor in weights.items():
            if tensor.is_floating_point() and not bool(tensor.isfinite().all()):
                finite = False
                n_nan, n_inf = int(tensor.isnan().sum()), int(tensor.isinf().sum())
                self._say(
                    "problem",
                    "not finite",
                    name,
                    (step,),
                    f"{name} holds {n_nan} NaN and {n_inf} infinite of {tensor.numel()} numbers at {self.unit} {step}",
                )
        return finite

    def _sample(self, weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Up to SAMPLE numbers of every tensor, scaled so that squared distances estimate those of the whole."""
        out = {}
        for name, tensor in weights.items():
            if not tensor.is_floating_point() or not tensor.numel():
                continue
            n, key = tensor.numel(), f"{name} {tuple(tensor.shape)}"
            if n <= SAMPLE:
                out[key] = tensor.detach().reshape(-1).double()
                continue
            if key not in self._places:
                generator = torch.Generator().manual_seed(n)
                self._places[key] = torch.randint(n, (SAMPLE,), generator=generator)
            places = self._places[key].to(tensor.device)
            # Indexed in the tensor's own shape: flattening a transposed view would copy the whole tensor.
            values = tensor.detach()[torch.unravel_index(places, tensor.shape)]
            out[key] = values.double() * (n / SAMPLE) ** 0.5
        return out

    def _measure_detour(self, step: int, weights: Mapping[str, Tensor]) -> None:
        self._recent = [*self._recent[-2:], (step, self._sample(weights))]
        if len(self._recent) == 3:
            (_, a), (middle, b), (_, c) = self._recent
            through, around = _distance(a, b) + _distance(b, c), _distance(a, c)
            detour = through / around if around > 0 else (float("inf") if through > 0 else 1.0)
            self._detours.append((middle, detour))

    def _outliers(self) -> list[Finding]:
        out = []
        values = [detour for _, detour in self._detours]
        for i, (step, detour) in enumerate(self._detours):
            neighbours = values[max(i - 5, 0) : i] + values[i + 1 : i + 6]
            usual = statistics.median(neighbours) if neighbours else 1.0
            if detour > DETOUR and detour > DETOUR_TO_NEIGHBOURS * usual:
                out.append(
                    Finding(
                        "problem",
                        "outlier",
                        "",
                        (step,),
                        f"the way through {self.unit} {step} is {detour:.1f} times as long as the way around it (its "
                        f"neighbours' median: {usual:.2f}); other weights, swapped files or an instability",
                    )
                )
        return out

    def _same_weights(self, steps: list[int], still: set[tuple[int, int]]) -> list[Finding]:
        groups: dict[tuple, list[int]] = defaultdict(list)
        for step in steps:
            groups[tuple(sorted(self.checksums[step].items()))].append(step)
        neighbours = set(pairwise(steps))
        out = []
        for group in groups.values():
            if len(group) < 2:
                continue
            pairs = list(pairwise(group))
            explained = all(pair in still and pair in neighbours for pair in pairs)
            why = (
                "training changed nothing between them, by its own record"
                if explained
                else "a copy served under other names, or training that stood still"
            )
            out.append(
                Finding(
                    "note" if explained else "problem",
                    "same weights",
                    "",
                    tuple(group),
                    f"{several(self.unit)} {listed(group)} have identical weights: {why}",
                )
            )
        return out

    def _same_tensors(self, steps: list[int]) -> list[Finding]:
        out, constant = [], []
        whole = {step: tuple(sorted(self.checksums[step].items())) for step in steps}
        position = {step: i for i, step in enumerate(steps)}
        if len(set(whole.values())) < 2:
            return []  # said already: all steps have the same weights
        for name in sorted({name for step in steps for name in self.checksums[step]}):
            groups: dict[str, list[int]] = defaultdict(list)
            for step in steps:
                if name in self.checksums[step]:
                    groups[self.checksums[step][name]].append(step)
            if len(groups) == 1:
                constant.append(name)
                continue
            for group in groups.values():
                pairs = [p for p in pairwise(group) if whole[p[0]] != whole[p[1]]]
                if not pairs:
                    continue
                near = all(position[b] == position[a] + 1 for a, b in pairs)
                vector = self._is_vector[name]
                named = sorted({step for pair in pairs for step in pair})
                out.append(
                    Finding(
                        "note" if near and vector else "problem",
                        "same tensor",
                        name,
                        tuple(named),
                        f"{name} is identical at {several(self.unit)} {listed(named)}, where other tensors differ",
                    )
                )
        if constant:
            out.append(
                Finding(
                    "note",
                    "never changes",
                    ", ".join(constant),
                    (),
                    f"{listed(constant)} never change: frozen weights or buffers, if that is meant",
                )
            )
        return out


# Between more steps of a spacing than this it is two stretches, not a gap in one.
_WIDEST_GAP = 10_000


def missing_steps(steps: Sequence[int]) -> list[int]:
    """Steps that an evenly spaced (or evenly multiplied) stretch of ascending steps lacks.

    Only a single gap with the same spacing d (or ratio) right before and after it is called a gap, and only where it
    is a multiple (a power) of d: two wide gaps in a row look like a spacing of their own. A gap of 2 among steps of 1
    is none either, since rounded log schedules have it. So a log schedule, a dense window, or a change of spacing is
    no gap; missing steps at either end cannot be seen.

    >>> missing_steps([0, 100, 200, 500, 600]), missing_steps([1, 2, 4, 16, 32]), missing_steps([0, 1, 2, 4, 8, 16])
    ([300, 400], [8], [])
    """
    out: list[int] = []
    for a, b, c, d in zip(steps, steps[1:], steps[2:], steps[3:], strict=False):
        spacing = b - a
        if spacing == d - c and spacing + 1 < c - b < _WIDEST_GAP * spacing and (c - b) % spacing == 0:
            out += range(b + spacing, c, spacing)
        elif a > 0 and b % a == 0 and b * c == a * d and c > b * (b // a):
            ratio, step = b // a, b * (b // a)
            inside = []
            while step < c:
                inside.append(step)
                step *= ratio
            if step == c:
                out += inside
    return out


def _distance(a: dict[str, Tensor], b: dict[str, Tensor]) -> float:
    return sum(float((a[key] - b[key]).square().sum()) for key in a.keys() & b.keys()) ** 0.5
