"""Probes of sequences on an induction head written as weights, on a bigram model, and on networks that know nothing."""

import math

import numpy as np
import pytest
import torch

from interp.networks.config import initial_weights, transformer_config
from interp.networks.network import DescribedNetwork
from interp.probes.answers.losses import losses
from interp.probes.attention.induction_scores import induction_scores
from interp.probes.sequences.head_ablations import head_ablations
from interp.probes.sequences.head_composition import head_composition
from interp.probes.sequences.in_context_learning import in_context_learning
from interp.probes.sequences.part_losses import part_losses
from interp.probes.sequences.position_losses import position_losses
from interp.snapshots.snapshot import NotApplicable, Snapshot
from tests import hand_built
from tests.hand_built_sequences import bigram, induction, repeats

# Weights and logits are float32: sums of sixteen terms of size 20 carry rounding of 1e-5.
FLOAT32 = 1e-5


@pytest.fixture(scope="module")
def copier():
    return induction()


def untrained(n_layers=2, d_mlp=0, n_heads=2, **task_changes):
    task = repeats(**task_changes)
    config = transformer_config(
        p=8, n_ctx=16, d_vocab=8, n_layers=n_layers, d_model=24, n_heads=n_heads, d_mlp=d_mlp, act_fn="relu"
    )
    return Snapshot(0, initial_weights(config, 0), DescribedNetwork(config), task)


def expected_losses(task, scale):
    """What the induction head says, by looking: the mean of what followed its token before, in each row."""
    found = []
    for example, i, label in zip(
        task.example.tolist(), task.position.tolist(), task.labels.tolist(), strict=True
    ):
        row = task.tokens[example].tolist()
        # The first token has none before it, and takes itself for that.
        previous = [row[0], *row[:i]]
        followers = [row[j] for j in range(i + 1) if previous[j] == row[i]] or row[: i + 1]
        logits = scale * np.bincount(followers, minlength=task.config.n_answers) / len(followers)
        found.append(np.log(np.exp(logits).sum()) - logits[label])
    return torch.tensor(np.array(found))


def the(table, column="loss", **values):
    for name, value in values.items():
        table = table[table[name] == value]
    assert len(table) == 1
    return table[column].item()


# --- losses by part and by position


def test_the_network_written_as_weights_does_what_it_was_written_to_do(copier):
    torch.testing.assert_close(copier.losses, expected_losses(copier.task, 20.0), atol=1e-4, rtol=FLOAT32)


def test_losses_by_part_are_means_over_the_part(copier):
    table, expected = part_losses(copier), expected_losses(copier.task, 20.0)
    of_train = copier.task.split[copier.task.example]
    for part, asked in copier.task.parts.items():
        for split, of_split in (("train", of_train), ("test", ~of_train)):
            both = asked & of_split
            assert the(table, split=split, part=part) == pytest.approx(expected[both].mean().item(), abs=1e-4)
            assert the(table, "n", split=split, part=part) == int(both.sum())
    whole = losses(copier).set_index("split")
    for split in ("train", "test", "all"):
        for column in ("loss", "accuracy"):
            assert the(table, column, split=split, part="all") == pytest.approx(whole.loc[split, column])


def test_only_who_copies_foresees_what_is_predictable(copier):
    copied, by_table = part_losses(copier), part_losses(bigram())
    # Tokens that stand before several others by chance leave it in doubt.
    assert the(copied, "accuracy", split="all", part="predictable") > 0.5
    # A token says nothing of the next one, in whatever part: with 8 of them an accuracy near 1/8.
    accuracies = [the(by_table, "accuracy", split="all", part=p) for p in ("predictable", "unpredictable")]
    # Of 240 and 600 questions: five standard deviations are 0.11 and 0.07.
    assert np.abs(np.array(accuracies) - 1 / 8).max() < 0.11


def test_losses_by_position_are_means_over_the_rows(copier):
    table = position_losses(copier)
    expected = copier.losses.reshape(60, 15).mean(0)
    of_all = table[table["split"] == "all"]
    assert of_all["position"].tolist() == list(range(15)) and (of_all["n"] == 60).all()
    np.testing.assert_allclose(of_all["loss"], expected, rtol=1e-12)
    right = (copier.answers == copier.labels).reshape(60, 15).double().mean(0)
    np.testing.assert_allclose(of_all["accuracy"], right, rtol=1e-12)
    weighted = np.average(of_all["loss"], weights=of_all["n"])
    assert weighted == pytest.approx(the(part_losses(copier), split="all", part="all"))


def test_learning_in_context_is_late_minus_early(copier):
    by_position = position_losses(copier).set_index(["split", "position"])["loss"]
    found = in_context_learning(copier, early=1, late=14).set_index("split")
    for split in ("train", "test", "all"):
        assert found.loc[split, "score"] == by_position[split, 14] - by_position[split, 1]
    # 50 and 500 of 512 are 1.56 and 15.6 of 16, and the last that is asked is 14.
    assert in_context_learning(copier)[["early", "late"]].drop_duplicates().values.tolist() == [[2, 14]]
    with pytest.raises(ValueError, match=r"positions that are asked, got 15. They are 0 to 14"):
        in_context_learning(copier, late=15)
    with pytest.raises(ValueError, match="early before late, got 5 and 5"):
        in_context_learning(copier, early=5, late=5)
    with pytest.raises(NotApplicable, match="questions at several positions of a row, this task has one"):
        in_context_learning(hand_built.memorizer())


# --- heads


def test_the_scores_of_language_models_see_the_two_heads(copier):
    scores = induction_scores(copier).set_index(["layer", "head"])
    assert scores.loc[(0, 1), "previous_token"] == pytest.approx(1, abs=FLOAT32)
    # Two copies of 8 tokens; only the first one of the copy has itself as a second follower.
    assert scores.loc[(1, 0), "prefix_matching"] == pytest.approx((7 + 1 / 2) / 8, abs=FLOAT32)
    assert scores.loc[(1, 0), "copying"] == pytest.approx(1, abs=FLOAT32)
    assert scores["previous_token"].drop((0, 1)).max() < 0.3
    assert scores["prefix_matching"].drop((1, 0)).max() < 0.3


def test_without_either_head_nothing_is_foreseen(copier):
    table = head_ablations(copier, how="zero")
    whole = the(table, heads="none", patterns="free", split="all", part="predictable")
    assert whole == the(part_losses(copier), split="all", part="predictable")
    for patterns in ("free", "kept"):
        # Without the head that speaks all logits are zero.
        found = the(table, heads="L1H0", patterns=patterns, split="all", part="predictable")
        assert found == pytest.approx(math.log(8), abs=FLOAT32)
        for idle in ("L0H0", "L1H1"):
            of_idle = table[(table["heads"] == idle) & (table["patterns"] == patterns)]
            assert (of_idle["effect"] == 0).all()
    # The head before it is needed to know where to look, and for nothing else.
    assert the(table, "effect", heads="L0H1", patterns="free", split="all", part="predictable") > 1
    assert (table[(table["heads"] == "L0H1") & (table["patterns"] == "kept")]["effect"] == 0).all()


def test_sets_of_heads_are_ablated_together(copier):
    sets = {"both": [(0, 1), (1, 0)], "idle": [(0, 0), (1, 1)]}
    table = head_ablations(copier, sets=sets, how="zero")
    assert the(table, heads="both", patterns="kept", split="all", part="all") == pytest.approx(math.log(8))
    assert (table[table["heads"] == "idle"]["effect"] == 0).all()
    assert list(dict.fromkeys(table["heads"])) == ["none", "both", "idle"]
    with pytest.raises(ValueError, match="other than 'none'"):
        head_ablations(copier, sets={"none": [(0, 0)]})
    with pytest.raises(ValueError, match="layer"):
        head_ablations(copier, sets={"deep": [(2, 0)]})


def test_the_mean_is_over_the_examples_at_the_same_position(copier):
    """Against a pass by hand: what the second layer writes is replaced by its mean over the rows."""
    table = head_ablations(copier)
    z = copier.network.activations(copier.weights, copier.task.questions, "blocks.1.attn.hook_z")
    z = z["blocks.1.attn.hook_z"].reshape(60, 15, 2, -1)[:, :, 0]
    logits = (z.mean(0) @ copier.weights["blocks.1.attn.W_O"][0] @ copier.weights["unembed.W_U"]).expand(
        60, 15, 8
    )
    expected = torch.nn.functional.cross_entropy(logits.reshape(900, 8).double(), copier.labels)
    found = the(table, heads="L1H0", patterns="free", split="all", part="all")
    assert found == pytest.approx(expected.item(), abs=FLOAT32)


def test_a_bigram_model_needs_no_head():
    assert (head_ablations(bigram())["effect"] == 0).all()
    assert head_composition(bigram())["score"].isna().all()


def by_hand(snapshot, tokens, ablated=(), patterns=None):
    """Logits in float64, and where each head looks; a head that is ablated says its mean over the rows instead."""
    w = {name: x.double() for name, x in snapshot.weights.items()}
    x = w["embed.W_E"][tokens] + w["pos_embed.W_pos"][: tokens.shape[1]]
    is_later = torch.ones(tokens.shape[1], tokens.shape[1]).triu(1).bool()
    looks = []
    for layer in range(2):
        own = {name: w[f"blocks.{layer}.attn.W_{name}"] for name in "QKVO"}
        q, k, v = (x[:, None] @ own[name] for name in "QKV")
        scores = (q @ k.mT / q.shape[-1] ** 0.5).masked_fill(is_later, -torch.inf)
        looks.append(scores.softmax(-1) if patterns is None else patterns[layer])
        z = looks[-1] @ v
        for head in (head for of, head in ablated if of == layer):
            z[:, head] = z[:, head].mean(0)
        x = x + (z @ own["O"]).sum(1)
        hidden = x @ w[f"blocks.{layer}.mlp.W_in"] + w[f"blocks.{layer}.mlp.b_in"]
        x = x + hidden.relu() @ w[f"blocks.{layer}.mlp.W_out"] + w[f"blocks.{layer}.mlp.b_out"]
    return x @ w["unembed.W_U"], looks


def test_ablations_of_an_untrained_network_against_a_pass_by_hand():
    snapshot = untrained(d_mlp=16)
    task = snapshot.task
    clean, looks = by_hand(snapshot, task.tokens)

    def loss(logits):
        asked = logits[task.example, task.position]
        return torch.nn.functional.cross_entropy(asked, task.labels).item()

    table = head_ablations(snapshot, sets={"both": [(0, 1), (1, 0)], "first": [(0, 0)], "last": [(1, 1)]})
    for name, ablated in (("both", [(0, 1), (1, 0)]), ("first", [(0, 0)]), ("last", [(1, 1)])):
        for patterns, kept in (("free", None), ("kept", looks)):
            logits, _ = by_hand(snapshot, task.tokens, ablated, kept)
            found = the(table, "effect", heads=name, patterns=patterns, split="all", part="all")
            assert found == pytest.approx(loss(logits) - loss(clean), abs=FLOAT32)
            # Of something: an effect of nothing would be within the tolerance.
            assert abs(found) > 100 * FLOAT32
    free, kept = (
        the(table, "effect", heads="both", patterns=p, split="all", part="all") for p in ("free", "kept")
    )
    assert abs(free - kept) > FLOAT32


def test_the_second_head_reads_as_keys_what_the_first_one_writes(copier):
    table = head_composition(copier).set_index(["kind", "earlier_head", "head"])
    # Both are partial identities of rank 8: sizes sqrt(8), and so has the product.
    assert table.loc[("K", 1, 0), "score"] == pytest.approx(8**-0.5)
    assert table.loc[("K", 1, 0), "score"] > table.loc[("K", 1, 0), "null"]
    assert table.loc[("Q", 1, 0), "score"] == table.loc[("V", 1, 0), "score"] == 0
    assert table["score"].notna().sum() == 3
    assert (table["expected"] == 40**-0.5).all()


def test_composition_against_its_definition_with_columns():
    """Elhage et al. write vectors as columns: scores are x^T W_Q^T W_K x, and a head adds W_O W_V x."""
    snapshot = untrained()
    table = head_composition(snapshot).set_index(["kind", "earlier_head", "head"])["score"]
    W = {
        name: snapshot.weights[f"blocks.{layer}.attn.W_{name}"].double().mT
        for layer in (1,)
        for name in "QKVO"
    }
    first = {name: snapshot.weights[f"blocks.0.attn.W_{name}"].double().mT for name in "VO"}
    for e in range(2):
        for h in range(2):
            W_OV, W_QK = first["O"][e] @ first["V"][e], W["Q"][h].T @ W["K"][h]
            expected = {"Q": W_QK.T @ W_OV, "K": W_QK @ W_OV, "V": W["O"][h] @ W["V"][h] @ W_OV}
            for kind, product in expected.items():
                other = W["O"][h] @ W["V"][h] if kind == "V" else W_QK
                want = product.norm() / other.norm() / W_OV.norm()
                assert table[kind, e, h] == pytest.approx(want.item())


def test_random_matrices_compose_as_the_null_says():
    snapshot = untrained(n_heads=4, n_layers=3)
    table = head_composition(snapshot)
    assert len(table) == 3 * 16 * 3
    # Of 144 scores 1 in 20 exceeds the most of 19 by chance: 7, with a standard deviation of 2.6; five of them more.
    assert (table["score"] > table["null"]).sum() < 7 + 13
    # The most of 19 is above the mean of all but once in half a million.
    assert (table["null"] > table["expected"]).all()
    np.testing.assert_allclose((table["score"] ** 2).mean() ** 0.5, table["expected"].iloc[0], rtol=0.1)


def test_what_does_not_apply_says_why():
    mlp = hand_built.group_memorizer()
    for probe in (head_ablations, head_composition):
        with pytest.raises(NotApplicable, match="attention"):
            probe(mlp)
    with pytest.raises(NotApplicable, match="two layers of attention"):
        head_composition(untrained(n_layers=1))
    # A task that asks once a row has no parts but all.
    assert set(part_losses(mlp)["part"]) == {"all"}


def test_random_labels_are_not_foreseen():
    copier = induction(corrupted_fraction=1.0)
    table = part_losses(copier)
    assert the(table, split="corrupted", part="predictable") > math.log(8)
    assert the(table, split="test", part="predictable") < math.log(8)
