"""Progress measures: how well the key frequencies alone answer, and how badly the network does without them.

The part of the logits that the measures keep or remove is a function of the sum s = a+b and the answer c alone: a
table (s, c) for each frequency. So the restricted logits are no larger than a table, and removing a table T from the
logits of a row multiplies their exponentials by exp(-T[s]): with the exponentials of the train rows made once, the
losses without each of many sets of frequencies are one matrix product for each s. Nothing is approximated.
"""

import math
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float, Int
from torch import Tensor

from interp.ground.thresholds import stands_out
from interp.mathematics import fourier
from interp.probes.answers.losses import splits
from interp.probes.fourier.logit_spectrum import logit_spectrum
from interp.snapshots.residues import Residues
from interp.snapshots.snapshot import Snapshot

VERSION = 2


def progress_measures(
    snapshot: Snapshot, *, frequencies: Sequence[int] | None = None, n_random: int = 20, seed: int = 0
) -> pd.DataFrame:
    """Restricted, excluded and trig loss for the key set of the run, that of this checkpoint, and random sets.

    A key set chosen from the end of the run makes early progress partly a matter of selection: compare it with the
    random sets, and with the causal set, which knows this checkpoint only. Losses of different runs do not compare:
    the excluded loss grows with the scale of the logits.

    All are against what the operation says; corrupted rows are in `all` but not in `train`. In float64.

    Args:
        frequencies: the key set of the run (`run_key_frequencies`), the same for all checkpoints; None for none.
        n_random: random sets, drawn without the key frequencies and as many as they are (as many as the causal ones
            where there is no key set). One key set has the same random sets at every checkpoint. None where fewer
            frequencies remain.
        seed: of the random sets.

    Columns:
        measure: "restricted_loss" (only the dependence on a+b at these frequencies, plus the mean logit of each
            answer over all inputs), "excluded_loss" (the logits without it, nothing added), "trig_loss" (only the
            fit sum_k alpha_k cos(w_k(a+b-c)), nothing added), "trig_excluded_loss" (the logits without that fit).
        selection: "key" (`frequencies`), "causal" (those that stand out of this checkpoint's logits; may be none),
            "random" (mean over the random sets), "single" (`frequency` alone, excluded loss only).
        frequency: k for "single", 0 elsewhere.
        n_frequencies: size of the set.
        split: "train", "test", "all"; excluded losses are of train rows only, and absent without a known split.
        loss: mean cross-entropy, nats; ln p is chance.
        loss_min, loss_max: over the random sets; NaN elsewhere.
        accuracy: of the same logits; NaN for excluded losses. Read it beside that of the random sets, and by split: the
            answers of memorized train rows vote for the answers of all rows of their sum, so that the restricted
            accuracy of a network that answers no test row can be near 1, and any set of positive coefficients of the
            trig fit answers well, those of an untrained network too.
        accuracy_min, accuracy_max: over the random sets; NaN elsewhere.

    Raises:
        NotApplicable: if the task has no algebra.
        ValueError: if a frequency lies outside 1 .. n//2.

    References: Nanda et al. 2023, section 5.1 and their published code (two input directions a frequency, bias
    correction in the restricted loss and none in the excluded loss).
    """
    logits, by_sum = _logits(snapshot)
    n = logits.shape[0]
    spectrum = snapshot.once(logit_spectrum)
    is_causal = stands_out(spectrum["fraction_explained"], spectrum["null"]).to_numpy()
    selections, chosen = _sets(n, is_causal, frequencies, n_random, seed)
    masks = torch.from_numpy(chosen).to(logits)
    coefficients = torch.tensor(spectrum["coefficient"].to_numpy()).to(logits)

    parts = _frequency_tables(by_sum)
    kept = (masks @ parts.flatten(1)).view(-1, *by_sum.shape)
    names = [name for name in selections if name != "random"]
    fits = _clock_tables(masks * coefficients, n, n_columns=by_sum.shape[1])
    fitted = fits[: len(names)]
    sizes = chosen.sum(1).tolist()

    tabulate = snapshot.once(Residues).table
    in_split = {name: tabulate(rows) for name, rows in splits(snapshot).items() if name != "corrupted"}
    table = [
        *_rows("restricted_loss", selections, sizes, _table_losses(kept + by_sum.mean(0), in_split)),
        *_rows("trig_loss", selections, sizes, _table_losses(fits, in_split)),
    ]
    if "train" in in_split:
        rows, sums = logits[in_split["train"]], fourier.sum_table(n, logits.device)[in_split["train"]]
        without = losses_without(rows, sums, torch.cat([kept, fitted, parts])).mean(1)
        full, trig, single = without.split([len(kept), len(fitted), len(parts)])
        table += [
            *_rows("excluded_loss", selections, sizes, {"train": (full, None)}),
            *_rows("trig_excluded_loss", names, sizes, {"train": (trig, None)}),
        ]
        for k, loss in enumerate(single.tolist(), start=1):
            table.append(_row("excluded_loss", "single", 1, "train", [loss], None, frequency=k))
    return pd.DataFrame(table)


def _logits(snapshot: Snapshot) -> tuple[Float[Tensor, "n n p"], Float[Tensor, "n p"]]:
    """Logits over group elements less their mean over the answers, which no loss sees; and their mean over sums.

    Answers without a name (0 in a multiplicative group) are the last columns, and no part of the mean.
    """
    residues = snapshot.once(Residues)
    cube, by_sum, logits = residues.centred_cube, residues.logit_lines.sums, residues.logits
    if cube.shape[2] == logits.shape[1]:
        return cube, by_sum
    is_named = torch.zeros(logits.shape[1], dtype=torch.bool, device=cube.device)
    is_named[residues.answer_order] = True
    unnamed = residues.table(logits)[..., ~is_named].to(cube) - residues.logit_cube.mean(-1, keepdim=True)
    return torch.cat([cube, unnamed], -1), torch.cat([by_sum, fourier.mean_over_sum(unnamed)], -1)


def _sets(
    n: int, is_causal: np.ndarray, frequencies: Sequence[int] | None, n_random: int, seed: int
) -> tuple[list[str], np.ndarray]:
    """What selected each set ("key" if given, "causal", then "random"), and masks (set, frequency 1 .. n//2)."""
    sets = {"causal": is_causal}
    if frequencies is not None:
        key = np.zeros_like(is_causal)
        key[[k - 1 for k in fourier.check_frequencies(frequencies, n)]] = True
        sets = {"key": key, **sets}
    reference = next(iter(sets.values()))
    others, size = np.flatnonzero(~reference), int(reference.sum())
    drawn = np.zeros((n_random if 0 < size <= len(others) else 0, len(is_causal)), dtype=bool)
    draws = np.random.default_rng(seed)
    for mask in drawn:
        mask[draws.choice(others, size=size, replace=False)] = True
    return [*sets, *["random"] * len(drawn)], np.stack([*sets.values(), *drawn])


def _frequency_tables(by_sum: Float[Tensor, "n p"]) -> Float[Tensor, "frequency n p"]:
    """The part of by_sum at each frequency of s, as a table (s, c); they sum to by_sum minus its mean."""
    n = by_sum.shape[0]
    basis = fourier.fourier_basis(n, by_sum.dtype).to(by_sum.device)
    n_pairs = (n - 1) // 2
    pairs = basis[1 : 2 * n_pairs + 1].view(n_pairs, 2, n)
    parts = pairs.transpose(1, 2) @ (pairs @ by_sum)
    if n % 2:
        return parts
    alternating = basis[-1:]
    return torch.cat([parts, (alternating.T @ (alternating @ by_sum))[None]])


def _clock_tables(
    coefficients: Float[Tensor, "set frequency"], n: int, n_columns: int
) -> Float[Tensor, "set n p"]:
    """sum_k coefficient_k c_k with c_k the unit-norm cube cos(w_k(s-c)), as tables (s, c); 0 for unnamed answers."""
    t = torch.arange(n, device=coefficients.device)
    k = torch.arange(1, fourier.n_frequencies(n) + 1, device=coefficients.device)
    waves = torch.cos(2 * torch.pi * ((k[:, None] * t) % n).to(coefficients) / n)
    by_shift = coefficients @ (waves / (waves.norm(dim=1, keepdim=True) * n))
    tables = by_shift[:, (t[:, None] - t[None, :]) % n]
    return torch.nn.functional.pad(tables, (0, n_columns - n))


def _table_losses(
    tables: Float[Tensor, "set n p"], in_split: Mapping[str, Tensor]
) -> dict[str, tuple[Tensor, Tensor]]:
    """Loss and accuracy of logits that depend on the sum alone, by split: a weighted mean over sums."""
    n = tables.shape[1]
    s = torch.arange(n, device=tables.device)
    loss = -tables.log_softmax(-1)[:, s, s]
    is_right = (tables.argmax(-1) == s).to(tables)
    found = {}
    for name, table in in_split.items():
        counts = torch.bincount(fourier.sum_table(n, tables.device)[table], minlength=n).to(tables)
        found[name] = (loss @ counts / counts.sum(), is_right @ counts / counts.sum())
    return found


def losses_without(
    rows: Float[Tensor, "row p"], sums: Int[Tensor, " row"], tables: Float[Tensor, "set n p"]
) -> Float[Tensor, "set row"]:
    """Loss of each row against answer `sums` after `tables[set, sum]` was taken from its logits.

    Exact: loss = log(1 + sum over c != s of exp(L[c] - L[s]) exp(T[s, s] - T[s, c])), a product of a part of the row
    and a part of the table. Where the exponentials could leave the range of the numbers the log-softmax is taken for
    each table instead.
    """
    n = tables.shape[1]
    relative = rows - rows.gather(1, sums[:, None])
    lift = tables.diagonal(dim1=1, dim2=2)[..., None] - tables
    # Both maxima are at least 0 (c = s). Within 0.8 of the range, what underflows is below exp(-140) of the answer.
    if not relative.max() + lift.max() < 0.8 * math.log(torch.finfo(rows.dtype).max):
        direct = [
            -(rows - table[sums]).log_softmax(1).gather(1, sums[:, None]).squeeze(1) for table in tables
        ]
        return torch.stack(direct)
    others = relative.exp().scatter_(1, sums[:, None], 0.0)
    factor = lift.exp()
    order = sums.argsort()
    blocks = others[order].split(torch.bincount(sums, minlength=n).tolist())
    total = torch.cat([factor[:, s] @ block.T for s, block in enumerate(blocks)], 1)
    return total.log1p().index_select(1, order.argsort())


def _rows(measure: str, selections: list[str], sizes: list[int], by_split: Mapping[str, tuple]) -> list[dict]:
    """A row for each split and selection; the random sets become one row."""
    table = []
    for split, (loss, accuracy) in by_split.items():
        for selection in dict.fromkeys(selections):
            sets = [i for i, name in enumerate(selections) if name == selection]
            right = None if accuracy is None else accuracy[sets].tolist()
            table.append(_row(measure, selection, sizes[sets[0]], split, loss[sets].tolist(), right))
    return table


def _row(
    measure: str,
    selection: str,
    size: int,
    split: str,
    loss: list[float],
    accuracy: list[float] | None,
    frequency: int = 0,
) -> dict:
    is_band = selection == "random"
    return {
        "measure": measure,
        "selection": selection,
        "frequency": frequency,
        "n_frequencies": size,
        "split": split,
        "loss": float(np.mean(loss)),
        "loss_min": min(loss) if is_band else math.nan,
        "loss_max": max(loss) if is_band else math.nan,
        "accuracy": math.nan if accuracy is None else float(np.mean(accuracy)),
        "accuracy_min": min(accuracy) if is_band and accuracy is not None else math.nan,
        "accuracy_max": max(accuracy) if is_band and accuracy is not None else math.nan,
    }
