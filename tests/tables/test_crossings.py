"""Crossings, and shares of a removal, read off tables by hand."""

import pandas as pd
import pytest

from interp.tables.crossings import (
    answers_along,
    carried,
    crossing,
    first_language,
    further_languages,
    one_or_two,
    other_sources,
    reads_alike,
    removal_shares,
    shared_components,
    strata,
    units_needed,
)


def losses(accuracies, split="unseen"):
    rows = [
        {"step": 10 * i, "kind": "fact", "asked": asked, "answered": asked, "split": part, "accuracy": a}
        for i, accuracy in enumerate(accuracies)
        for asked, part, a in (("A", "train", 1.0), ("B", "train", 1.0), ("B", split, accuracy))
    ]
    return pd.DataFrame(rows)


def test_a_crossing_is_that_of_unseen_facts_and_lasts():
    table = losses([0.1, 0.99, 0.5, 0.96, 1.0])
    found = crossing(table, "B")
    assert (found.before, found.step) == (20, 30)
    assert first_language(table) == "A" and further_languages(table) == ["B"]
    assert answers_along(table, "fact", "B", "B", is_seen=True)["accuracy"].eq(1).all()
    assert crossing(losses([0.1, 0.9]), "B").step is None
    assert further_languages(pd.DataFrame()) == []


def shown(*splits, translated="train", right=1.0):
    """Facts of A and of B, and a translation, by split."""
    rows = [("fact", "A", "A", "train", 1.0), *(("fact", "B", "B", split, right) for split in splits)]
    rows += [("translation", "A", "B", translated, 1.0), ("sentence", "A", "C", "train", 1.0)]
    columns = ["kind", "asked", "answered", "split", "right_by_dictionary"]
    return pd.DataFrame(rows, columns=columns)


@pytest.mark.parametrize(
    ("table", "others"),
    [
        (shown("unseen"), []),
        (shown("train", "unseen", "mirrored"), ["facts of B are train"]),
        (shown("unseen", translated="unseen"), ["nothing is translated"]),
        (shown("unseen", right=0.3), ["its right answers are not those of A"]),
        (shown("all"), ["which rows are train is unknown"]),
        (shown("train", "unseen", translated="unseen"), ["facts of B are train", "nothing is translated"]),
    ],
)
def test_what_else_than_a_crossing_can_answer(table, others):
    assert other_sources(table, "A", "B") == others


def test_strata_are_those_of_the_last_step():
    rows = [
        {"step": step, "kind": "fact", "asked": "B", "split": split, "accuracy": a}
        for step, by_split in ((0, (0.1, 0.1, 0.1)), (5, (0.4, 0.9, 0.2)))
        for split, a in zip(("unseen", "mirrored", "unmirrored"), by_split, strict=True)
    ]
    assert strata(pd.DataFrame(rows), "B") == {"mirrored": 0.9, "unmirrored": 0.2}
    assert strata(pd.DataFrame(rows), "A") == strata(pd.DataFrame(rows[:1]), "B") == {}


def removal(drops, random=0.9, before=1.0):
    """Accuracies after a removal in the embedding, by circuit and tested language."""
    rows = []
    for (circuit, tested), accuracy in drops.items():
        for selection, value in (("key", accuracy), ("random", random)):
            rows.append(
                {
                    "step": 0, "circuit": circuit, "tested": tested, "where": "embedding", "selection": selection,
                    "accuracy": value, "accuracy_before": before,
                }
            )  # fmt: skip
    return pd.DataFrame(rows)


@pytest.mark.parametrize(
    ("drops", "share", "verdict"),
    [
        ({("A", "A"): 0.1, ("B", "B"): 0.1, ("A", "B"): 0.1, ("B", "A"): 0.1}, 1.0, "one circuit"),
        ({("A", "A"): 0.1, ("B", "B"): 0.1, ("A", "B"): 0.9, ("B", "A"): 0.9}, 0.0, "two circuits"),
        ({("A", "A"): 0.1, ("B", "B"): 0.1, ("A", "B"): 0.5, ("B", "A"): 0.9}, 0.5, "partly shared"),
        # Its own removal takes nothing: then nothing can be told.
        ({("A", "A"): 0.1, ("B", "B"): 0.9, ("A", "B"): 0.1, ("B", "A"): 0.1}, None, None),
        ({("A", "A"): 0.1, ("A", "B"): 0.1}, None, None),
    ],
)
def test_one_circuit_or_two(drops, share, verdict):
    shares = removal_shares(removal(drops))
    found = shares.set_index(["circuit", "tested"])["share"]
    if share is None:
        assert pd.isna(found["A", "B"])
    else:
        assert found["A", "B"] == pytest.approx(share)
    assert one_or_two(shares, "embedding", "A", "B") == verdict
    assert one_or_two(shares, "neurons", "A", "B") is None


def needed(a, b, before=1.0, drops=((0.4, 0.4), (0.4, 0.4))):
    """Of 5 neurons those that A and B need, and accuracies of A and B without either's; as many others leave 0.9."""
    rows = [
        {
            "step": 3, "circuit": circuit, "tested": tested, "where": "neurons", "selection": selection, "n_of": 5,
            "units": units if selection == "key" else "", "accuracy_before": before,
            "accuracy": drop if selection == "key" else 0.9,
        }
        for circuit, units, accuracies in (("A", a, drops[0]), ("B", b, drops[1]))
        for tested, drop in zip("AB", accuracies, strict=True)
        for selection in ("key", "random")
    ]  # fmt: skip
    return pd.DataFrame(rows)


def test_units_of_one_language_and_of_both():
    found = units_needed(needed("0 1 4", "1 4"), "A", "B")["neurons"]
    assert (found["A only"], found["B only"], found["both"]) == ([0], [], [1, 4])
    # 3 of the 10 pairs out of 5 lie within 3.
    assert found["both_by_chance"] == pytest.approx(1.2) and found["p_as_many"] == pytest.approx(0.3)
    assert found["circuits"] == "one circuit"
    apart = units_needed(needed("0 1", "3 4", drops=((0.4, 0.9), (0.9, 0.4))), "A", "B")["neurons"]
    assert (apart["A only"], apart["B only"], apart["both"]) == ([0, 1], [3, 4], [])
    assert apart["p_as_many"] == 1 and apart["circuits"] == "two circuits"
    assert (
        units_needed(needed("0", "1", before=0.4), "A", "B") == units_needed(pd.DataFrame(), "A", "B") == {}
    )


def test_of_a_language_that_answers_nothing_nothing_is_told():
    drops = {("A", "A"): 0.1, ("B", "B"): 0.1, ("A", "B"): 0.1, ("B", "A"): 0.1}
    assert removal_shares(removal(drops, before=0.4))["share"].isna().all()
    assert len(removal_shares(pd.DataFrame())) == 0


def test_ranks_of_effects():
    rows = [
        {
            "step": 5,
            "layer": 0,
            "component": "neuron",
            "unit": unit,
            "language": name,
            "loss_rise": rise,
            "variance": v,
        }
        for unit, (a, b) in enumerate([(0.1, 3.0), (0.2, 5.0), (9.0, 6.0)])
        for name, rise, v in (("A", a, a), ("B", b, -b))
    ]
    found = shared_components(pd.DataFrame(rows), "A", "B")
    assert found == {
        "neuron": {
            "n": 3, "loss_rise_rank_correlation": pytest.approx(1), "variance_rank_correlation": pytest.approx(-1)
        }
    }  # fmt: skip
    assert shared_components(pd.DataFrame(), "A", "B") == {}


def patched(**accuracies):
    """Patches from another question, as AB_exchanged=0.9: from A into B with means exchanged, in B's words."""
    rows = []
    for name, accuracy in accuracies.items():
        (donor, receiver), mean = name[:2], "receiver" if name.endswith("exchanged") else "donor"
        rows.append(
            {
                "step": 5, "receiver": receiver, "donor": donor, "site": "heads", "question": "other", "mean": mean,
                "accuracy": accuracy, "number_accuracy": 0.9,
            }
        )  # fmt: skip
    return pd.DataFrame(rows)


def test_what_a_patch_carries():
    table = patched(AB=0.1, AB_exchanged=0.7, AA=0.8)
    assert carried(table, "B", "A", "heads") == {"number": 0.9, "number_in_its_language": 0.1}
    assert carried(table, "B", "A", "heads", "receiver")["number_in_its_language"] == 0.7
    assert carried(table, "A", "A", "heads", "receiver") == carried(table, "A", "A", "heads")
    assert carried(table, "A", "B", "heads") is None and carried(pd.DataFrame(), "A", "B", "heads") is None


@pytest.mark.parametrize(
    ("accuracies", "is_alike"),
    [
        # Of what comes within the weaker language 0.8 has to come between them, both ways.
        ({"AA": 1.0, "BB": 0.9, "AB": 0.0, "BA": 0.0, "AB_exchanged": 0.73, "BA_exchanged": 0.73}, True),
        ({"AA": 1.0, "BB": 0.9, "AB": 1.0, "BA": 1.0, "AB_exchanged": 0.71, "BA_exchanged": 0.9}, False),
        # A site that does not hold the number, and one that was not patched.
        ({"AA": 1.0, "BB": 0.4, "AB": 0.4, "BA": 0.4, "AB_exchanged": 0.4, "BA_exchanged": 0.4}, None),
        ({"AA": 1.0, "BB": 1.0, "AB": 0.4, "BA": 0.4, "AB_exchanged": 0.4}, None),
    ],
)
def test_two_languages_are_read_alike(accuracies, is_alike):
    assert reads_alike(patched(**accuracies), "heads", "A", "B") is is_alike
    assert reads_alike(patched(**accuracies), "neurons", "A", "B") is None
    assert reads_alike(pd.DataFrame(), "heads", "A", "B") is None
