"""Margin maximisation: what training comes to is the largest margin at its norm, whose neurons have one "
"frequency each."""

from interp.theories.prediction import Theory, of_checkpoints, of_nothing_here
from interp.theories.reading import NotTestable, Seen, Tables, converged, grokked, table
from interp.theories.statistic import Region

NAME = "margin_maximisation"
SOURCE = "Morwani et al. 2023, Feature emergence via margin maximization; Mohamadi et al. 2024"
PURE = 0.85


def pure_neurons_at_grokking(tables: Tables) -> Seen:
    """Share of neurons of a single frequency at the grokking step."""
    return _pure(tables, is_end=False)


def pure_neurons_at_convergence(tables: Tables) -> Seen:
    """The same at the last checkpoint, where it has settled."""
    return _pure(tables, is_end=True)


def _pure(tables: Tables, *, is_end: bool) -> Seen:
    rows = table(tables, "neuron_frequencies")
    share = (
        rows.assign(pure=rows["fraction_explained"] >= PURE).groupby("step", as_index=False)["pure"].mean()
    )
    after = grokked(tables).step
    assert after is not None
    later = share[share["step"] >= after]
    if not len(later):
        raise NotTestable("no checkpoint from the grokking step on has neuron frequencies")
    if is_end:
        converged(share, "pure", after)
    row = later.iloc[-1 if is_end else 0]
    return Seen(
        float(row["pure"]), float(row["pure"]), float(row["pure"]), f"neurons at step {int(row['step'])}"
    )


MARGIN_MAXIMISATION = Theory(
    name=NAME,
    statement="The general solution is that of maximal margin: every neuron at one frequency, its phases adding up.",
    source=SOURCE,
    requires="At convergence nearly all neurons have a single frequency; the normalised margin nears its bound.",
    forbids="That a converged network answers with neurons of mixed frequencies.",
    predictions=(
        of_checkpoints(
            theory=NAME,
            name="pure_neurons_at_convergence",
            statement="At convergence 0.9 of the neurons have a single frequency.",
            source=SOURCE,
            function="pure_neurons_at_convergence",
            required=Region(low=0.9),
            rival="circuits of several frequencies a neuron",
            rival_region=Region(high=0.75),
            probes="losses,neuron_frequencies",
        ),
        of_checkpoints(
            theory=NAME,
            name="pure_neurons_at_grokking",
            statement="At the grokking step still few have: purity comes with the margin, not with the jump.",
            source=SOURCE,
            function="pure_neurons_at_grokking",
            required=Region(high=0.75),
            rival="purity makes the jump",
            rival_region=Region(low=0.75),
            probes="losses,neuron_frequencies",
        ),
        of_nothing_here(
            theory=NAME,
            name="margin_nears_its_bound",
            statement="The normalised margin keeps growing and nears the analytic bound.",
            source=SOURCE,
            what="the bound is known for quadratic networks in another norm, not for what is trained here",
            needs="A quadratic network, its margin in that norm",
            required=Region(low=0.9),
            rival="training ends elsewhere",
            rival_region=Region(high=0.9),
        ),
    ),
    observations=(pure_neurons_at_grokking, pure_neurons_at_convergence),
)
