"""Pictures of clock or pizza: what tells them apart, in the whole network and by frequency."""

from collections.abc import Callable
from typing import Any

from interp.figures import (
    algorithm_curves,
    double_curves,
    formula_curves,
    frequency_lines,
    irrelevance_curves,
)
from interp.ground.plain_text import listed
from interp.tables.folder import Tables
from interp.tables.key_frequencies import by_strength
from interp.tables.outcome import accuracy_name
from interp.views.pictures.captions import at_end, grokking_said, number
from interp.views.pictures.panels import computed_by, panel
from interp.views.pictures.picture import Picture


def _draw_whole(tables: Tables, ax) -> None:
    from interp.theories.clock_or_pizza import checkpoint_verdicts

    named = accuracy_name(tables["losses"])
    algorithm_curves(tables["algorithm"], checkpoint_verdicts(tables), ax, accuracy=named)


def _whole_said(tables: Tables) -> str:
    from interp.theories import clock_or_pizza

    last = at_end(tables["algorithm"]).iloc[0]
    of_run = clock_or_pizza.run_verdict(clock_or_pizza.checkpoint_verdicts(tables))
    values = listed(
        f"{name.replace('_', ' ')} {number(float(last[name]))}"
        for name in ("gradient_symmetricity", "distance_irrelevance", "circularity")
    )
    return (
        "What tells a clock from a pizza (Zhong et al. 2023), without units, along training; the strip on top is the "
        f"verdict on each checkpoint, the thin grey line {accuracy_name(tables['losses'])}. At step "
        f"{last['step']:.0f}: {values}. Verdict on the run: {of_run['verdict']} ({of_run['why']}). "
        f"{grokking_said(tables)}"
    )


def _by_frequency(draw: Callable[..., Any], **options: Any) -> Callable[[Tables, Any], None]:
    def draw_on(tables: Tables, ax) -> None:
        parts = tables["algorithm_by_frequency"]
        title = None if tables["frequencies"]["is_key"].any() else "none is key; the strongest:"
        draw(parts, ax, lines=frequency_lines(by_strength(parts)), title=title, **options)

    return draw_on


def _draw_irrelevance(tables: Tables, ax) -> None:
    from interp.theories.clock_or_pizza import CLOCK_IRRELEVANCE, PIZZA_IRRELEVANCE

    _by_frequency(irrelevance_curves, thresholds=(PIZZA_IRRELEVANCE, CLOCK_IRRELEVANCE))(tables, ax)


def _frequencies_said(tables: Tables) -> str:
    chosen = tables["frequencies"]
    kind = "key frequencies" if chosen["is_key"].any() else "frequencies, none of them key"
    return f"Followed {kind}: {listed(chosen['frequency'])}, chosen by {chosen['chosen_by'].iloc[0]}."


def _irrelevance_said(tables: Tables) -> str:
    from interp.theories.clock_or_pizza import CLOCK_IRRELEVANCE, PIZZA_IRRELEVANCE

    last = at_end(tables["algorithm_by_frequency"])
    values = listed(f"{number(row.distance_irrelevance)} at k = {row.frequency}" for row in last.itertuples())
    return (
        "Distance irrelevance, without units, of the network reduced to each frequency: below "
        f"{PIZZA_IRRELEVANCE:g} like a pizza, above {CLOCK_IRRELEVANCE:g} like a clock or like noise. At step "
        f"{last['step'].iloc[0]}: {values}. {_frequencies_said(tables)} {grokking_said(tables)}"
    )


def _formulas_said(tables: Tables) -> str:
    last = at_end(tables["algorithm"]).iloc[0]
    clock, pizza, variation = (
        number(float(last[name])) for name in ("clock_fraction", "pizza_fraction", "coefficient_of_variation")
    )
    return (
        "Share of the variance of the logits that the formulas of the clock and of the pizza explain, and the "
        "coefficient of variation of the right answer's logit over all inputs. At step "
        f"{last['step']:.0f}: clock {clock}, pizza {pizza}, variation {variation}. {grokking_said(tables)}"
    )


def _doubles_said(tables: Tables) -> str:
    last = at_end(tables["algorithm_by_frequency"])
    values = listed(
        f"{row.double_fraction:.1%} at {row.double} (twice {row.frequency})" for row in last.itertuples()
    )
    return (
        "Share of the embedding's power at the double of each frequency, which a pizza needs; dotted: the median of "
        f"all frequencies, {last['median_fraction'].iloc[0]:.2%} at step {last['step'].iloc[0]}. There: {values}. "
        f"{_frequencies_said(tables)} {grokking_said(tables)}"
    )


PICTURES = {
    "algorithm_curves": Picture(
        shows="clock or pizza in the whole network, with the verdict on each checkpoint",
        compute=computed_by("clock_pizza"),
        draw=panel(_draw_whole, steps_of="algorithm"),
        caption=_whole_said,
        needs=("algorithm",),
    ),
    "irrelevance_curves": Picture(
        shows="distance irrelevance of the network reduced to each frequency",
        compute=computed_by("clock_pizza"),
        draw=panel(_draw_irrelevance, steps_of="algorithm"),
        caption=_irrelevance_said,
        needs=("algorithm_by_frequency",),
    ),
    "formula_curves": Picture(
        shows="how much of the logits the formulas of clock and pizza explain",
        compute=computed_by("clock_pizza"),
        draw=panel(lambda tables, ax: formula_curves(tables["algorithm"], ax), steps_of="algorithm"),
        caption=_formulas_said,
        needs=("algorithm",),
    ),
    "double_curves": Picture(
        shows="share of the embedding's power at the double of each frequency",
        compute=computed_by("clock_pizza"),
        draw=panel(_by_frequency(double_curves), steps_of="algorithm"),
        caption=_doubles_said,
        needs=("algorithm_by_frequency",),
    ),
}
