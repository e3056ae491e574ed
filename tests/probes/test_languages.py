"""Probes of several languages tell one circuit from two, and a crossing from a dictionary."""

import functools

import numpy as np
import pytest
import torch

from interp.networks import plain
from interp.probes.languages.circuit_removal import _others, circuit_removal, key_frequencies_of
from interp.probes.languages.component_effects import component_effects
from interp.probes.languages.language_alignment import language_alignment
from interp.probes.languages.language_losses import language_losses
from interp.probes.languages.language_patching import _other_questions, language_patching
from interp.probes.languages.language_spectra import language_spectra
from interp.probes.languages.unit_removal import _random_sets, unit_removal
from interp.snapshots.residues import Residues
from interp.snapshots.snapshot import NotApplicable, Snapshot
from interp.snapshots.vocabularies import Vocabularies
from interp.tables.crossings import removal_shares
from tests import hand_built
from tests.hand_built_languages import bilingual, languages_task, lookup, untrained

ONE_CORE, TWO_CORES = [[2, 3]], [[2, 3], [1, 4]]


@pytest.fixture(scope="module")
def shared():
    return bilingual(ONE_CORE)


@pytest.fixture(scope="module")
def separate():
    return bilingual(TWO_CORES)


def test_both_networks_answer_all_facts(shared, separate):
    for snapshot in (shared, separate):
        facts = language_losses(snapshot).query("kind == 'fact'")
        assert (facts["accuracy"] == 1).all() and (facts["loss"] < 0.1).all()
        assert facts[["asked", "split", "n"]].values.tolist()[:3] == [
            ["A", "train", 121],
            ["B", "train", 24],
            ["B", "unseen", 97],
        ]


def test_only_one_core_translates(shared, separate):
    def accuracies(snapshot):
        table = language_losses(snapshot)
        return table[table["kind"] != "fact"]["accuracy"]

    assert (accuracies(shared) == 1).all()
    assert (accuracies(separate) < 0.2).all()


def test_losses_by_brute_force():
    snapshot = untrained(languages_task(5, sentence_fraction=0.4, n_translations=3, sentences="both"))
    task, s = snapshot.task, snapshot.task.structure
    train = {tuple(row) for row in task.inputs[task.is_train].tolist()}
    table = language_losses(snapshot).set_index(["kind", "asked", "answered", "split"])
    asked = {}
    for a in range(5):
        asked["translation", "A", "B", a] = ((a, 12, 11), 5 + a)
        asked["translation", "B", "A", a] = ((5 + a, 12, 10), a)
        for b in range(5):
            c = (a + b) % 5
            asked["fact", "A", "A", a, b] = ((a, b, 10), c)
            asked["fact", "B", "B", a, b] = ((5 + a, 5 + b, 11), 5 + c)
            asked["sentence", "A", "B", a, b] = ((a, b, 11), 5 + c)
            asked["sentence", "B", "A", a, b] = ((5 + a, 5 + b, 10), c)
    assert s.translating_token == 12
    found = {}
    for key, (row, label) in asked.items():
        logits = plain.forward(snapshot.config, snapshot.weights, torch.tensor([row]))[0, -1].double()
        loss = -logits.log_softmax(0)[label].item()
        right = int(logits.argmax()) == label
        own = logits[5 * (label // 5) : 5 * (label // 5) + 5]
        splits = ["train" if row in train else "unseen"]
        if key[:2] == ("fact", "B") and row not in train:
            splits.append("mirrored" if (row[1], row[0], row[2]) in train else "unmirrored")
            splits.append("said" if (row[0], row[1], 10) in train else "unsaid")
        for split in splits:
            found.setdefault((*key[:3], split), []).append((loss, right, int(own.argmax()) == label % 5))
    assert set(found) == set(table.index)
    for key, values in found.items():
        loss, accuracy, number_accuracy = np.mean(values, axis=0)
        assert table.loc[key, "n"] == len(values)
        # 1e-6: two float32 forward passes, by one row and by all.
        assert table.loc[key, "loss"] == pytest.approx(loss, abs=1e-6)
        assert table.loc[key, "accuracy"] == pytest.approx(accuracy)
        assert table.loc[key, "number_accuracy"] == pytest.approx(number_accuracy)


@pytest.mark.parametrize("commutes", [True, False])
def test_a_table_that_commutes_answers_mirrored_facts_alone(commutes):
    task = languages_task(7)
    facts = language_losses(lookup(task, commutes=commutes)).query("kind == 'fact'")
    accuracy = facts.set_index(["asked", "split"])["accuracy"]
    mirrored = facts.set_index(["asked", "split"])["n"]["B", "mirrored"]
    # 9 of 49 facts are train, 40 unseen.
    assert accuracy["A", "train"] == accuracy["B", "train"] == 1
    assert (accuracy["B", "mirrored"], accuracy["B", "unmirrored"]) == (commutes, 0)
    assert accuracy["B", "unseen"] == pytest.approx(commutes * mirrored / 40)


@pytest.mark.parametrize(
    "changes", [{"fact_fraction": 0.0}, {"other_operation": "subtract"}, {"split": "unknown"}]
)
def test_where_mirrors_and_sentences_tell_nothing_unseen_facts_are_one_part(changes):
    splits = set(language_losses(untrained(languages_task(5, **changes)))["split"])
    assert splits <= {"train", "unseen", "all"}


def test_right_answers_by_the_dictionary():
    def share(**changes):
        table = language_losses(untrained(languages_task(5, **changes)))
        return table.query("kind == 'fact' and split == 'unseen' and asked == 'B'")[
            "right_by_dictionary"
        ].item()

    # Of all facts, none of them train: a - b is a + b mod 5 where b is 0.
    assert share(fact_fraction=0.0) == 1
    assert share(fact_fraction=0.0, other_operation="subtract") == pytest.approx(1 / 5)
    assert share(fact_fraction=0.0, dictionary="shuffled") < 0.5


def test_without_a_split_all_is_one_part():
    table = language_losses(untrained(languages_task(5, split="unknown")))
    assert set(table["split"]) == {"all"}


def test_what_a_shuffled_dictionary_carries_over_is_not_the_arithmetic():
    snapshot = bilingual(ONE_CORE, languages_task(dictionary="shuffled"))
    table = language_losses(snapshot)
    facts = table[(table["kind"] == "fact") & (table["asked"] == "B")]
    assert (facts["dictionary_accuracy"] == 1).all() and (facts["accuracy"] < 0.3).all()
    assert (table[table["kind"] == "translation"]["accuracy"] == 1).all()
    found = language_alignment(snapshot).set_index(["part", "numbering", "measure"])
    for part in ("embedding", "unembedding"):
        for measure in ("cosine", "procrustes", "cka", "spectrum_overlap"):
            dictionary = found.loc[(part, "dictionary", measure)]
            assert dictionary["value"] == pytest.approx(1, abs=1e-6) and dictionary["null"] < 0.99
            own = found.loc[(part, "own", measure)]
            assert own["value"] <= own["null"]


# --- embeddings


def test_spectra_are_those_that_were_planted(shared, separate):
    for snapshot, of_b in ((shared, [2, 3]), (separate, [1, 4])):
        table = language_spectra(snapshot)
        for (_, language), rows in table.groupby(["part", "language"]):
            planted = [2, 3] if language == "A" else of_b
            shares = rows.set_index("frequency")["fraction"]
            # 1e-6: waves are float32.
            assert shares[planted].to_numpy() == pytest.approx([0.5, 0.5], abs=1e-6)
            assert (rows["null"] < 0.5).all()


@pytest.mark.parametrize(
    ("cores", "expected"),
    [
        pytest.param(
            ONE_CORE,
            {"cosine": 1, "procrustes": 1, "cka": 1, "spectrum_overlap": 1, "planes": 1},
            id="one core",
        ),
        pytest.param(
            [[2, 3], [2, 3]],
            {"cosine": 0, "planes": 0, "procrustes": 1, "cka": 1, "spectrum_overlap": 1},
            id="same frequencies",
        ),
        pytest.param(
            TWO_CORES,
            {"cosine": 0, "planes": 0, "procrustes": 0, "cka": 0, "spectrum_overlap": 0},
            id="other frequencies",
        ),
    ],
)
def test_alignment_of_known_embeddings(cores, expected):
    table = language_alignment(bilingual(cores))
    for measure, value in expected.items():
        rows = table[(table["part"] == "embedding") & (table["measure"] == measure)]
        # 1e-6: waves are float32.
        assert rows["value"].to_numpy() == pytest.approx([value], abs=1e-6)
        assert ((rows["value"] > rows["null"]) == (value == 1)).all()


def test_alignment_by_another_road():
    """Procrustes by scipy, CKA as a correlation of Gram matrices, on random matrices."""
    from scipy.linalg import orthogonal_procrustes

    snapshot = untrained(languages_task(9))
    view = snapshot.once(Vocabularies)
    x, y = (view.embedding(i).numpy() for i in range(2))
    x, y = x - x.mean(0), y - y.mean(0)
    rotation, total = orthogonal_procrustes(y, x)
    found = language_alignment(snapshot).set_index(["part", "measure"])["value"]
    norms = np.linalg.norm(x) * np.linalg.norm(y)
    # 1e-9: all is float64 from here.
    assert found["embedding", "procrustes"] == pytest.approx(total / norms, abs=1e-9)
    assert found["embedding", "procrustes"] == pytest.approx(np.sum(x * (y @ rotation)) / norms, abs=1e-9)
    grams = [(m @ m.T).ravel() for m in (x, y)]
    cka = grams[0] @ grams[1] / np.linalg.norm(grams[0]) / np.linalg.norm(grams[1])
    assert found["embedding", "cka"] == pytest.approx(cka, abs=1e-9)
    assert found["embedding", "cosine"] == pytest.approx(np.sum(x * y) / norms, abs=1e-9)


def test_rotations_leave_shapes_and_change_directions(shared):
    view = shared.once(Vocabularies)
    width = view.embedding(1).shape[1]
    rotation = torch.linalg.qr(torch.randn(width, width, generator=torch.Generator().manual_seed(0))).Q
    turned = {name: w.clone() for name, w in shared.weights.items()}
    tokens = view.structure.number_tokens[1]
    turned["embed.W_E"][tokens] = turned["embed.W_E"][tokens] @ rotation
    found = language_alignment(Snapshot(0, turned, shared.network, shared.task)).set_index(
        ["part", "measure"]
    )
    assert found.loc[("embedding", "cosine"), "value"] < 0.5
    for measure in ("procrustes", "cka", "spectrum_overlap"):
        # 1e-5: the rotation is float32.
        assert found.loc[("embedding", measure), "value"] == pytest.approx(1, abs=1e-5)


def test_an_untrained_network_is_aligned_by_chance_alone():
    table = language_alignment(untrained(languages_task(13)))
    # 8 measures at a level of 1 %: this seed exceeds none.
    assert (table["value"] <= table["null"]).all()


@pytest.mark.parametrize(
    ("turn", "cosine", "sine"), [(0.0, 1, 0), (0.25, 0, 1), (0.5, -1, 0), (0.1, 0.809017, 0.587785)]
)
def test_turns_are_those_that_were_planted(shared, turn, cosine, sine):
    """B's waves of frequency 2 come later by this share of a turn; those of frequency 3 are A's."""
    tokens, n = shared.once(Vocabularies).structure.number_tokens[1], torch.arange(11)
    weights = {name: w.clone() for name, w in shared.weights.items()}
    angle = 2 * torch.pi * (2 * n / 11 - turn)
    weights["embed.W_E"][tokens, 0], weights["embed.W_E"][tokens, 1] = angle.cos(), angle.sin()
    snapshot = Snapshot(0, weights, shared.network, shared.task)
    table = language_spectra(snapshot).set_index(["part", "language", "frequency"])
    found = table.loc[
        [("embedding", "B", 2), ("embedding", "B", 3), ("unembedding", "B", 2), ("embedding", "A", 2)]
    ]
    # 1e-6: waves are float32.
    np.testing.assert_allclose(found["turn_cosine"], [cosine, 1, 1, 1], atol=1e-6)
    np.testing.assert_allclose(found["turn_sine"], [sine, 0, 0, 0], atol=1e-6)
    # A product of two waves does not notice a half turn.
    facts = language_losses(snapshot).query("kind == 'fact' and asked == 'B'")
    assert (facts["accuracy"] == 1).all() == (turn in (0, 0.5))


def test_other_directions_are_no_turn():
    table = language_spectra(bilingual([[2, 3], [2, 3]])).query("part == 'embedding' and language == 'B'")
    turns = table.set_index("frequency").loc[[2, 3], ["turn_cosine", "turn_sine"]]
    # 1e-6: waves are float32.
    assert turns.abs().to_numpy().max() < 1e-6


def test_planes_stay_where_numbers_are_turned_within_them(shared):
    """B's waves turned by a quarter in each plane: other directions number by number, the same planes."""
    tokens = shared.once(Vocabularies).structure.number_tokens[1]
    turned = {name: w.clone() for name, w in shared.weights.items()}
    for cos in (0, 2):
        cosine, sine = shared.weights["embed.W_E"][tokens, cos], shared.weights["embed.W_E"][tokens, cos + 1]
        turned["embed.W_E"][tokens, cos], turned["embed.W_E"][tokens, cos + 1] = -sine, cosine
    found = language_alignment(Snapshot(0, turned, shared.network, shared.task)).set_index(
        ["part", "measure"]
    )
    # 1e-6: waves are float32.
    assert found.loc[("embedding", "cosine"), "value"] == pytest.approx(0, abs=1e-6)
    assert found.loc[("embedding", "planes"), "value"] == pytest.approx(1, abs=1e-6)


# --- one circuit or two


def removal(snapshot):
    return circuit_removal(snapshot).set_index(["where", "selection", "circuit", "tested"])


def test_removing_the_one_circuit_fails_both_languages(shared):
    table = removal(shared)
    assert set(table["frequencies"]) == {"2 3", ""}
    for where in ("embedding", "neurons"):
        for circuit in "AB":
            for tested in "AB":
                key, random = (table.loc[(where, s, circuit, tested)] for s in ("key", "random"))
                assert key["accuracy"] < 0.2 and key["loss"] > 2 and key["loss_before"] < 0.1
                # Frequencies that the network does not have.
                assert random["accuracy"] == 1 and random["loss"] == pytest.approx(
                    random["loss_before"], abs=1e-6
                )


def test_removing_one_of_two_circuits_fails_one_language(separate):
    table = removal(separate)
    assert table.loc[("embedding", "key", "A", "A"), "frequencies"] == "2 3"
    assert table.loc[("embedding", "key", "B", "B"), "frequencies"] == "1 4"
    for where in ("embedding", "neurons"):
        for circuit, other in ("AB", "BA"):
            assert table.loc[(where, "key", circuit, circuit), "accuracy"] < 0.2
            spared = table.loc[(where, "key", circuit, other)]
            assert spared["accuracy"] == 1
            assert spared["loss"] == pytest.approx(spared["loss_before"], abs=1e-5)


def test_other_frequencies_are_as_many_or_none():
    by_selection = circuit_removal(bilingual(ONE_CORE)).set_index("selection")
    # Of 5 frequencies 3 are no key ones, and there are 3 pairs of them.
    assert set(by_selection.loc["random", "n_sets"]) == {3} and set(by_selection.loc["key", "n_sets"]) == {1}
    assert _others([2, 3], 11, 5, 0) == [[1, 4], [1, 5], [4, 5]]
    drawn = _others([2, 3], 23, 20, 0)
    assert len({tuple(chosen) for chosen in drawn}) == 20 and drawn == _others([2, 3], 23, 20, 0)
    assert all(len(set(chosen) - {2, 3}) == 2 and max(chosen) <= 11 for chosen in drawn)
    # Two are left beside three: none to compare with.
    table = circuit_removal(bilingual([[1, 2, 3]]))
    assert set(table["selection"]) == {"key"} and set(table["frequencies"]) == {"1 2 3"}
    shares = removal_shares(table.assign(step=0))
    assert shares["share"].isna().all() and shares["random_accuracy"].isna().all()


def test_an_untrained_network_has_no_circuit_to_remove():
    snapshot = untrained(languages_task(13))
    assert key_frequencies_of(snapshot, 0) == key_frequencies_of(snapshot, 1) == []
    assert len(circuit_removal(snapshot)) == 0


def units(snapshot):
    table = unit_removal(snapshot)
    return table.set_index(["where", "circuit", "tested", "selection"])


def test_one_circuit_has_the_same_units_in_both_languages(shared):
    table = units(shared)
    for where in ("heads", "neurons"):
        keys = table.xs((where, "key"), level=("where", "selection"))
        assert keys["units"].nunique() == 1 and keys["accuracy"].nunique() == 1
        assert (keys["accuracy"] <= 0.5).all()
    # Every neuron has its part of a product, so that others do harm too, if less.
    random = table.loc[("neurons", "A", "B", "random")]
    assert (
        random["n_sets"] == 20
        and random["accuracy"] > table.loc[("neurons", "A", "B", "key"), "accuracy"] + 0.1
    )


def test_two_circuits_have_none_in_common(separate):
    table = units(separate)
    for (circuit, other), own in (("AB", range(16)), ("BA", range(16, 32))):
        removed = table.loc[("neurons", circuit, circuit, "key")]
        assert set(map(int, removed["units"].split())) <= set(own) and removed["accuracy"] <= 0.5
        spared = table.loc[("neurons", circuit, other, "key")]
        assert spared["accuracy"] == spared["accuracy_before"] == 1
        assert table.loc[("neurons", circuit, other, "random"), "accuracy"] < 1
    # Heads bring the operands of both.
    assert (table.loc[["heads"]]["accuracy"] < 0.2).all()


@pytest.mark.parametrize("where", ["heads", "neurons"])
def test_needed_units_are_held_at_the_mean_of_the_tested_language(where):
    """By another road: a row at a time, the units of A's held at their mean over B's facts."""
    # Of these heads one says the language, which a mean over both languages would not.
    heads = bilingual([[1, 2]], languages_task(5), language_in="heads")
    snapshot = heads if where == "heads" else untrained(languages_task(5), seed=3)
    table = units(snapshot)
    hook = "hook_z" if where == "heads" else "hook_post"
    rows = [torch.tensor([[5 + a, 5 + b, 11]]) for a in range(5) for b in range(5)]
    kept = []
    for row in rows:
        plain.forward(
            snapshot.config, snapshot.weights, row,
            lambda n, x: kept.append(x[0, -1].clone()) or x if n.endswith(hook) else x,
        )  # fmt: skip
    mean = sum(kept) / len(kept)
    chosen = [int(unit) for unit in table.loc[(where, "A", "B", "key"), "units"].split()]

    def hold(name, x):
        if name.endswith(hook):
            x = x.clone()
            x[0, -1, chosen] = mean[chosen]
        return x

    said = [int(plain.forward(snapshot.config, snapshot.weights, row, hold)[0, -1].argmax()) for row in rows]
    right = [5 + (a + b) % 5 == given for (a, b), given in zip(np.ndindex(5, 5), said, strict=True)]
    assert table.loc[(where, "A", "B", "key"), "accuracy"] == pytest.approx(np.mean(right))


def test_random_sets_are_of_all_units_and_differ():
    assert _random_sets(3, 2, 20, 0) == [[0, 1], [0, 2], [1, 2]]
    drawn = _random_sets(40, 4, 20, 0)
    assert len({tuple(chosen) for chosen in drawn}) == 20 and all(len(set(chosen)) == 4 for chosen in drawn)
    assert drawn == _random_sets(40, 4, 20, 0)


@functools.cache
def patched(snapshot):
    """Parts as they are, without exchanging means."""
    table = language_patching(snapshot)
    return table[table["mean"] == "donor"].set_index(["receiver", "donor", "site", "question"])


def test_patches_of_one_circuit_carry_the_donors_answer(shared):
    table = patched(shared)
    for receiver, donor in ("AB", "BA", "AA", "BB"):
        for site in ("heads", "neurons"):
            assert table.loc[(receiver, donor, site, "same"), "accuracy"] == 1
            other = table.loc[(receiver, donor, site, "other")]
            assert other["accuracy"] == 1 and other["own_accuracy"] == 0


def test_patches_between_two_circuits_carry_nothing(separate):
    table = patched(separate)
    for receiver, donor in ("AB", "BA"):
        for site in ("heads", "neurons"):
            for question in ("same", "other"):
                assert table.loc[(receiver, donor, site, question), "accuracy"] < 0.2
    assert table.loc[("A", "A", "neurons", "other"), "accuracy"] == 1


@pytest.mark.parametrize("donor", ["A", "B"])
@pytest.mark.parametrize("head", [0, 1])
def test_one_head_carries_one_operand(shared, head, donor):
    """Patched from another question a head brings its operand: a' + b or a + b', and the donor's own answer a' + b'
    where the other operand happens to be the same."""
    p = 11
    row = patched(shared).loc[("B", donor, f"head {head}", "other")]
    questions = torch.cartesian_prod(torch.arange(p), torch.arange(p))
    numbers = questions.sum(1) % p
    given = questions[_other_questions(numbers, 0)]
    answer = (given[:, head] + questions[:, 1 - head]) % p
    right, own = (answer == given.sum(1) % p), (answer == numbers)
    assert 0 < right.sum() < len(right) and 0 < own.sum() < len(own)
    # Shares of 121 questions: equal but for the last bit.
    assert row["accuracy"] == row["number_accuracy"] == pytest.approx(right.double().mean().item())
    assert row["own_accuracy"] == pytest.approx(own.double().mean().item())


# Where one core's network gives number and language together; elsewhere the language stays the receiver's.
TOGETHER = {"stream": [], "heads": ["heads"], "neurons": ["neurons"]}


@pytest.mark.parametrize("language_in", TOGETHER)
def test_without_the_language_the_number_of_one_circuit_comes_in_the_receivers_words(language_in):
    snapshot = bilingual(ONE_CORE, language_in=language_in)
    assert (language_losses(snapshot).query("kind == 'fact'")["accuracy"] == 1).all()
    table = language_patching(snapshot).set_index(["receiver", "donor", "site", "mean", "question"])
    for receiver, donor in ("AB", "BA"):
        for site in ("heads", "neurons"):
            for question in ("same", "other"):
                whole, exchanged = (
                    table.loc[(receiver, donor, site, m, question)] for m in ("donor", "receiver")
                )
                assert whole["accuracy"] == (0 if site in TOGETHER[language_in] else 1)
                assert whole["number_accuracy"] == exchanged["number_accuracy"] == 1
                assert exchanged["accuracy"] == 1


@pytest.mark.parametrize("language_in", TOGETHER)
def test_of_two_circuits_it_does_not_come(language_in):
    snapshot = bilingual(TWO_CORES, language_in=language_in)
    assert (language_losses(snapshot).query("kind == 'fact'")["accuracy"] == 1).all()
    table = language_patching(snapshot).set_index(["receiver", "donor", "site", "mean", "question"])
    for receiver, donor in ("AB", "BA"):
        for site in ("heads", "neurons"):
            for question in ("same", "other"):
                # It says one number whatever is asked: 11 of 121 questions.
                found = table.loc[(receiver, donor, site, "receiver", question)]
                assert found["accuracy"] == found["number_accuracy"] < 0.2


def test_means_of_languages_are_exchanged_between_languages_alone():
    snapshot = untrained(languages_task(5))
    table = language_patching(snapshot)
    assert set(table[table["receiver"] == table["donor"]]["mean"]) == {"donor"}
    between = table[table["receiver"] != table["donor"]]
    assert (between["mean"] == "receiver").sum() == (between["mean"] == "donor").sum() == len(between) / 2
    # By brute force: neurons of B's question into the same of A, a row at a time.
    config, weights = snapshot.config, snapshot.weights
    asked = {
        language: [torch.tensor([[5 * i + a, 5 * i + b, 10 + i]]) for a in range(5) for b in range(5)]
        for i, language in enumerate("AB")
    }
    kept = {"A": [], "B": []}
    for language, rows in asked.items():
        for row in rows:
            plain.forward(
                config, weights, row,
                lambda n, x, of=kept[language]: of.append(x[0, -1]) or x if n.endswith("hook_post") else x,
            )  # fmt: skip
    mean = {language: sum(rows) / len(rows) for language, rows in kept.items()}
    said = []
    for row, neurons in zip(asked["A"], kept["B"], strict=True):
        given = neurons + (mean["A"] - mean["B"])

        def put(name, x, given=given):
            return torch.cat([x[:, :-1], given[None, None]], 1) if name.endswith("hook_post") else x

        said.append(int(plain.forward(config, weights, row, put)[0, -1].argmax()))
    right = [(a + b) % 5 for a in range(5) for b in range(5)]
    found = table.set_index(["receiver", "donor", "site", "mean", "question"]).loc[
        ("A", "B", "neurons", "receiver", "same")
    ]
    assert found["accuracy"] == pytest.approx(np.mean(np.equal(said, right)))
    assert found["number_accuracy"] == pytest.approx(np.mean(np.equal(np.mod(said, 5), right)))
    assert set(said) != {said[0]}


def test_one_circuit_is_needed_by_both_and_one_of_two_by_one(shared, separate):
    for snapshot, is_shared in ((shared, True), (separate, False)):
        table = component_effects(snapshot)
        neurons = table[table["component"] == "neuron"].pivot(
            index="unit", columns="language", values=["loss_rise", "variance"]
        )
        rises, variances = neurons["loss_rise"], neurons["variance"]
        if is_shared:
            # 1e-6: float32 forward passes.
            np.testing.assert_allclose(rises["A"], rises["B"], atol=1e-6)
            np.testing.assert_allclose(variances["A"], variances["B"], rtol=1e-5)
        else:
            assert (variances["A"][:16] > 0.01).all() and (variances["B"][16:] > 0.01).all()
            assert variances["A"][16:].max() < 1e-9 and variances["B"][:16].max() < 1e-9
            assert (rises["A"][:16].abs() > 1e-5).all() and (rises["B"][16:].abs() > 1e-5).all()


def test_effects_of_a_head_and_a_neuron_by_brute_force():
    snapshot = untrained(languages_task(5))
    table = component_effects(snapshot).set_index(["component", "unit", "language"])
    rows = torch.tensor(
        [(a, b, 10) for a in range(5) for b in range(5)]
        + [(5 + a, 5 + b, 11) for a in range(5) for b in range(5)]
    )
    labels = torch.tensor([(a + b) % 5 for a in range(5) for b in range(5)])
    labels = torch.cat([labels, 5 + labels])
    for component, hook, unit in (
        ("head", "blocks.0.attn.hook_z", 1),
        ("neuron", "blocks.0.mlp.hook_post", 7),
    ):

        def losses(edit, hook=hook):
            logits = plain.forward(
                snapshot.config, snapshot.weights, rows, lambda name, x: edit(x) if name == hook else x
            )[:, -1].double()
            return torch.nn.functional.cross_entropy(logits, labels, reduction="none")

        def held(x, unit=unit):
            x = x.clone()
            x[:, -1, unit] = x[:, -1, unit].mean(0)
            return x

        rise = losses(held) - losses(lambda x: x)
        for language, part in (("A", slice(25)), ("B", slice(25, 50))):
            # 1e-6: float32 forward passes.
            assert table.loc[(component, unit, language), "loss_rise"] == pytest.approx(
                rise[part].mean().item(), abs=1e-6
            )


# --- where they do not apply

PROBES = [
    circuit_removal, component_effects, language_alignment, language_losses, language_patching, language_spectra,
]  # fmt: skip


@pytest.mark.parametrize("probe", PROBES)
def test_one_language_has_nothing_to_cross_over_to(probe):
    with pytest.raises(NotApplicable, match="not one in several languages, so that nothing can cross over"):
        probe(hand_built.clock([1]))


def test_probes_of_residues_say_what_the_rows_are_not(shared):
    # Not that their answers are no sums, which they are.
    with pytest.raises(NotApplicable, match="does not ask for one sum of two residues in every row"):
        shared.once(Residues)


def test_without_sums_there_are_no_frequencies():
    snapshot = untrained(languages_task(7, operation="x2+y2"))
    for probe in (circuit_removal, language_spectra):
        with pytest.raises(NotApplicable, match="no sums or differences"):
            probe(snapshot)
    assert "spectrum_overlap" not in set(language_alignment(snapshot)["measure"])


def test_other_operations_cannot_be_exchanged():
    with pytest.raises(NotApplicable, match="The languages have other operations"):
        language_patching(untrained(languages_task(7, other_operation="subtract")))


def test_three_languages_are_measured_against_the_first():
    snapshot = untrained(languages_task(7, n_languages=3))
    assert set(language_alignment(snapshot)["language"]) == {"B", "C"}
    table = language_patching(snapshot)
    pairs = set(zip(table["receiver"], table["donor"], strict=True))
    assert pairs == {("A", "A"), ("B", "A"), ("A", "B"), ("B", "B"), ("C", "A"), ("A", "C"), ("C", "C")}
    assert set(component_effects(snapshot)["language"]) == {"A", "B", "C"}
