"""Key frequencies of a whole run, chosen from its tables: every analysis that needs a key set takes it from here."""

from collections.abc import Mapping, Sequence

import pandas as pd

from interp.ground.thresholds import ACCURACY, LOGIT_FRACTION, stands_out
from interp.tables.curves import at_end
from interp.tables.outcome import accuracy_name, generalising_steps
from interp.tables.transitions import transition
from interp.tables.wording import set_name

# Frequencies that are followed in a run without key ones; as many as the mainline of Nanda et al. has.
N_STRONGEST = 5


def run_key_frequencies(tables: Mapping[str, pd.DataFrame]) -> list[int]:
    """One key set for a whole run: every frequency that stands out at some checkpoint which generalises, ascending.

    It stands out if it explains more of the logits than 0.5 %, and than its null (`logit_spectrum`): what random names
    of the residues give, which is more the fewer residues there are. The union, not the set of the last checkpoint,
    since frequencies can die after generalisation. Empty if the run never generalises: then there is nothing to track,
    and any choice would be selection. Empty too where all frequencies explain alike, as of a table of right answers.

    Args:
        tables: `logit_spectrum` and `losses` of the run, as `measure` returns them. Without a known split the
            accuracy on all rows stands for that on test rows.

    References: the threshold of 0.5 % of the logits after Chughtai et al. 2023; Nanda et al. 2023, appendix C.2, take
    the frequencies with nontrivial coefficients in W_L of the trained network, and give no threshold.
    """
    spectrum = tables["logit_spectrum"]
    if not len(spectrum):
        return []
    is_key = stands_out(spectrum["fraction_explained"], spectrum["null"])
    is_key &= spectrum["step"].isin(generalising_steps(tables["losses"]))
    return sorted(int(k) for k in spectrum[is_key]["frequency"].unique())


def followed_frequencies(tables: Mapping[str, pd.DataFrame]) -> tuple[list[int], str]:
    """Frequencies to follow along a run, ascending, and by what they were chosen.

    `run_key_frequencies`, and in a run without any the N_STRONGEST that explain most of its last logits: something to
    draw, which says nothing about an algorithm.

    Args:
        tables: as `run_key_frequencies`; none where Fourier probes do not apply.
    """
    if not len(tables["logit_spectrum"]):
        return [], "Fourier probes do not apply"
    accuracy = accuracy_name(tables["losses"])
    if frequencies := run_key_frequencies(tables):
        return (
            frequencies,
            f"standing out of the logits at a checkpoint with {accuracy} {ACCURACY} or more",
        )
    strongest = at_end(tables["logit_spectrum"]).nlargest(N_STRONGEST, "fraction_explained")["frequency"]
    reason = (
        "no frequency stands out of the logits"
        if generalising_steps(tables["losses"])
        else f"no checkpoint has {accuracy} {ACCURACY}"
    )
    return sorted(
        int(k) for k in strongest
    ), f"strength at the last checkpoint, since {reason}: not key frequencies"


def followed_name(tables: Mapping[str, pd.DataFrame]) -> str:
    """What figures call the frequencies that are followed: they are a key set, or the strongest of a run without one.

    Args:
        tables: as `run_key_frequencies`.
    """
    return set_name(bool(run_key_frequencies(tables)), len(followed_frequencies(tables)[0]))


def emergence(spectrum: pd.DataFrame, frequencies: Sequence[int]) -> pd.DataFrame:
    """When each key frequency of a run came to stand out for good, the one that explains most at the end first.

    Args:
        spectrum: `logit_spectrum` along the run.
        frequencies: of `run_key_frequencies`.

    Columns:
        frequency; fraction_explained, null: at the last checkpoint.
        before, step: last checkpoint at which it does not stand out (missing if it does from the first), first from
            which on it does (missing if it does not at the end: a frequency that has died).
        relapses: first and last step of each short relapse that was passed over.
    """
    if not frequencies:
        return pd.DataFrame(columns=["frequency", "fraction_explained", "null", "before", "step", "relapses"])
    last = at_end(spectrum).set_index("frequency")
    level = spectrum["null"].clip(lower=LOGIT_FRACTION)
    over = spectrum.assign(over_null=spectrum["fraction_explained"] / level)
    rows = []
    for k in frequencies:
        rise = transition(over[over["frequency"] == k], "over_null", 1.0, "rise")
        end = last.loc[k]
        rows.append(
            {
                "frequency": int(k),
                "fraction_explained": end["fraction_explained"],
                "null": end["null"],
                "before": rise.before,
                "step": rise.step,
                "relapses": rise.relapses,
            }
        )
    return pd.DataFrame(rows).sort_values(
        "fraction_explained", ascending=False, kind="stable", ignore_index=True
    )


def by_strength(parts: pd.DataFrame) -> list[int]:
    """The frequencies of an `algorithm_by_frequency` table, the one that explains most of the last logits first."""
    return at_end(parts).sort_values("fraction", ascending=False)["frequency"].tolist()
