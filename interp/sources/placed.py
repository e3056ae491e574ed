"""Which state is the checkpoint of which step."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from interp.ground.plain_text import several
from interp.networks.config import Weights
from interp.runs.tensor_files import tensor_checksum
from interp.sources.files.places import Place
from interp.sources.files.reading import SourceError, warn
from interp.sources.files.steps import Position


class Placed:
    """Which state is the checkpoint of which step: each once, with its unit checked."""

    def __init__(self, source: Path):
        self.source = source
        self.unit = "any"
        self.facts: dict[str, Any] = {"duplicates": []}
        self._places: dict[int, Place] = {}
        self._again: list[tuple[int, Place]] = []
        self._nameless: list[Place] = []

    def add(self, position: Position | None, place: Place) -> None:
        """The next state."""
        if position is None:
            self._nameless.append(place)
            return
        if self.unit == "any":
            self.unit = position.unit
        elif position.unit not in ("any", self.unit):
            raise SourceError(
                f"{place.where} counts {several(position.unit)} ({position.step}), the checkpoints before it count "
                f"{several(self.unit)}: their order is not known. Import them apart, or rename them alike."
            )
        if position.step in self._places:
            self._again.append((position.step, place))
        else:
            self._places[position.step] = place

    def result(self, read: Callable[[Place], Weights]) -> dict[int, Place]:
        """The place of every step.

        States of one step, and states without a step, must be copies of one that has one.

        Raises:
            SourceError: if they are none, or there is no state at all.
        """

        def checksums(place: Place) -> dict[str, str]:
            return {name: tensor_checksum(w) for name, w in read(place).items()}

        for step, place in self._again:
            first = self._places[step]
            if checksums(place) != checksums(first):
                raise SourceError(
                    f"{place.where} and {first.where} both say that they are of {self.unit} {step}, and hold "
                    "different weights. Move one of them away, or rename it to its true step."
                )
            self._note(step, place)
        if len(self._nameless) == 1 and not self._places:
            (place,) = self._nameless
            warn(f"{place.where} does not say of which step it is: it becomes step 0.")
            self.facts["assumed_step"] = 0
            return {0: place}
        for place in self._nameless:
            sought = checksums(place)
            # Most often it is the last.
            same = (s for s in sorted(self._places, reverse=True) if checksums(self._places[s]) == sought)
            found = next(same, None)
            if found is None:
                raise SourceError(
                    f"{place.where} says its step neither inside nor by its name, and equals no other checkpoint. "
                    "Rename it to step_<number>, or move it away."
                )
            self._note(found, place)
        if not self._places:
            raise SourceError(f"{self.source} gave no checkpoints.")
        return self._places

    def _note(self, step: int, place: Place) -> None:
        same_as = self._places[step].where
        self.facts["duplicates"].append({"step": step, "what": place.where, "same_as": same_as})
