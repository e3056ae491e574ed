"""Pictures of the weights along training: norms, ranks, how far they move and how fast."""

from interp.figures import (
    direction_curves,
    matrix_lines,
    norm_curves,
    rank_curves,
    speed_curve,
    style,
    total_norm_curve,
)
from interp.figures.norms import speed
from interp.ground.plain_text import listed
from interp.tables.folder import Tables
from interp.views.pictures.captions import at_end, grokking_said, number
from interp.views.pictures.panels import along, panel
from interp.views.pictures.picture import Picture


def _lines(tables: Tables) -> dict:
    from interp.analyses.weight_norms import shown_weights

    return matrix_lines(shown_weights(tables["weight_norms"]))


def _draw_norms(tables: Tables, ax) -> None:
    norm_curves(tables["weight_norms"], ax, lines=_lines(tables))
    ax.legend(fontsize=style.SMALL, ncols=2)


def _draw_ranks(tables: Tables, ax) -> None:
    rank_curves(tables["weight_spectra"], ax, lines=_lines(tables))
    ax.legend(fontsize=style.SMALL, ncols=2)


def _total_said(tables: Tables) -> str:
    total = tables["weight_norms"].query("matrix == 'total'").set_index("step")["sum_of_squares"]
    largest = total.idxmax()
    return (
        f"{number(float(total.iloc[0]))} at step {total.index[0]}, at most {number(float(total[largest]))} (step "
        f"{largest}), {number(float(total.iloc[-1]))} at step {total.index[-1]}"
    )


def _norms_said(tables: Tables) -> str:
    n = tables["weight_norms"]["matrix"].nunique() - 1
    shown = len(_lines(tables))
    left_out = f"; {n - shown} that never hold 1 % are left out" if n > shown else ""
    return (
        f"Sum of squares of each weight matrix and of all (black), log scale; all: {_total_said(tables)}{left_out}. "
        f"{grokking_said(tables)}"
    )


def _ranks_said(tables: Tables) -> str:
    last = at_end(tables["weight_spectra"])
    lines = _lines(tables)
    ranks = listed(
        f"{row.matrix} {row.effective_rank:.0f} of {row.full_rank}"
        for row in last[last["matrix"].isin(lines)].itertuples()
    )
    return (
        "Effective rank (exponential of the entropy of the singular values) of each weight matrix, as a share of its "
        f"full rank; at step {last['step'].iloc[0]}: {ranks}. {grokking_said(tables)}"
    )


def _directions_said(tables: Tables) -> str:
    last = at_end(tables["weight_distances"].query("matrix == 'total'")).iloc[0]
    return (
        "Cosine of the angle between all weights and those of the first and of the last checkpoint, and (dashed) their "
        f"distance from each in units of its norm. From first to last: cosine {number(float(last['initial_cosine']))}, "
        f"distance {number(float(last['initial_relative_change']))}. {grokking_said(tables)}"
    )


def _speed_said(tables: Tables) -> str:
    rate = speed(tables["weight_distances"], tables["weight_norms"])
    ends = listed(
        f"{number(float(rate.iloc[i]))} at step {rate.index[i]}" for i in ((0, -1) if len(rate) else ())
    )
    return (
        "Distance between neighbouring checkpoints per training step, over the norm of the weights; back and forth "
        f"between checkpoints is not seen. Per step: {ends}. {grokking_said(tables)}"
    )


PICTURES = {
    "norm_curves": Picture(
        shows="sum of squares of each weight and of all, along training",
        compute=along("weight_norms"),
        draw=panel(_draw_norms, steps_of="weight_norms"),
        caption=_norms_said,
        needs=("weight_norms",),
    ),
    "total_norm_curve": Picture(
        shows="sum of squares of all weights, along training",
        compute=along("weight_norms"),
        draw=panel(lambda tables, ax: total_norm_curve(tables["weight_norms"], ax), steps_of="weight_norms"),
        caption=lambda tables: (
            f"Sum of squares of all weights: {_total_said(tables)}. {grokking_said(tables)}"
        ),
        needs=("weight_norms",),
    ),
    "rank_curves": Picture(
        shows="effective rank of each weight as a share of its full rank, along training",
        compute=along("weight_norms", "weight_spectra"),
        draw=panel(_draw_ranks, steps_of="weight_norms"),
        caption=_ranks_said,
        needs=("weight_spectra",),
    ),
    "direction_curves": Picture(
        shows="angle and distance between the weights and those of the first and last checkpoint",
        compute=along("weight_distances"),
        draw=panel(
            lambda tables, ax: direction_curves(tables["weight_distances"], ax), steps_of="weight_distances"
        ),
        caption=_directions_said,
        needs=("weight_distances",),
    ),
    "speed_curve": Picture(
        shows="how fast the weights move, along training",
        compute=along("weight_distances", "weight_norms"),
        draw=panel(
            lambda tables, ax: speed_curve(tables["weight_distances"], tables["weight_norms"], ax),
            steps_of="weight_norms",
        ),
        caption=_speed_said,
        needs=("weight_distances",),
    ),
}
