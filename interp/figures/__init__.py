"""Tables in, matplotlib figures out: each function draws one table onto the axes it is given, and returns the axes.

    >>> from interp.figures import loss_curves, style                          # doctest: +SKIP
    >>> figure, axes = style.new_figure()                                      # doctest: +SKIP
    >>> ax = loss_curves({"history": run.history()}, axes[0, 0])               # doctest: +SKIP

Never torch, and pandas only as what it is handed: a style for one's own figure is there at once. Not on top of seaborn,
which loads scipy and would aggregate again what the tables hold; for one's own pictures it takes the same tables, and
the colours of `frequency_lines` and the others.
"""

from interp.figures import given_tables
from interp.figures.algorithm import (
    algorithm_curves,
    double_curves,
    formula_curves,
    irrelevance_curves,
)
from interp.figures.arms import effect_intervals, effect_legend, values_by_arm
from interp.figures.attention import (
    attention_map,
    movement_curves,
    periodicity_curves,
    qk_bars,
)
from interp.figures.branches import arm_lines, branch_curves
from interp.figures.carries import digit_curves, patching_curves, readout_curves
from interp.figures.circles import embedding_circles, logit_map, neuron_map, quality_curves
from interp.figures.colours import frequency_lines, head_lines, head_name
from interp.figures.crossings import (
    alignment_curves,
    language_curves,
    language_spectrum_bars,
    removal_bars,
    variance_points,
)
from interp.figures.double_descent import (
    beside_curves,
    descent_curves,
    descent_legend,
    epoch_curves,
    pattern_curves,
    slice_curves,
)
from interp.figures.forecasts import answer_shares, error_curves, forecast_points, skill_bars
from interp.figures.geometry import (
    coefficient_curve,
    complexity_curves,
    feature_kernel_curves,
    gradient_curves,
    noise_curve,
    sharpness_curves,
    size_curves,
    tangent_kernel_curves,
)
from interp.figures.in_context import ablation_curves, head_curves, part_curves
from interp.figures.losses import loss_curves
from interp.figures.measures import frequency_loss_points, progress_curves
from interp.figures.neurons import neuron_histogram
from interp.figures.norms import (
    direction_curves,
    matrix_lines,
    norm_curves,
    rank_curves,
    speed_curve,
    total_norm_curve,
)
from interp.figures.overlays import overlaid_curves
from interp.figures.phase_diagrams import (
    critical_brackets,
    delay_points,
    exponent_intervals,
    phase_cells,
    phase_patch_legend,
    survival_curves,
)
from interp.figures.phases import bracket_band, phase_bands, phase_legend, phase_patches
from interp.figures.quantities import quantity_curves
from interp.figures.representations import (
    concentration_curves,
    hidden_curves,
    representation_colours,
    share_curves,
    similarity_curves,
    single_loss_curves,
)
from interp.figures.scoreboard import verdict_grid, verdict_legend
from interp.figures.spectra import (
    component_map,
    emergence_bands,
    feature_curves,
    sparsity_curves,
    spectrum_map,
)
from interp.figures.subnetworks import coordinate_curves, effective_sparsity_curves, subnetwork_curves
from interp.figures.timeline import order_brackets
from interp.tables.brackets_said import bracket_text

for _name, _figure in list(globals().items()):
    # A figure is what draws on axes.
    if "ax" in getattr(_figure, "__annotations__", {}):
        globals()[_name] = given_tables.drawn_as_given(_figure)
del _name, _figure
