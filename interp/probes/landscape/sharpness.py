"""The largest curvature of the training loss."""

from collections.abc import Callable

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float
from scipy.sparse.linalg import ArpackNoConvergence, LinearOperator, eigsh
from torch import Tensor

from interp.probes.landscape.loss import as_vector, as_weights, mean_loss, questions_of
from interp.snapshots.snapshot import Snapshot

VERSION = 1


def sharpness(
    snapshot: Snapshot, *, tolerance: float = 1e-3, max_restarts: int = 50, seed: int = 0
) -> pd.DataFrame:
    """Largest eigenvalue of the Hessian of the train loss (cross-entropy alone, without weight decay).

    The curvature of cross-entropy vanishes with the loss itself, so that a fall after memorization says that the
    training rows are answered with confidence, not that the region is wide: read it beside `per_loss`. It also
    changes when weights are rescaled without changing the function. The weights are taken to float64.

    Args:
        tolerance: relative accuracy of the eigenvalue at which Lanczos stops.
        max_restarts: of Lanczos, about 20 Hessian-vector products each.
        seed: of the start vector.

    Columns:
        eigenvalue: largest (algebraically), nats per squared unit of weight.
        relative_residual: |Hv - eigenvalue v| / |eigenvalue| of the unit vector found. Some eigenvalue of H lies
            within that share of the one reported; that it is the largest, Lanczos makes likely and not certain.
        loss: mean train loss, nats.
        per_loss: eigenvalue / loss.
        n_products: Hessian-vector products.

    Raises:
        NotApplicable: if the run has no task.
        ValueError: if Lanczos does not converge.

    References: Cohen et al. 2021, "Gradient descent on neural networks typically occurs at the edge of stability"
    (sharpness); Lehoucq, Sorensen, Yang 1998, "ARPACK users' guide" (implicitly restarted Lanczos).
    """
    weights = {name: w.to(snapshot.double) for name, w in snapshot.weights.items()}
    loss = mean_loss(snapshot.config, questions_of(snapshot, "train"))
    found = largest_eigenvalue(
        lambda x: loss(as_weights(x, weights)),
        as_vector(weights),
        tolerance=tolerance,
        max_restarts=max_restarts,
        seed=seed,
    )
    found["per_loss"] = found["eigenvalue"] / found["loss"] if found["loss"] else float("nan")
    columns = ["eigenvalue", "relative_residual", "loss", "per_loss", "n_products"]
    return pd.DataFrame([found], columns=columns)


def largest_eigenvalue(
    loss: Callable[[Tensor], Tensor],
    point: Float[Tensor, " parameter"],
    *,
    tolerance: float,
    max_restarts: int,
    seed: int,
) -> dict[str, float]:
    """Largest eigenvalue of the Hessian of `loss` at `point`, with what `sharpness` says about it.

    Raises:
        ValueError: if Lanczos does not converge in `max_restarts`.
    """
    point = point.detach().requires_grad_()
    value = loss(point)
    (gradient,) = torch.autograd.grad(value, point, create_graph=True)
    n_products = 0

    def product(vector: np.ndarray) -> np.ndarray:
        nonlocal n_products
        n_products += 1
        v = torch.from_numpy(np.ascontiguousarray(vector).reshape(-1)).to(point)
        (hv,) = torch.autograd.grad(gradient @ v, point, retain_graph=True)
        return hv.double().cpu().numpy()

    start = np.random.default_rng(seed).standard_normal(len(point))
    if not gradient.requires_grad or not product(start).any():
        return {"eigenvalue": 0.0, "relative_residual": 0.0, "loss": value.item(), "n_products": n_products}
    operator = LinearOperator((len(point), len(point)), matvec=product, dtype=np.float64)
    try:
        values, vectors = eigsh(operator, k=1, which="LA", v0=start, tol=tolerance, maxiter=max_restarts)
    except ArpackNoConvergence as error:
        raise ValueError(
            f"The sharpness needs Lanczos to reach a tolerance of {tolerance:g}, it did not in {max_restarts} restarts "
            f"({n_products} Hessian-vector products). Raise tolerance or max_restarts."
        ) from error
    residual = np.linalg.norm(product(vectors[:, 0]) - values[0] * vectors[:, 0])
    return {
        "eigenvalue": float(values[0]),
        "relative_residual": float(residual / abs(values[0])) if values[0] else float(residual),
        "loss": value.item(),
        "n_products": n_products,
    }
