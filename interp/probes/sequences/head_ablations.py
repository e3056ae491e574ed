"""What a network loses without some of its heads."""

from collections.abc import Iterable, Mapping
from typing import Literal

import pandas as pd
import torch
from jaxtyping import Float
from torch import Tensor

from interp.interventions.ablation import How
from interp.interventions.bench import Bench
from interp.interventions.heads import AblateHeads
from interp.networks import objective, plain
from interp.probes.answers.losses import splits
from interp.probes.sequences.part_losses import parts
from interp.snapshots.snapshot import NotApplicable, Snapshot

VERSION = 1

Heads = Iterable[tuple[int, int]]
Patterns = Literal["free", "kept"]


def head_ablations(
    snapshot: Snapshot,
    *,
    sets: Mapping[str, Heads] | None = None,
    how: How = "mean",
    patterns: tuple[Patterns, ...] = ("free", "kept"),
    seed: int = 0,
) -> pd.DataFrame:
    """Loss of each part of the questions without each head, or without sets of them: at once, and with patterns kept.

    A head's output (`hook_z`) is replaced at every position. "free": what comes after is computed anew, so that later
    heads look elsewhere where they needed it to know where. "kept": all patterns are those of the whole network
    ("pattern-preserving ablation"), so that what is lost is what the head had moved for others to read. A head that
    matters only when patterns are free tells later heads where to look.

    Several heads may do the same: then none of them alone matters. Ablate them together, by `sets`. An untrained
    network loses nothing, and neither does one that never used attention.

    Args:
        sets: (layer, head) pairs by the name of the set; each head alone by default, named "L0H3".
        how: "mean" over the examples at the same position (of later heads of a set: of what they say without the
            earlier ones), "zero", or "resample" with `seed`.
        patterns: which of the two; a pass over all examples for each set and each of them.

    Columns:
        heads: name of the set; "none" for the whole network.
        patterns: "free" or "kept".
        split, part, n: as of `part_losses`.
        loss: mean cross-entropy without the heads, nats.
        effect: that minus the loss of the whole network.

    Raises:
        NotApplicable: if the network has no heads or no config, or the run no known task.
        ValueError: if there is no such head, or a set is called "none".

    References: Olsson et al. 2022, "In-context learning and induction heads" (pattern-preserving ablation).
    """
    config = snapshot.config
    if not config.n_heads:
        raise NotApplicable("This network has no attention.")
    if sets is None:
        each = [(layer, head) for layer in range(config.n_layers) for head in range(config.n_heads)]
        sets = {f"L{layer}H{head}": ((layer, head),) for layer, head in each}
    if "none" in sets:
        raise ValueError("A set of heads needs a name other than 'none', which is the whole network.")
    kept: dict[str, Tensor] = {}

    def keep(name: str, x: Tensor) -> Tensor:
        if name.endswith(".hook_pattern"):
            kept[name] = x
        return x

    whole = _losses(snapshot, keep)
    tables = [_table(snapshot, whole, whole, "none", which) for which in patterns]
    for name, heads in sets.items():
        ablated = _ablation(snapshot, heads, how, seed)

        def held(hook: str, x: Tensor, ablated: plain.Tap = ablated) -> Tensor:
            return ablated(hook, kept.get(hook, x))

        taps = {"free": ablated, "kept": held}
        tables += [_table(snapshot, _losses(snapshot, taps[which]), whole, name, which) for which in patterns]
    return pd.concat(tables, ignore_index=True)


def _ablation(snapshot: Snapshot, heads: Heads, how: How, seed: int) -> plain.Tap:
    bench = Bench(snapshot.config, snapshot.known_task)
    by_layer: dict[int, list[int]] = {}
    for layer, head in heads:
        by_layer.setdefault(layer, []).append(head)
    taps = [
        AblateHeads(heads=tuple(chosen), how=how, layer=layer, seed=seed).tap(bench)
        for layer, chosen in by_layer.items()
    ]

    def tap(name: str, x: Tensor) -> Tensor:
        for ablate in taps:
            x = ablate(name, x)
        return x

    return tap


@torch.no_grad()
def _losses(snapshot: Snapshot, tap: plain.Tap) -> Float[Tensor, " question"]:
    asked = snapshot.known_task.questions.to(snapshot.device)
    logits = plain.forward(snapshot.config, snapshot.weights, asked.inputs, tap)
    return objective.losses(logits[asked.example, asked.position], asked.labels, snapshot.double)


def _table(snapshot: Snapshot, losses: Tensor, whole: Tensor, heads: str, patterns: Patterns) -> pd.DataFrame:
    rows = []
    for split, of_split in splits(snapshot).items():
        for part, of_part in parts(snapshot).items():
            if (asked := of_split & of_part).any():
                loss, before = losses[asked].mean().item(), whole[asked].mean().item()
                rows.append(
                    {
                        "heads": heads,
                        "patterns": patterns,
                        "split": split,
                        "part": part,
                        "n": int(asked.sum()),
                        "loss": loss,
                        "effect": loss - before,
                    }
                )
    return pd.DataFrame(rows)
