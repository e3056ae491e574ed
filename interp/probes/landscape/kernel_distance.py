"""How far the network's kernels have turned since the initialization: lazy or rich."""

import pandas as pd
import torch
from jaxtyping import Float, Int
from torch import Tensor

from interp.networks.answers import answer_logits
from interp.networks.config import ModelConfig, Weights
from interp.snapshots.snapshot import NotApplicable, Snapshot
from interp.tasks.task import Questions

VERSION = 1
DEPENDS_ON_RUN = True  # reads the first and the last checkpoint


def kernel_distance(snapshot: Snapshot, *, n_examples: int = 200, seed: int = 0) -> pd.DataFrame:
    """Centred kernel alignment of a checkpoint with the first, with the last and with the labels, a row a kernel.

    In the lazy regime the tangent kernel stays what it was and the network stays its own linearization at the
    initialization; `linearization_error` asks the second directly and does not lean on kernel theory, which Adam does
    not obey. The sample and its labels are the same at every checkpoint. Of a correct-answer tangent kernel the
    alignment with labels is above 0 in any network, since examples of one label share a column of W_U: read the
    features' alignment, or the change.

    Args:
        n_examples: examples in the sample, half of them train rows (fewer where the task has fewer).
        seed: of the sample.

    Columns:
        kernel: "tangent" (NTK of the logit of each example's label: inner products of its gradients in all weights) or
            "features" (inner products of the last MLP layer's neurons; left out without MLP).
        initial_distance, final_distance: 1 - CKA with the same kernel at the run's first and last saved checkpoint, in
            [0, 1]; 0 is equal up to a factor and to what is common to all examples.
        label_alignment: CKA with the kernel that is 1 for equal labels and 0 otherwise, in [0, 1].
        linearization_error: in the row "tangent" only: |f - f_lin| / |f - f_first| over the sample's logits, centred
            over the answers, where f_lin is linear in the weights at the first checkpoint. 0 is lazy; 1 and more: the
            linearization tells nothing of how the logits have changed. NaN at the first checkpoint.

    Raises:
        NotApplicable: if the snapshot does not belong to a run, or the run has no task.
        ValueError: if n_examples is smaller than 2.

    References: Jacot et al. 2018 (tangent kernel); Fort et al. 2020, "Deep learning versus kernel learning" (kernel
    distance; theirs is not centred); Kornblith et al. 2019 (CKA); Kumar et al. 2024, "Grokking as the transition from
    lazy to rich training dynamics", section 5 (kernel alignment with labels).
    """
    run = snapshot.run
    if run is None:
        raise NotApplicable(
            "Kernel distances need a run to compare checkpoints of; this snapshot was made by hand. Use "
            "Snapshot.of(run, step)."
        )
    rows = sample_rows(snapshot, n_examples, seed)
    questions = snapshot.known_task.questions.to(snapshot.device).of(rows)
    labels = questions.labels
    config, weights = snapshot.config, snapshot.weights
    first, last = (
        {name: w.to(snapshot.device) for name, w in run.step_weights(run.steps[i]).items()} for i in (0, -1)
    )
    same_label = (labels[:, None] == labels[None, :]).to(snapshot.double)
    kernels = {"tangent": [tangent_kernel(config, w, questions) for w in (weights, first, last)]}
    if config.d_mlp:
        ends = [Snapshot(step, w, snapshot.network, snapshot.task) for step, w in ((0, first), (0, last))]
        features = [s.neurons[rows].to(s.double) for s in (snapshot, *ends)]
        kernels["features"] = [x @ x.T for x in features]
    table = pd.DataFrame(
        {
            "kernel": name,
            "initial_distance": 1 - centred_alignment(now, at_first),
            "final_distance": 1 - centred_alignment(now, at_last),
            "label_alignment": centred_alignment(now, same_label),
        }
        for name, (now, at_first, at_last) in kernels.items()
    )
    table["linearization_error"] = float("nan")
    error = linearization_error(config, weights, first, questions)
    table.loc[table["kernel"] == "tangent", "linearization_error"] = error
    return table


def sample_rows(snapshot: Snapshot, n_examples: int, seed: int) -> Int[Tensor, " example"]:
    """Rows of the task, half of them train as far as they last, ascending; of an unknown split any rows.

    Raises:
        ValueError: if n_examples is smaller than 2.
    """
    if n_examples < 2:
        raise ValueError(f"A kernel needs a sample of at least 2 examples, got n_examples={n_examples}.")
    generator = torch.Generator().manual_seed(seed)
    task = snapshot.known_task
    if task.is_train is None:
        halves = [(torch.ones(task.n_examples, dtype=torch.bool), n_examples)]
    else:
        halves = [(task.is_train, n_examples - n_examples // 2), (~task.is_train, n_examples // 2)]
    parts = []
    for mask, n in halves:
        rows = mask.nonzero().squeeze(1)
        parts.append(rows[torch.randperm(len(rows), generator=generator)[:n]])
    return torch.cat(parts).sort().values.to(snapshot.device)


def tangent_kernel(
    config: ModelConfig, weights: Weights, questions: Questions
) -> Float[Tensor, "question question"]:
    """NTK of the labels' logits: K[i, j] = sum over weights of d f_i / dw * d f_j / dw, f_i the logit of label i."""
    live = {name: w.detach().requires_grad_() for name, w in weights.items()}
    jacobian = []
    for i, label in enumerate(questions.labels.tolist()):
        # One question at a time: its forward pass is small, and n backward passes through all examples are not.
        logit = answer_logits(config, questions.only(i))(live)[0, label]
        parts = torch.autograd.grad(logit, list(live.values()), materialize_grads=True)
        jacobian.append(torch.cat([g.reshape(-1) for g in parts]))
    stacked = torch.stack(jacobian)
    return (stacked @ stacked.T).to(torch.float32 if stacked.device.type == "mps" else torch.float64)


def centred_alignment(
    first: Float[Tensor, "example example"], second: Float[Tensor, "example example"]
) -> float:
    """CKA: cosine between two kernels after removing the mean of rows and columns; NaN where one has nothing left.

    >>> x = torch.tensor([[0.0], [1.0], [3.0]], dtype=torch.float64)
    >>> round(centred_alignment(x @ x.T, 5 * (x + 7) @ (x + 7).T), 12)
    1.0
    """

    def centre(k: Tensor) -> Tensor:
        return k - k.mean(0, keepdim=True) - k.mean(1, keepdim=True) + k.mean()

    a, b = centre(first), centre(second)
    # Rounding of a kernel that is constant leaves dust, which has a direction but no meaning.
    if a.norm() <= 1e-6 * first.norm() or b.norm() <= 1e-6 * second.norm():
        return float("nan")
    return ((a * b).sum() / (a.norm() * b.norm())).item()


def linearization_error(
    config: ModelConfig, weights: Weights, origin: Weights, questions: Questions
) -> float:
    """|f(w) - f(origin) - J(origin)(w - origin)| / |f(w) - f(origin)| over logits centred over the answers."""
    logits = answer_logits(config, questions)
    first = {name: w.double() if w.device.type != "mps" else w for name, w in origin.items()}
    now = {name: weights[name].to(w.dtype) for name, w in first.items()}
    change = {name: now[name] - w for name, w in first.items()}
    with torch.no_grad():
        start, slope = torch.func.jvp(logits, (first,), (change,))  # type: ignore[misc]
        moved = logits(now) - start
    moved, slope = (x - x.mean(-1, keepdim=True) for x in (moved, slope))
    return ((moved - slope).norm() / moved.norm()).item()
