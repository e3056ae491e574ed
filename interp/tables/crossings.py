"""What of a first language's arithmetic another one has, when it came, and whether both compute it in one circuit."""

import math
from typing import Any

import pandas as pd

from interp.ground.thresholds import ACCURACY
from interp.tables.transitions import Transition, transition

# Of what removing its own circuit takes from a language, the share that removing another's takes: from the one on it is
# one circuit, up to the other it is two.
SHARED, SEPARATE = 0.8, 0.2


def further_languages(language_losses: pd.DataFrame) -> list[str]:
    """All languages but the first, in order."""
    if not len(language_losses):
        return []
    facts = language_losses[language_losses["kind"] == "fact"]
    return list(dict.fromkeys(facts["asked"]))[1:]


def first_language(language_losses: pd.DataFrame) -> str:
    return str(language_losses[language_losses["kind"] == "fact"]["asked"].iloc[0])


def answers_along(
    language_losses: pd.DataFrame, kind: str, asked: str, answered: str, *, is_seen: bool = False
) -> pd.DataFrame:
    """The rows of one kind of question along the steps: unseen ones, or all where the split is unknown."""
    t = language_losses
    t = t[(t["kind"] == kind) & (t["asked"] == asked) & (t["answered"] == answered)]
    return t[t["split"].isin(["train" if is_seen else "unseen", "all"])]


def crossing(language_losses: pd.DataFrame, language: str, quantity: str = "accuracy") -> Transition:
    """When the unseen facts of a language are answered for good, at ACCURACY.

    Args:
        quantity: "accuracy", or "dictionary_accuracy": what the first language's arithmetic would say.
    """
    return transition(answers_along(language_losses, "fact", language, language), quantity, ACCURACY, "rise")


def other_sources(language_losses: pd.DataFrame, first: str, language: str) -> list[str]:
    """Why a language's unseen facts may be answered without anything having crossed over: nothing if none is left.

    A run says that something crossed over only where nothing else could have answered: no fact of the language is
    train, something is translated, and the right answers are those of the first language's arithmetic.
    """
    t = language_losses
    is_between = t["asked"].isin([first, language]) & t["answered"].isin([first, language])
    facts = t[is_between & (t["kind"] == "fact") & (t["asked"] == language)]
    if "all" in set(facts["split"]):
        return ["which rows are train is unknown"]
    found = []
    if "train" in set(facts["split"]):
        found.append(f"facts of {language} are train")
    if "train" not in set(t[is_between & (t["kind"] != "fact")]["split"]):
        found.append("nothing is translated")
    if (facts["right_by_dictionary"] < 1).any():
        found.append(f"its right answers are not those of {first}")
    return found


def strata(language_losses: pd.DataFrame, language: str) -> dict[str, float]:
    """Accuracy at the last step of the parts of a language's unseen facts, as of `language_losses`."""
    t = language_losses[language_losses["step"] == language_losses["step"].max()]
    t = t[(t["kind"] == "fact") & (t["asked"] == language) & ~t["split"].isin(["train", "unseen", "all"])]
    return {row.split: float(row.accuracy) for row in t.itertuples()}


def agreeing_numbering(language_alignment: pd.DataFrame) -> str:
    """The order in which two languages can agree: the dictionary's where that is another than the numbers' own."""
    t = language_alignment
    return "dictionary" if len(t) and (t["numbering"] == "dictionary").any() else "own"


def removal_shares(circuit_removal: pd.DataFrame) -> pd.DataFrame:
    """What removing one language's circuit takes from another, as a share of what removing its own takes.

    Drops of accuracy at the last checkpoint, each beyond what as many other frequencies take. Missing where a language
    answers less than half of its facts to begin with, or its own circuit takes less than a tenth of its accuracy: of
    such a language nothing can be told. Missing too where there are fewer other frequencies than key ones: a removal of
    most of the frequencies may take anything.

    Columns:
        circuit, tested, where: as of `circuit_removal` or `unit_removal`, either of which may be given.
        share: of 1, all.
        accuracy_before, accuracy, random_accuracy: of the tested language.
    """
    columns = ["circuit", "tested", "where", "share", "accuracy_before", "accuracy", "random_accuracy"]
    if not len(circuit_removal):
        return pd.DataFrame(columns=columns)
    last = circuit_removal[circuit_removal["step"] == circuit_removal["step"].max()]
    index = ["where", "circuit", "tested"]
    key = last[last["selection"] == "key"].set_index(index)
    others = last[last["selection"] == "random"].set_index(index)["accuracy"]
    rows = []
    for where, circuit, tested in key.index:
        before = key.loc[(where, circuit, tested), "accuracy_before"]
        random = others.get((where, circuit, tested), float("nan"))
        dropped = random - key.loc[(where, circuit, tested), "accuracy"]
        own = (where, tested, tested)
        own_drop = (others.get(own, float("nan")) - key.loc[own, "accuracy"]) if own in key.index else 0.0
        can_be_told = before >= 0.5 and own_drop >= 0.1
        rows.append(
            {
                "circuit": circuit,
                "tested": tested,
                "where": where,
                "share": dropped / own_drop if can_be_told else float("nan"),
                "accuracy_before": before,
                "accuracy": key.loc[(where, circuit, tested), "accuracy"],
                "random_accuracy": random,
            }
        )
    return pd.DataFrame(rows, columns=columns)


def one_or_two(shares: pd.DataFrame, where: str, first: str, language: str) -> str | None:
    """ "one circuit", "two circuits", "partly shared", or None where it cannot be told.

    Args:
        shares: of `removal_shares`. Both ways count: what either removal takes from the other language.
    """
    between = shares[(shares["where"] == where) & (shares["circuit"] != shares["tested"])]
    between = between[between["circuit"].isin([first, language]) & between["tested"].isin([first, language])]
    found = between["share"].dropna()
    if len(found) < 2:
        return None
    if (found >= SHARED).all():
        return "one circuit"
    return "two circuits" if (found <= SEPARATE).all() else "partly shared"


def units_needed(unit_removal: pd.DataFrame, first: str, language: str) -> dict[str, dict[str, Any]]:
    """Which heads and neurons one of two languages needs and which both, at the last checkpoint.

    Missing where one of them answers less than half of its facts to begin with. As many units drawn at random for each
    language would have `both_by_chance` in common, and as many as they have with a chance of `p_as_many`.
    """
    found: dict[str, dict[str, Any]] = {}
    if not len(unit_removal):
        return found
    last = unit_removal[unit_removal["step"] == unit_removal["step"].max()]
    own = last[(last["selection"] == "key") & (last["circuit"] == last["tested"])]
    shares = removal_shares(unit_removal)
    for where, rows in own.groupby("where", sort=False):
        one, other = (rows[rows["circuit"] == name].iloc[0] for name in (first, language))
        if min(one["accuracy_before"], other["accuracy_before"]) < 0.5:
            continue
        a, b = ({int(unit) for unit in row["units"].split()} for row in (one, other))
        n = int(one["n_of"])
        found[str(where)] = {
            "n_of": n,
            f"{first} only": sorted(a - b),
            f"{language} only": sorted(b - a),
            "both": sorted(a & b),
            "both_by_chance": len(a) * len(b) / n,
            "p_as_many": _chance_of_overlap(n, len(a), len(b), len(a & b)),
            "circuits": one_or_two(shares, str(where), first, language),
        }
    return found


def _chance_of_overlap(n: int, a: int, b: int, both: int) -> float:
    """Of b units out of n at least so many are among a given ones."""
    ways = sum(math.comb(a, k) * math.comb(n - a, b - k) for k in range(both, min(a, b) + 1))
    return ways / math.comb(n, b)


def by_language(component_effects: pd.DataFrame, component: str, column: str) -> pd.DataFrame:
    """A column of `component_effects` for each unit at the last checkpoint, a column a language."""
    if not len(component_effects):
        return pd.DataFrame()
    last = component_effects[component_effects["step"] == component_effects["step"].max()]
    rows = last[last["component"] == component]
    return rows.pivot(index=["layer", "unit"], columns="language", values=column)


def shared_components(
    component_effects: pd.DataFrame, first: str, language: str
) -> dict[str, dict[str, float | int]]:
    """Rank correlations over neurons, and over heads, of what two languages need and of where they vary.

    A language that answers surely loses next to nothing without one neuron: where losses hardly rise, look at the
    variances.
    """
    found: dict[str, dict[str, float | int]] = {}
    for component in ("neuron", "head"):
        tables = {c: by_language(component_effects, component, c) for c in ("loss_rise", "variance")}
        if len(tables["variance"]) < 3:
            continue
        ranks = {column: table.rank() for column, table in tables.items()}
        found[component] = {"n": len(tables["variance"])} | {
            f"{column}_rank_correlation": float(table[first].corr(table[language]))
            for column, table in ranks.items()
        }
    return found


def carried(
    language_patching: pd.DataFrame, receiver: str, donor: str, site: str, mean: str = "donor"
) -> dict[str, float] | None:
    """How often another question's number is carried along at the last checkpoint, in any and in the right language.

    Args:
        mean: whose language's mean the patch has, "donor" or "receiver"; within one language they are the same.
    """
    if not len(language_patching):
        return None
    t = language_patching[language_patching["step"] == language_patching["step"].max()]
    t = t[(t["receiver"] == receiver) & (t["donor"] == donor) & (t["site"] == site)]
    t = t[(t["question"] == "other") & (t["mean"] == ("donor" if receiver == donor else mean))]
    if not len(t):
        return None
    row = t.iloc[-1]
    return {"number": float(row["number_accuracy"]), "number_in_its_language": float(row["accuracy"])}


def reads_alike(language_patching: pd.DataFrame, site: str, first: str, language: str) -> bool | None:
    """Whether what follows a site reads the numbers of two languages alike, up to an offset.

    Both ways, with means exchanged, another question's number has to come in the receiver's words in SHARED of the
    cases in which it does within either language. None where it comes in less than half of the cases within one, so
    that the site does not hold the number or the language is not answered. False is no sign of two circuits: a code
    that is turned between languages is not carried either.
    """
    ways = ((first, language), (language, first))
    within = [carried(language_patching, one, one, site) for one, _ in ways]
    between = [carried(language_patching, *way, site, "receiver") for way in ways]
    shares = [found["number_in_its_language"] for found in (*within, *between) if found is not None]
    if len(shares) < 4 or min(shares[:2]) < 0.5:
        return None
    return min(shares[2:]) >= SHARED * min(shares[:2])
