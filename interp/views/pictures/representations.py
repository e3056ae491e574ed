"""Pictures of the representations of a group: their shares in weights, neurons and logits, and their cosets."""

from matplotlib.lines import Line2D

from interp.figures import (
    concentration_curves,
    hidden_curves,
    representation_colours,
    share_curves,
    similarity_curves,
    single_loss_curves,
    style,
)
from interp.ground.plain_text import listed
from interp.tables.folder import Tables
from interp.views.pictures.captions import at_end, grokking_said, number
from interp.views.pictures.panels import along, panel
from interp.views.pictures.picture import Picture

PARTS = {"left_embedding": "-", "unembedding": "--"}
HIDDEN = {"hidden_left": "rho(a)", "hidden_right": "rho(b)", "hidden_product": "rho(ab)"}


def _compute(run, device: str) -> Tables:
    from interp.analyses.groups import compute

    return compute(run, device)


def _colours(tables: Tables) -> dict[str, str]:
    from interp.analyses.groups import MOST, followed

    return representation_colours(followed(tables)[:MOST])


def _title(tables: Tables) -> str | None:
    from interp.analyses.groups import has_key

    return None if has_key(tables) else "none is key; the strongest:"


def _followed_said(tables: Tables) -> str:
    chosen = tables["key_representations"]
    if not len(chosen):
        return "No representations are followed."
    kind = "Key representations" if chosen["is_key"].any() else "No representation is key; those followed are"
    return f"{kind} {listed(chosen['representation'])}, chosen by {chosen['chosen_by'].iloc[0]}; others grey."


def _draw_shares(tables: Tables, ax) -> None:
    colours = _colours(tables)
    share_curves(tables["representation_spectrum"], ax, parts=PARTS, colours=colours)
    named = [Line2D([], [], color=colour, label=name) for name, colour in colours.items()]
    dashes = [Line2D([], [], color="0.2", ls=ls, label=part.replace("_", " ")) for part, ls in PARTS.items()]
    style.legend_above(ax, n_columns=6, handles=[*dashes, *named])


def _of_part(tables: Tables, part: str) -> str:
    """What each followed representation has of a part at the last checkpoint."""
    last = at_end(tables["representation_spectrum"])
    rows = last[last["part"] == part].set_index("representation")["share"]
    names = tables["key_representations"]["representation"]
    return listed(f"{rows[name]:.2f} {name}" for name in names if name in rows)


def _shares_said(tables: Tables) -> str:
    there = set(tables["representation_spectrum"]["part"])
    parts = [f"{part.replace('_', ' ')}: {_of_part(tables, part)}" for part in PARTS if part in there]
    step = tables["representation_spectrum"]["step"].max()
    return (
        "Share of each representation in the embedding of the left operand and (dashed) in the unembedding, along "
        f"training. At step {step}, {'; '.join(parts)}. {_followed_said(tables)} {grokking_said(tables)}"
    )


def _draw_hidden(tables: Tables, ax) -> None:
    from interp.analyses.groups import followed, has_key

    hidden_curves(tables["representation_spectrum"], ax, names=followed(tables), are_key=has_key(tables))


def _hidden_said(tables: Tables) -> str:
    last = at_end(tables["representation_spectrum"])
    mine = last[last["representation"].isin(tables["key_representations"]["representation"])]
    sums = mine.groupby("part")["share"].sum()
    values = listed(f"{sums[part]:.2f} along {name}" for part, name in HIDDEN.items() if part in sums)
    return (
        "Share of the variance of the neurons along rho(a), rho(b) and rho(ab), of the followed representations "
        f"together. At step {last['step'].iloc[0]}: {values}. {_followed_said(tables)} {grokking_said(tables)}"
    )


def _draw_similarity(tables: Tables, ax) -> None:
    similarity_curves(tables["character_similarity"], ax, colours=_colours(tables), title=_title(tables))


def _similarity_said(tables: Tables) -> str:
    last = at_end(tables["character_similarity"]).set_index("representation")
    names = tables["key_representations"]["representation"]
    values = listed(f"{last.loc[name, 'similarity']:.2f} {name}" for name in names)
    return (
        "Cosine of the logits with the character of each representation, along training; dotted: the sum of squares, "
        f"{last['fraction_explained'].sum():.1%} of the logits' variance at step {last['step'].iloc[0]}. There: "
        f"{values}. {_followed_said(tables)} {grokking_said(tables)}"
    )


def _draw_single(tables: Tables, ax) -> None:
    from interp.analyses.groups import one_level

    single_loss_curves(one_level(tables), ax, colours=_colours(tables), title=_title(tables))


def _single_said(tables: Tables) -> str:
    from interp.analyses.groups import one_level

    last = at_end(one_level(tables))
    rows = last[(last["measure"] == "excluded_loss") & (last["selection"] == "single")]
    of = rows.set_index("representation")["loss"]
    names = [name for name in tables["key_representations"]["representation"] if name in of]
    values = listed(f"{number(float(of[name]))} without {name}" for name in names)
    return (
        "Excluded loss: cross-entropy in nats of the train pairs without each representation alone, along training. At "
        f"step {last['step'].iloc[0]}: {values}. {_followed_said(tables)} {grokking_said(tables)}"
    )


def _cosets_said(tables: Tables) -> str:
    last = at_end(tables["coset_concentration"]).dropna(subset=["concentration"])
    values = last["concentration"]
    return (
        "How far the neurons are concentrated on the cosets of a subgroup: variance within cosets over that of all, "
        "without units, 1 says nothing; median and 90th percentile of the neurons. At step "
        f"{last['step'].iloc[0]}: median {number(float(values.median()))}, 90th percentile "
        f"{number(float(values.quantile(0.9)))}. {grokking_said(tables)}"
    )


PICTURES = {
    "share_curves": Picture(
        shows="share of each representation in the embedding and the unembedding, along training",
        compute=_compute,
        draw=panel(_draw_shares, steps_of="representation_spectrum"),
        caption=_shares_said,
        needs=("representation_spectrum",),
    ),
    "hidden_curves": Picture(
        shows="share of the neurons along rho(a), rho(b) and rho(ab), along training",
        compute=_compute,
        draw=panel(_draw_hidden, steps_of="representation_spectrum"),
        caption=_hidden_said,
        needs=("representation_spectrum",),
    ),
    "similarity_curves": Picture(
        shows="cosine of the logits with the character of each representation, along training",
        compute=_compute,
        draw=panel(_draw_similarity, steps_of="character_similarity"),
        caption=_similarity_said,
        needs=("character_similarity",),
    ),
    "single_loss_curves": Picture(
        shows="loss without each representation alone, along training",
        compute=_compute,
        draw=panel(_draw_single, steps_of="representation_losses"),
        caption=_single_said,
        needs=("representation_losses",),
    ),
    "concentration_curves": Picture(
        shows="how far the neurons are concentrated on cosets, along training",
        compute=along("coset_concentration"),
        draw=panel(
            lambda tables, ax: concentration_curves(tables["coset_concentration"], ax),
            steps_of="coset_concentration",
        ),
        caption=_cosets_said,
        needs=("coset_concentration",),
    ),
}
