"""A snapshot of a task whose answers are written in digits: its questions by the place of the digit asked for."""

from functools import cached_property

import torch
from jaxtyping import Float, Int
from torch import Tensor

from interp.networks import plain
from interp.snapshots.snapshot import NotApplicable, Snapshot
from interp.tasks.structure import Digits

# Rows of which all positions are kept: enough to tell an accuracy to 0.02, and no table that fills a memory.
MOST_ROWS = 2000


class Places:
    """Views of one snapshot, each computed once: `snapshot.once(Places)`.

    Attributes:
        structure: digits and carries of the task's rows.
        is_train: which rows are train; None where the split is not known.
        n_places: digits of an answer.
        columns: for each place from the lowest, the position of its question; the same in all rows.

    Raises:
        NotApplicable: if the answers are not written in digits.
    """

    def __init__(self, snapshot: Snapshot):
        task = snapshot.known_task
        if not isinstance(task.structure, Digits):
            raise NotApplicable(
                f"The answers of this task ({task.config.description}) are not numbers written in digits, so that "
                "probes of digits and carries do not apply."
            )
        self.structure, self.is_train = task.structure, task.is_train
        self.n_places = self.structure.answer.shape[1]
        first_row = task.position[: self.n_places]
        self.columns: Int[Tensor, " place"] = first_row[self.structure.place[: self.n_places].argsort()]
        # Not the snapshot itself, which keeps this view: neither would be freed before the next step is measured.
        self._network, self._weights, self._tokens = snapshot.network, snapshot.weights, task.tokens
        self._device = snapshot.device

    @property
    def place(self) -> Int[Tensor, " question"]:
        """The place that each question asks for, on the snapshot's device."""
        return self.structure.place.to(self._device)

    def digit_embedding(self) -> Float[Tensor, "base d_model"]:
        """Rows of W_E for the digits.

        Raises:
            NotApplicable: if the network has no such matrix.
        """
        if "embed.W_E" not in self._weights:
            raise NotApplicable("This network has no embedding of its tokens.")
        return self._weights["embed.W_E"][: self.structure.base]

    @property
    def n_rows(self) -> int:
        """How many of the task's rows `stream` has."""
        return len(self.rows)

    @cached_property
    def rows(self) -> Int[Tensor, " row"]:
        """The task's rows of `stream`: all, or MOST_ROWS drawn without replacement, half of them train if there are."""
        n = len(self._tokens)
        if n <= MOST_ROWS:
            return torch.arange(n)
        drawn = torch.randperm(n, generator=torch.Generator().manual_seed(0))
        if self.is_train is not None:
            train, test = drawn[self.is_train[drawn]], drawn[~self.is_train[drawn]]
            n_train = max(min(len(train), MOST_ROWS // 2), MOST_ROWS - len(test))
            drawn = torch.cat([train[:n_train], test])
        return drawn[:MOST_ROWS].sort().values

    @cached_property
    def stream(self) -> dict[str, Float[Tensor, "row pos d_model"]]:
        """The residual stream at every position and between all layers, by hook, of one pass.

        Raises:
            NotApplicable: if the network has no residual stream that grokscope describes.
        """
        config = self._network.config
        if config is None or config.is_mlp:
            raise NotApplicable("This network has no residual stream that grokscope describes.")
        kept: dict[str, Tensor] = {}
        last = f"blocks.{config.n_layers - 1}.hook_resid_post"

        def keep(name: str, x: Tensor) -> Tensor:
            # What leaves a block is what enters the next.
            if name.endswith(("hook_resid_pre", "hook_resid_mid")) or name == last:
                kept[name] = x
            return x

        with torch.no_grad():
            plain.forward(config, self._weights, self._tokens[self.rows].to(self._device), keep)
        return kept
