"""Pictures of few neurons against many: how many decide, what the deciding ones weigh, and which features are read."""

from interp.figures import coordinate_curves, effective_sparsity_curves, subnetwork_curves
from interp.tables.folder import Tables
from interp.views.pictures.captions import at_end, grokking_said, number
from interp.views.pictures.panels import along, panel
from interp.views.pictures.picture import Picture


def _sparsity_said(tables: Tables) -> str:
    last = at_end(tables["effective_sparsity"])
    sizes = last.set_index("rule")["n_neurons"]
    return (
        "The least number of neurons of largest norm that answer train rows as all do, every row or 99 % of them; at "
        f"step {last['step'].iloc[0]}, {sizes['every row']} and {sizes['99 %']} of {last['n_width'].iloc[0]}. A single "
        f"row decides the first. {grokking_said(tables)}"
    )


def _subnetworks_said(tables: Tables) -> str:
    last = at_end(tables["subnetworks"]).set_index("subnetwork")
    return (
        f"Mean norm of the {last.loc['chosen', 'n_neurons']} neurons that answer every train row at the last "
        "checkpoint, of all others, and (dotted) of 20 random sets of as many; at step "
        f"{last['step'].iloc[0]}: {number(float(last.loc['chosen', 'mean_norm']))} against "
        f"{number(float(last.loc['others', 'mean_norm']))}. They were chosen for being large there. "
        f"{grokking_said(tables)}"
    )


def _coordinates_said(tables: Tables) -> str:
    last = at_end(tables["feature_coordinates"]).iloc[0]
    return (
        "Share of the first layer's squared weights that lies on the features which count, and (dashed) that neurons "
        f"hold with more than half of theirs there; at step {last['step']}: {number(float(last['share']))} and "
        f"{number(float(last['readers_share']))}, by chance {number(float(last['null']))}. {grokking_said(tables)}"
    )


PICTURES = {
    "effective_sparsity_curves": Picture(
        shows="the least number of neurons that answer as all do, along training",
        compute=along("effective_sparsity", "losses"),
        draw=panel(
            lambda tables, ax: effective_sparsity_curves(tables["effective_sparsity"], ax),
            steps_of="effective_sparsity",
        ),
        caption=_sparsity_said,
        needs=("effective_sparsity",),
    ),
    "subnetwork_curves": Picture(
        shows="mean norm of the neurons that decide at the end, of all others and of random ones, along training",
        compute=along("subnetworks", "losses"),
        draw=panel(lambda tables, ax: subnetwork_curves(tables["subnetworks"], ax), steps_of="subnetworks"),
        caption=_subnetworks_said,
        needs=("subnetworks",),
    ),
    "coordinate_curves": Picture(
        shows="share of the first layer's power on the features that count, along training",
        compute=along("feature_coordinates", "losses"),
        draw=panel(
            lambda tables, ax: coordinate_curves(tables["feature_coordinates"], ax),
            steps_of="feature_coordinates",
        ),
        caption=_coordinates_said,
        needs=("feature_coordinates",),
    ),
}
