"""Whether heads look at the digits that matter for the digit that is asked."""

import pandas as pd
import torch
from jaxtyping import Bool
from torch import Tensor

from interp.snapshots.places import Places
from interp.snapshots.snapshot import Snapshot

VERSION = 1


def digit_attention(snapshot: Snapshot) -> pd.DataFrame:
    """Attention of the questions about each digit to the operands' digits, by head.

    What matters for a digit is the pair of its own place, the pair just below (it makes a carry, or hands one on) and,
    as far as pairs hand on, those further down. Attention is where a head looks, not what it does with it: patch it to
    know (`carry_patching`). Compare with `uniform`: an untrained head looks everywhere alike, and a group of many
    positions gets much.

    Columns:
        layer, head: of the head.
        digit: place that is asked, 0 is the lowest.
        group: "own" (the pair of this place), "below" (the pair just below), "lower" (those further down), "higher",
            "answer" (the answer's digits that stand in the row), "signs" (operator and "=").
        n_positions: positions of the group that the question sees; groups without any are absent.
        attention, attention_sd: sum over the group, its mean and standard deviation over all rows.
        uniform: what it would be with the same attention to every position that is seen.

    Raises:
        NotApplicable: if the answers are not written in digits, or the network has no attention.

    References: Quirke and Barez 2024, "Understanding addition in transformers".
    """
    places = snapshot.once(Places)
    pattern = snapshot.pattern.to(snapshot.double)
    rows = []
    for digit, column in enumerate(places.columns.tolist()):
        asked = pattern[places.place == digit]
        for group, is_member in _groups(places, digit, column, pattern.shape[-1]).items():
            n = int(is_member.sum())
            if not n:
                continue
            found = asked[..., is_member.to(asked.device)].sum(-1)
            mean, sd = found.mean(0).cpu(), found.std(0, correction=0).cpu()
            for layer in range(mean.shape[0]):
                for head in range(mean.shape[1]):
                    rows.append(
                        {
                            "layer": layer, "head": head, "digit": digit, "group": group, "n_positions": n,
                            "attention": mean[layer, head].item(), "attention_sd": sd[layer, head].item(),
                            "uniform": n / _n_seen(snapshot, column, pattern.shape[-1]),
                        }
                    )  # fmt: skip
    return pd.DataFrame(rows).sort_values(["layer", "head", "digit"], kind="stable", ignore_index=True)


def _n_seen(snapshot: Snapshot, column: int, n_pos: int) -> int:
    config = snapshot.network.config
    sees_all = config is not None and config.attention_dir == "bidirectional"
    return n_pos if sees_all else column + 1


def _groups(places: Places, digit: int, column: int, n_pos: int) -> dict[str, Bool[Tensor, " pos"]]:
    """Which positions up to the question belong to each group."""
    operands = places.structure.operand_positions
    place = torch.arange(operands.shape[1]).expand(2, -1)

    def at(chosen: Tensor) -> Tensor:
        is_member = torch.zeros(n_pos, dtype=torch.bool)
        is_member[operands[chosen]] = True
        return is_member

    of_operands = at(torch.ones_like(place, dtype=torch.bool))
    answer = torch.arange(n_pos) > operands.max() + 1
    return {
        "own": at(place == digit),
        "below": at(place == digit - 1),
        "lower": at(place < digit - 1),
        "higher": at(place > digit),
        "answer": answer & (torch.arange(n_pos) <= column),
        "signs": ~of_operands & ~answer,
    }
