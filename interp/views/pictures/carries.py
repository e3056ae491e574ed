"""Pictures of answers written in digits: each digit along training, and where the carry is."""

from interp.figures import digit_curves, patching_curves, readout_curves
from interp.ground.plain_text import listed
from interp.tables.brackets_said import bracket_text
from interp.tables.digit_order import LEAST_QUESTIONS, carry_transitions, digit_transitions, judged, parts
from interp.tables.folder import Tables
from interp.views.pictures.captions import at_end, grokking_said
from interp.views.pictures.panels import along, panel
from interp.views.pictures.picture import Picture


def _digits_said(tables: Tables) -> str:
    table = tables["digit_losses"]
    last = parts(at_end(judged(table)), "digit")
    came = digit_transitions(table)
    values = listed(
        f"{part['accuracy'].iloc[0]:.3f} on digit {name} (0.95 for good: {bracket_text(came[name])})"
        for name, part in last.items()
    )
    carries = carry_transitions(table)
    kinds = listed(f"{name} {bracket_text(found)}" for name, found in carries.items())
    return (
        "Accuracy of each digit of the answer, 0 the lowest, along training. At step "
        f"{at_end(table)['step'].iloc[0]}: {values}. By the carry into the digit, 0.95 for good by kinds of at least "
        f"{LEAST_QUESTIONS} questions: {kinds}. {grokking_said(tables)}"
    )


def _readout_said(tables: Tables) -> str:
    last = at_end(tables["carry_readout"])
    rows = last[last["is_question"].astype(bool)]
    means = rows.groupby(["layer", "stream"], sort=False)[["accuracy", "control", "majority"]].mean()
    values = listed(
        f"{row['accuracy']:.3f} in L{layer} {stream} (control {row['control']:.3f})"
        for (layer, stream), row in means.iterrows()
    )
    return (
        "Share of rows whose carry a ridge regression on the residual stream at the question reads right, on rows that "
        "it was not fitted to, mean over digits, along training; dotted: random labels of the pairs of digits just "
        f"below; grey: the more frequent answer. At step {last['step'].iloc[0]}: {values}; more frequent "
        f"{means['majority'].mean():.3f}. {grokking_said(tables)}"
    )


def _patching_said(tables: Tables) -> str:
    last = at_end(tables["carry_patching"])
    rows = last[~last["site"].str.startswith("resid")]
    means = rows.groupby(["layer", "site"], sort=False)[["moved", "null"]].mean()
    values = listed(f"{row['moved']:.2f} by L{layer} {site}" for (layer, site), row in means.iterrows())
    return (
        "Share of answers that move by a carry when one activation at the question comes from a row with another "
        "carry and the same digits from the asked one upwards, mean over digits, along training; dotted: the most that "
        f"donors with the same carry move. At step {last['step'].iloc[0]}: {values}; same carry at most "
        f"{means['null'].max():.2f}. {grokking_said(tables)}"
    )


PICTURES = {
    "digit_curves": Picture(
        shows="accuracy of each digit of the answer, along training",
        compute=along("digit_losses", "losses"),
        draw=panel(
            lambda tables, ax: digit_curves(tables["digit_losses"], ax), steps_of="digit_losses", scale="log"
        ),
        caption=_digits_said,
        needs=("digit_losses",),
    ),
    "readout_curves": Picture(
        shows="how well the residual stream's carry can be read, along training",
        compute=along("carry_readout", "losses"),
        draw=panel(
            lambda tables, ax: readout_curves(tables["carry_readout"], ax),
            steps_of="carry_readout",
            scale="log",
        ),
        caption=_readout_said,
        needs=("carry_readout",),
    ),
    "patching_curves": Picture(
        shows="how often a patched activation moves the answer by a carry, along training",
        compute=along("carry_patching", "losses"),
        draw=panel(
            lambda tables, ax: patching_curves(tables["carry_patching"], ax),
            steps_of="carry_patching",
            scale="log",
        ),
        caption=_patching_said,
        needs=("carry_patching",),
    ),
}
