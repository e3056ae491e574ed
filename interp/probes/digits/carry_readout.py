"""Where in the residual stream a carry can be read off along a line, compared with labels that mean nothing."""

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float, Int
from torch import Tensor

from interp.snapshots.places import Places
from interp.snapshots.snapshot import Snapshot
from interp.tasks.structure import Digits

VERSION = 2

# Share of the mean squared feature: enough that directions of rounding alone count for nothing.
RIDGE = 1e-3


def carry_readout(snapshot: Snapshot, *, n_controls: int = 5, seed: int = 0) -> pd.DataFrame:
    """Accuracy of a linear readout of each carry, on rows that it was not fitted to, and of readouts of random labels.

    At every position and between all layers a ridge regression is fitted to the train rows and asked about the test
    rows: what holds for rows that the network has memorized alone is not read. Its control task has a label for each
    pair of digits just below, drawn once: a readout that does as well on it has looked the pairs up.

    It misleads in two ways. What can be read need not be used (`carry_patching`). And the carry of one pair is nearly
    linear in its two digits, which the control is not: wherever a position holds both digits, in an untrained network
    too, selectivity is high. Compare with the untrained network (step 0), and look at `carry_patching`.

    Args:
        n_controls: draws of the control's labels.
        seed: of labels, and of halves.

    Columns:
        layer, stream: "pre", "mid" or "post" of that layer; "post" of the last layer only, else it is the next "pre".
        position: of the row.
        digit: place that the carry comes into, from 1.
        is_question: whether the question about this digit stands at this position.
        asked: "test", or "half": where the split is not known, or has fewer than 2 rows on a side, it is fitted to half
            of all rows and asked about the other half.
        n_fitted, n_asked: rows.
        accuracy: share of the rows that are asked about whose carry is read right.
        majority: the share that the more frequent answer has there.
        control: accuracy on the control's labels, mean over draws.
        selectivity: accuracy - control.

    Raises:
        NotApplicable: if the answers are not written in digits, or the network has no residual stream.
        ValueError: if there are fewer than 2 rows, or n_controls is below 1.

    References: Alain and Bengio 2016, "Understanding intermediate layers using linear classifier probes"; Hewitt and
    Liang 2019, "Designing and interpreting probes with control tasks", section 2.
    """
    if n_controls < 1:
        raise ValueError(f"A readout needs n_controls of at least 1, got {n_controls}.")
    places = snapshot.once(Places)
    if places.n_rows < 2:
        raise ValueError(
            f"A readout needs rows to fit and rows to ask, got {places.n_rows}. Use a larger n_test."
        )
    hooks = list(places.stream)
    streams = torch.stack([places.stream[hook] for hook in hooks]).to(snapshot.double)
    n_pos = streams.shape[2]
    features = streams.transpose(1, 2).flatten(0, 1)
    labels = _labels(places.structure, places.rows, n_controls, seed).to(features)
    which, fitted, asked = _fitted_and_asked(places, seed)
    fitted, asked = fitted.to(features.device), asked.to(features.device)
    said = _read(features[:, fitted], labels[fitted], features[:, asked])
    is_right = (said > 0.5) == (labels[asked] > 0.5)
    accuracy = is_right.double().mean(1).view(len(hooks), n_pos, places.n_places - 1, 1 + n_controls).cpu()
    share = labels[asked].view(len(asked), places.n_places - 1, 1 + n_controls)[:, :, 0].mean(0).cpu()
    rows = []
    for i, hook in enumerate(hooks):
        _, layer, name = hook.split(".")
        for position in range(n_pos):
            for place in range(places.n_places - 1):
                found, control = (
                    accuracy[i, position, place, 0].item(),
                    accuracy[i, position, place, 1:].mean().item(),
                )
                rows.append(
                    {
                        "layer": int(layer), "stream": name.removeprefix("hook_resid_"), "position": position,
                        "digit": place + 1, "is_question": int(places.columns[place + 1]) == position,
                        "asked": which, "n_fitted": len(fitted), "n_asked": len(asked),
                        "accuracy": found, "majority": max(share[place].item(), 1 - share[place].item()),
                        "control": control, "selectivity": found - control,
                    }
                )  # fmt: skip
    return pd.DataFrame(rows)


def _fitted_and_asked(places: Places, seed: int) -> tuple[str, Int[Tensor, " row"], Int[Tensor, " other"]]:
    """Which rows are asked about; those of `places.rows` that are fitted, and those that are asked about."""
    if places.is_train is not None:
        is_train = places.is_train[places.rows]
        if min(is_train.sum(), (~is_train).sum()) >= 2:
            return "test", is_train.nonzero().squeeze(1), (~is_train).nonzero().squeeze(1)
    order = torch.from_numpy(np.random.default_rng([seed, 1]).permutation(places.n_rows))
    return "half", order[: len(order) // 2], order[len(order) // 2 :]


def _labels(
    structure: Digits, rows: Int[Tensor, " row"], n_controls: int, seed: int
) -> Float[Tensor, "row label"]:
    """For each carry its truth, then the controls': as many 1 among the pairs as there are carries among the rows."""
    draws, base = np.random.default_rng([seed, 2]), structure.base
    labels = []
    for place in range(1, structure.carry.shape[1]):
        carry = structure.carry[rows, place].double()
        a, b = structure.operands[rows, :, place - 1].unbind(1)
        # Only pairs that occur: of a large base there are too many others.
        pairs, which = (a * base + b).unique(return_inverse=True)
        drawn = draws.random((len(pairs), n_controls)) < carry.mean().item()
        labels += [carry[:, None], torch.from_numpy(drawn).double()[which]]
    return torch.cat(labels, 1)


def _read(
    features: Float[Tensor, "place row d_model"],
    labels: Float[Tensor, "row label"],
    asked: Float[Tensor, "place other d_model"],
) -> Float[Tensor, "place other label"]:
    """What ridge regressions with an intercept say of other rows."""
    middle, mean = features.mean(1, keepdim=True), labels.mean(0)
    x = features - middle
    gram = x.mT @ x
    size = gram.diagonal(dim1=-2, dim2=-1).mean(-1)
    # A position that holds the same in all rows says the mean.
    ridge = (RIDGE * size + torch.finfo(x.dtype).tiny).clamp(min=1e-12)
    damped = gram + ridge[:, None, None] * torch.eye(x.shape[-1]).to(x)
    weights = torch.linalg.solve(damped, x.mT @ (labels - mean))
    return (asked - middle) @ weights + mean
