"""Pictures of the progress measures: what the network answers with its key frequencies alone, and without them."""

from interp.figures import frequency_loss_points, progress_curves
from interp.ground.plain_text import listed
from interp.tables.folder import Tables
from interp.tables.wording import set_name
from interp.views.pictures.captions import at_end, grokking_said, number
from interp.views.pictures.panels import computed_by, panel
from interp.views.pictures.picture import Picture


def _name(tables: Tables) -> str:
    chosen = tables["key_frequencies"]
    return set_name(bool(chosen["is_key"].any()), len(chosen))


def _draw(tables: Tables, ax) -> None:
    progress_curves(tables["progress_measures"], ax, key=_name(tables))


def _compute_left_out(run, device: str, step: int) -> Tables:
    tables = computed_by("progress_measures")(run, device)
    measures = tables["progress_measures"]
    at_step = measures[measures["step"] == step] if len(measures) else measures
    return {
        "losses": tables["losses"],
        "key_frequencies": tables["key_frequencies"],
        "progress_measures": at_step,
    }


def _draw_left_out(tables: Tables, ax) -> None:
    measures, losses = tables["progress_measures"], tables["losses"]
    own = losses[losses["step"].isin(measures["step"])] if len(measures) else losses
    frequency_loss_points(measures, own, tables["key_frequencies"], ax, key=_name(tables))


def _left_out_said(tables: Tables) -> str:
    rows, chosen = tables["progress_measures"], tables["key_frequencies"]
    single = rows[(rows["selection"] == "single") & (rows["split"] == "train")].set_index("frequency")["loss"]
    what = "the key frequencies" if chosen["is_key"].any() else "the frequencies that are followed"
    without = listed(
        f"{number(float(single[k]))} without k = {k}" for k in chosen["frequency"] if k in single
    )
    others = single.drop(chosen["frequency"], errors="ignore")
    rest = f"; at most {number(float(others.max()))} without any other" if len(others) else ""
    return (
        "Loss of the train pairs without each frequency alone, its part in a + b taken out of the logits (excluded "
        f"loss), in nats: {without}{rest}. Dashed: with all frequencies; dotted: with {what} alone (restricted loss). "
        f"After Nanda et al. 2023, figure 6. {_chosen_said(tables)}"
    )


def _chosen_said(tables: Tables) -> str:
    chosen = tables["key_frequencies"]
    kind = "Key frequencies" if chosen["is_key"].any() else "No frequency is key; those followed are"
    return f"{kind} {listed(chosen['frequency'])}, chosen by {chosen['chosen_by'].iloc[0]}."


def said_of_losses(table, what: str) -> str:
    """Excluded and restricted loss of the last checkpoint, with those of random sets."""
    last = at_end(table)
    values = []
    for measure, split in (("excluded_loss", "train"), ("restricted_loss", "all")):
        rows = last[(last["measure"] == measure) & (last["split"] == split)].set_index("selection")
        if "key" not in rows.index:
            continue
        random = rows.loc["random"] if "random" in rows.index else None
        band = (
            f" (random sets {number(float(random['loss_min']))} to {number(float(random['loss_max']))})"
            if random is not None
            else ""
        )
        values.append(f"{measure.replace('_', ' ')} {number(float(rows.loc['key', 'loss']))}{band}")
    return (
        f"Cross-entropy in nats: excluded loss, of the train rows without the {what}, and restricted loss, of all "
        f"pairs with nothing else; bands: random sets of as many others; dotted: the {what} of each checkpoint alone. "
        f"At step {last['step'].iloc[0]}: {listed(values)}."
    )


def _said(tables: Tables) -> str:
    losses = said_of_losses(tables["progress_measures"], "key frequencies")
    return f"{losses} {_chosen_said(tables)} {grokking_said(tables)}"


PICTURES = {
    "progress_curves": Picture(
        shows="excluded and restricted loss along training",
        compute=computed_by("progress_measures"),
        draw=panel(_draw, steps_of="progress_measures"),
        caption=_said,
        needs=("progress_measures",),
    ),
    "frequency_loss_points": Picture(
        shows="loss of the train pairs without each frequency alone, at one checkpoint",
        compute=_compute_left_out,
        draw=panel(_draw_left_out),
        caption=_left_out_said,
        needs=("progress_measures",),
        is_of_step=True,
    ),
}
