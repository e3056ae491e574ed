"""Pictures of the loss landscape and the kernels: slow probes, at about nine checkpoints that `geometry` chooses."""

from collections.abc import Callable
from typing import Any

import pandas as pd

from interp.figures import (
    coefficient_curve,
    complexity_curves,
    feature_kernel_curves,
    gradient_curves,
    noise_curve,
    sharpness_curves,
    size_curves,
    tangent_kernel_curves,
)
from interp.figures.geometry import rows_where
from interp.ground.plain_text import listed
from interp.tables.folder import Tables
from interp.views.pictures.captions import at_end, grokking_said, number
from interp.views.pictures.panels import panel
from interp.views.pictures.picture import Picture


def _chosen(probe: str) -> Callable[..., Tables]:
    def compute(run, device: str) -> Tables:
        from interp.analyses.geometry import chosen_steps
        from interp.measurement.measure import measure

        return measure(run, [probe], chosen_steps(run, run.history()), device=device)

    return compute


def _values(table: pd.DataFrame, **named: str) -> str:
    """Columns of the last checkpoint, under their names."""
    last = at_end(table).iloc[0]
    known = [(words, last[column]) for column, words in named.items() if pd.notna(last[column])]
    return f"At step {last['step']:.0f}: " + listed(f"{words} {number(float(x))}" for words, x in known) + "."


def _picture(
    shows: str, probe: str, draw: Callable[..., Any], said: Callable[[pd.DataFrame], str]
) -> Picture:
    def draw_on(tables: Tables, ax) -> None:
        draw(tables[probe], ax)

    return Picture(
        shows=shows,
        compute=_chosen(probe),
        draw=panel(draw_on, steps_of=probe, scale="log"),
        caption=lambda tables: f"{said(tables[probe])} {grokking_said(tables)}",
        needs=(probe,),
    )


def _sharpness(table: pd.DataFrame) -> str:
    return (
        "Largest eigenvalue of the Hessian of the train loss (nats per squared unit of weight), and over the loss. "
        f"{_values(table, eigenvalue='eigenvalue', per_loss='over the loss')}"
    )


def _noise(table: pd.DataFrame) -> str:
    total = rows_where(table, matrix="total")
    return (
        "Gradient noise scale of all weights, in examples: the batch size at which noise and gradient are alike. "
        f"{_values(total, noise_scale='noise scale')}"
    )


def _gradients(table: pd.DataFrame) -> str:
    columns = {
        "alignment": "train and test gradient",
        "weight_cosine": "minus gradient and weights",
        "collapsed_fraction": "collapsed share",
    }
    return (
        "Cosine between the gradients of train and test loss, and between minus the gradient and the weights; share of "
        f"train rows whose softmax collapses in float32. {_values(rows_where(table, matrix='total'), **columns)}"
    )


def _kernel(table: pd.DataFrame, kernel: str, what: str, **third: str) -> str:
    rows = rows_where(table, kernel=kernel)
    columns = {"initial_distance": "from the first", "final_distance": "to the last", **third}
    return (
        f"Distance (1 - CKA) of the {what} from that of the first and to that of the last checkpoint, and "
        f"{listed(third.values())}. {_values(rows, **columns)}"
    )


def _complexity(table: pd.DataFrame) -> str:
    rows = at_end(rows_where(table, radius="relative"))
    values = listed(f"{number(float(row.mean))} around {row.split} rows" for row in rows.itertuples())
    return (
        "Neurons that switch within a ball around inputs, of 0.5 % of the norm of the MLP's input: mean number, by "
        f"split. At step {rows['step'].iloc[0]}: {values}."
    )


def _sizes(table: pd.DataFrame) -> str:
    last = at_end(table)
    values = listed(
        f"{number(float(row.bits))} at +{row.tolerance:g} {'nats' if row.criterion == 'absolute' else 'of the loss'}"
        for row in last.itertuples()
    )
    return (
        "Bits of the compressed weights, at each rise of the train loss that is allowed. At step "
        f"{last['step'].iloc[0]}: {values}."
    )


def _coefficients(table: pd.DataFrame) -> str:
    from interp.analyses.geometry import coefficients

    means = coefficients({"learning_coefficient": table})
    n_doubtful = int((~(means["r_hat"] <= 1.1)).sum())
    return (
        f"Local learning coefficient, mean and standard deviation over {means['n_chains'].max()} chains; hollow where "
        f"split R-hat exceeds 1.1 ({n_doubtful} of {len(means)}). {_values(means, llc='mean', sd='sd', r_hat='R-hat')}"
    )


def _draw_coefficients(table: pd.DataFrame, ax) -> None:
    from interp.analyses.geometry import coefficients

    coefficient_curve(coefficients({"learning_coefficient": table}), ax)


PICTURES = {
    "sharpness_curves": _picture(
        "largest Hessian eigenvalue of the train loss", "sharpness", sharpness_curves, _sharpness
    ),
    "noise_curve": _picture("gradient noise scale", "gradient_statistics", noise_curve, _noise),
    "gradient_curves": _picture(
        "cosines of train gradient, test gradient and weights",
        "gradient_statistics",
        gradient_curves,
        _gradients,
    ),
    "tangent_kernel_curves": _picture(
        "how far the tangent kernel moves",
        "kernel_distance",
        tangent_kernel_curves,
        lambda table: _kernel(
            table, "tangent", "tangent kernel", linearization_error="error of the linearization at the first"
        ),
    ),
    "feature_kernel_curves": _picture(
        "how far the features move",
        "kernel_distance",
        feature_kernel_curves,
        lambda table: _kernel(table, "features", "features", label_alignment="CKA with the labels"),
    ),
    "complexity_curves": _picture(
        "neurons that switch around train and test rows", "local_complexity", complexity_curves, _complexity
    ),
    "size_curves": _picture("bits of the compressed weights", "compressibility", size_curves, _sizes),
    "coefficient_curve": _picture(
        "local learning coefficient", "learning_coefficient", _draw_coefficients, _coefficients
    ),
}
