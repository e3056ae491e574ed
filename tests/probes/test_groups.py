"""Probes of groups find the representations and cosets that were planted, and equal the Fourier probes on residues."""

import gc
import itertools
import weakref

import numpy as np
import pytest
import torch

from interp.mathematics.groups import named_group, subgroups
from interp.mathematics.representations import irreducible_representations, trace_table
from interp.networks.config import initial_weights
from interp.networks.network import DescribedNetwork
from interp.probes.answers.losses import losses
from interp.probes.fourier.embedding_spectrum import embedding_spectrum
from interp.probes.fourier.logit_spectrum import logit_spectrum
from interp.probes.fourier.progress_measures import progress_measures
from interp.probes.groups.character_similarity import character_similarity
from interp.probes.groups.coset_concentration import coset_concentration
from interp.probes.groups.representation_losses import representation_losses
from interp.probes.groups.representation_spectrum import representation_spectrum
from interp.snapshots.elements import Elements
from interp.snapshots.of_module import snapshot_of_module
from interp.snapshots.snapshot import NotApplicable, Snapshot
from interp.tasks.groups import GroupConfig
from tests import hand_built

EVERY_KIND = ["S4", "Q8", "D5", "S3xC3"]  # real, quaternionic, real, complex


def random_snapshot(task, *, n_heads=0, d_model=16, d_mlp=24, seed=0, **changes):
    config = hand_built.transformer_config(
        p=task.config.n_answers,
        n_ctx=task.config.n_pos,
        d_vocab=task.config.n_tokens,
        n_layers=changes.pop("n_layers", 1),
        d_model=d_model,
        n_heads=n_heads,
        d_mlp=d_mlp,
        act_fn="relu",
        **changes,
    )
    return Snapshot(0, initial_weights(config, seed), DescribedNetwork(config), task)


def names_of(group):
    return [r.name for r in irreducible_representations(named_group(group))]


def chosen(table, **values):
    for column, value in values.items():
        table = table[table[column] == value]
    return table


def the_loss(table, level, measure, selection, split, representation=""):
    found = chosen(table, level=level, measure=measure, selection=selection, split=split)
    found = found[found["representation"] == representation]["loss"]
    assert len(found) == 1
    return found.item()


# --- what was planted


@pytest.mark.parametrize("group", EVERY_KIND)
def test_every_planted_representation_is_found_and_no_other_is(group):
    for name in names_of(group)[1:]:
        snapshot = hand_built.characters({name: 2.0}, group)
        similarity = character_similarity(snapshot).set_index("representation")
        # 1e-5: weights are float32.
        assert similarity.loc[name, "similarity"] == pytest.approx(1, abs=1e-5)
        assert similarity.drop(name)["fraction_explained"].max() < 1e-10
        spectrum = representation_spectrum(snapshot).set_index(["part", "representation"])["share"]
        for part in ("left_embedding", "right_embedding", "unembedding"):
            assert spectrum[part, name] == pytest.approx(1, abs=1e-5)
        hidden = spectrum["hidden_product"]
        assert hidden[name] == hidden.max() > 0.1
        assert hidden.drop(name).max() < 1e-10


def test_amplitudes_of_several_representations():
    amplitudes = {"sign": 1.0, "[2,2]": 2.0, "standard": 3.0}
    found = character_similarity(hand_built.characters(amplitudes, "S4")).set_index("representation")
    want = {name: a**2 / 14 for name, a in amplitudes.items()} | {"standard_sign": 0.0}
    for name, share in want.items():
        assert found.loc[name, "fraction_explained"] == pytest.approx(share, abs=1e-6)
    # The cube of a representation of the real kind has norm n^1.5.
    assert found.loc["standard", "coefficient"] == pytest.approx(3 * 24**1.5, rel=1e-5)


def test_a_network_that_shuns_the_right_answer_has_a_negative_similarity():
    found = character_similarity(hand_built.characters({"standard": -1.0})).set_index("representation")
    assert found.loc["standard", "similarity"] == pytest.approx(-1, abs=1e-5)


def test_losses_with_and_without_what_was_planted():
    snapshot = hand_built.characters({"standard": 1.0, "sign": 0.5}, train_fraction=0.5)
    table = representation_losses(snapshot, representations=["standard", "sign"])
    whole = losses(snapshot).set_index("split")["loss"]
    for level in ("hidden", "logits", "characters"):
        for split in ("train", "test", "all"):
            of_split = whole[split]
            for selection in ("key", "causal"):
                found = the_loss(table, level, "restricted_loss", selection, split)
                assert found == pytest.approx(of_split, abs=1e-5)
            assert the_loss(table, level, "restricted_loss", "random", split) == pytest.approx(
                np.log(24), abs=1e-5
            )
        excluded = [the_loss(table, level, "excluded_loss", s, "train") for s in ("key", "causal", "random")]
        # Of [2,2] and standard_sign there is one set of two.
        assert excluded == pytest.approx([np.log(24), np.log(24), whole["train"]], abs=1e-5)
        without_sign = the_loss(table, level, "excluded_loss", "single", "train", "sign")
        without_standard = the_loss(table, level, "excluded_loss", "single", "train", "standard")
        assert whole["train"] < without_sign < without_standard < np.log(24)
    sizes = table.groupby("selection")["n_representations"].unique().map(list).to_dict()
    assert sizes == {"key": [2], "causal": [2], "random": [2], "single": [1]}
    keys = chosen(table, selection="key", measure="restricted_loss")
    assert (keys["accuracy"] == 1).all()
    assert chosen(table, measure="excluded_loss")["accuracy"].isna().all()


def test_random_sets_are_all_that_there_are_or_as_many_as_asked():
    snapshot = random_snapshot(hand_built.composition("S4"))
    table = chosen(
        representation_losses(snapshot, representations=["standard"]), selection="random", level="logits"
    )
    single = chosen(representation_losses(snapshot), selection="single", level="logits")
    others = single[single["representation"].isin(["sign", "[2,2]", "standard_sign"])]
    for (measure, split), rows in others.groupby(["measure", "split"]):
        found = chosen(table, measure=measure, split=split)
        assert found["loss"].item() == pytest.approx(rows["loss"].mean())
        assert found["loss_min"].item() == pytest.approx(rows["loss"].min())
        assert found["loss_max"].item() == pytest.approx(rows["loss"].max()) != rows["loss"].min()
    many = random_snapshot(hand_built.composition("C13"))
    first, again, other = (
        chosen(
            representation_losses(many, representations=["k=1", "k=2"], n_random=3, seed=seed),
            selection="random",
        )["loss"].tolist()
        for seed in (0, 0, 1)
    )
    assert first == again != other
    # Two of four remain to draw three from.
    key = ["standard", "sign", "[2,2]"]
    assert "random" not in set(representation_losses(snapshot, representations=key)["selection"])


# --- what was not planted


def test_a_memorizer_has_every_representation_by_its_dimension_alone():
    snapshot = hand_built.group_memorizer("S4")
    spectrum = representation_spectrum(snapshot)
    for part in ("left_embedding", "right_embedding"):
        table = chosen(spectrum, part=part)
        # The pairs that were drawn weigh the elements, nearly evenly.
        np.testing.assert_allclose(table["share"].iloc[1:], table["dimension"].iloc[1:] ** 2 / 24, rtol=0.5)
    similarity = character_similarity(snapshot)
    per_entry = similarity["fraction_explained"] / similarity["dimension"] ** 2
    np.testing.assert_allclose(per_entry, per_entry.iloc[0], rtol=1e-6)
    table = representation_losses(snapshot, representations=["standard"])
    train = losses(snapshot).set_index("split").loc["train", "loss"]
    key, random = (
        chosen(table, level="logits", measure="excluded_loss", selection=s).iloc[0] for s in ("key", "random")
    )
    # Alone of the others standard_sign has the dimension of the key one, and is the worst to miss.
    assert train < random["loss_min"] < key["loss"] < 0.02
    assert key["loss"] == pytest.approx(random["loss_max"], rel=0.02)
    # What it knows of train pairs votes for the answers of others: low, but as low for others.
    restricted = chosen(table, level="logits", measure="restricted_loss", split="test")
    key, random = (chosen(restricted, selection=s).iloc[0] for s in ("key", "random"))
    assert key["loss"] == pytest.approx(random["loss_min"], rel=0.02)


def test_a_random_network_has_no_key_representation():
    snapshot = random_snapshot(hand_built.composition("S4"), d_model=64, d_mlp=128)
    assert character_similarity(snapshot)["fraction_explained"].max() < 0.005
    spectrum = representation_spectrum(snapshot)
    embedding = chosen(spectrum, part="left_embedding").iloc[1:]
    np.testing.assert_allclose(embedding["share"], embedding["dimension"] ** 2 / 24, rtol=0.25)
    assert chosen(spectrum, part="hidden_product")["share"].sum() < 0.1
    table = representation_losses(snapshot)
    restricted = chosen(table, measure="restricted_loss", selection="single")
    np.testing.assert_allclose(restricted["loss"], np.log(24), atol=0.05)
    assert (chosen(table, selection="causal")["n_representations"] == 0).all()
    assert "random" not in set(table["selection"])


# --- equality with the Fourier probes


def addition_tasks():
    fields = {"train_fraction": 0.4, "equals_token": True, "separate_vocabularies": False}
    fields |= {"corrupted_fraction": 0.0, "split": "shuffle", "split_seed": 0}
    yield pytest.param(hand_built.addition(13), id="addition mod 13")
    # A group of even order, with residues that name no element.
    yield pytest.param(hand_built.addition(13, operation="multiply"), id="multiplication mod 13")
    yield pytest.param(hand_built.addition(13, operation="subtract"), id="subtraction mod 13")
    yield pytest.param(hand_built.addition(13, corrupted_fraction=0.2), id="corrupted")
    yield pytest.param(GroupConfig(group="C13", **fields).task(), id="the group C13")


def as_names(frequencies, n):
    return ["sign" if 2 * k == n else f"k={k}" for k in frequencies]


@pytest.mark.parametrize("task", list(addition_tasks()))
def test_on_residues_every_number_is_that_of_the_fourier_probe(task):
    snapshot = random_snapshot(task, n_heads=4, seed=3)
    n = task.structure.order
    names = as_names(range(1, n // 2 + 1), n)

    fourier, groups = logit_spectrum(snapshot), character_similarity(snapshot).set_index("representation")
    for column in ("coefficient", "fraction_explained"):
        np.testing.assert_allclose(
            groups.loc[names, column], fourier[column], rtol=1e-9, atol=1e-12, err_msg=column
        )

    spectrum = chosen(representation_spectrum(snapshot), part="left_embedding").set_index("representation")
    fourier = embedding_spectrum(snapshot)
    for column in ("power", "fraction"):
        np.testing.assert_allclose(spectrum.loc[names, column], fourier[column], rtol=1e-9)

    frequencies = [2, n // 2]
    fourier = progress_measures(snapshot, frequencies=frequencies)
    key = as_names(frequencies, n)
    groups = representation_losses(snapshot, representations=key)
    biased = representation_losses(snapshot, representations=["trivial", *key])
    splits = fourier["split"].unique().tolist()
    assert {"train", "test", "all"} == set(splits)

    def want(measure, split, selection="key"):
        return chosen(fourier, measure=measure, split=split, selection=selection)["loss"].tolist()

    for split in splits:
        # The bias correction of Nanda et al. is the part of the trivial representation.
        found = the_loss(biased, "logits", "restricted_loss", "key", split)
        assert [found] == pytest.approx(want("restricted_loss", split), rel=1e-12)
        assert found != pytest.approx(the_loss(groups, "logits", "restricted_loss", "key", split), rel=1e-6)
        found = the_loss(groups, "characters", "restricted_loss", "key", split)
        assert [found] == pytest.approx(want("trig_loss", split), rel=1e-12)
    for level, measure in (("logits", "excluded_loss"), ("characters", "trig_excluded_loss")):
        found = the_loss(groups, level, "excluded_loss", "key", "train")
        assert [found] == pytest.approx(want(measure, "train"), rel=1e-12)
    alone = [the_loss(groups, "logits", "excluded_loss", "single", "train", name) for name in names]
    assert alone == pytest.approx(want("excluded_loss", "train", "single"), rel=1e-12)


# --- oracles


def dense_projector(columns):
    """The projector onto the span of columns that may depend on each other."""
    return columns @ torch.linalg.pinv(columns)


@pytest.mark.parametrize("group", EVERY_KIND)
@pytest.mark.parametrize("n_heads", [0, 4])
def test_every_number_is_that_of_dense_projectors(group, n_heads):
    task = hand_built.composition(group, equals_token=True)
    snapshot = random_snapshot(task, n_heads=n_heads, seed=5)
    found_group = named_group(group)
    n, table = found_group.order, found_group.table
    a, b = task.config.pairs().T
    logits = snapshot.logits.double()
    hidden = snapshot.neurons.double()
    weights = {name: w.double() for name, w in snapshot.weights.items()}
    d = snapshot.config.d_model
    if n_heads:
        onto = weights["blocks.0.mlp.W_out"] @ weights["unembed.W_U"]
        left, right = weights["embed.W_E"][:n], weights["embed.W_E"][n : 2 * n]
    else:
        onto, rows = weights["unembed.W_U"], weights["blocks.0.mlp.W_in"]
        left, right = weights["embed.W_E"][:n] @ rows[:d], weights["embed.W_E"][n : 2 * n] @ rows[d : 2 * d]
    spectrum = representation_spectrum(snapshot).set_index(["part", "representation"])["share"]
    similarity = character_similarity(snapshot).set_index("representation")
    key = names_of(group)[-2:]
    measured = representation_losses(snapshot, representations=key)

    labels, is_train = task.labels, task.split
    kept = {"hidden": torch.zeros(n * n, n).double(), "logits": torch.zeros(n * n, n).double()}
    for r in irreducible_representations(found_group):
        entries = r.matrices.reshape(n, -1)
        for part, x in (("left_embedding", left), ("right_embedding", right), ("unembedding", onto.T)):
            share = (dense_projector(entries) @ x).square().sum() / x.square().sum()
            assert spectrum[part, r.name] == pytest.approx(share.item(), rel=1e-9)
        centred = hidden - hidden.mean(0)
        of = {"hidden_left": a, "hidden_right": b, "hidden_product": table[a, b]}
        for part, index in of.items():
            share = (dense_projector(entries[index]) @ centred).square().sum() / centred.square().sum()
            assert spectrum[part, r.name] == pytest.approx(share.item(), rel=1e-9, abs=1e-15)
        if r.name in key:
            projector = dense_projector(entries[table[a, b]])
            kept["hidden"] += projector @ hidden @ onto
            kept["logits"] += projector @ logits
        if r.name != "trivial":
            traces = torch.einsum(
                "xii->x",
                r.matrices[table[a, b]][:, None]
                .expand(-1, n, -1, -1)
                .reshape(n * n * n, r.dimension, r.dimension)
                @ r.matrices[found_group.inverse].repeat(n * n, 1, 1),
            )
            cube = (logits - logits.mean(1, keepdim=True)).flatten()
            cosine = torch.nn.functional.cosine_similarity(cube, traces, dim=0).item()
            assert similarity.loc[r.name, "similarity"] == pytest.approx(cosine, rel=1e-9, abs=1e-14)

    for level, base in (("hidden", hidden @ onto), ("logits", logits)):
        for split, rows in (("train", is_train), ("test", ~is_train), ("all", is_train | True)):
            want = torch.nn.functional.cross_entropy(kept[level][rows], labels[rows]).item()
            assert the_loss(measured, level, "restricted_loss", "key", split) == pytest.approx(want, rel=1e-9)
        want = torch.nn.functional.cross_entropy((base - kept[level])[is_train], labels[is_train]).item()
        assert the_loss(measured, level, "excluded_loss", "key", "train") == pytest.approx(want, rel=1e-9)


@pytest.mark.parametrize("group", EVERY_KIND)
def test_all_representations_together_are_the_whole(group):
    snapshot = random_snapshot(hand_built.composition(group), seed=2)
    spectrum = representation_spectrum(snapshot)
    sums = spectrum.groupby("part")["share"].sum()
    assert sums[["left_embedding", "right_embedding", "unembedding"]].tolist() == pytest.approx([1, 1, 1])
    assert (spectrum.groupby("part")["n_functions"].sum() == snapshot.once(Elements).n).all()
    fractions = spectrum.groupby("part")["fraction"].sum()
    assert fractions[["left_embedding", "right_embedding", "unembedding"]].tolist() == pytest.approx([1] * 3)
    elements = snapshot.once(Elements)
    centred = elements.neurons - elements.neurons.mean((0, 1))
    shares = [x.var(0, correction=0).sum() for x in (centred.mean(1), centred.mean(0))]
    want = [(share / centred.square().mean((0, 1)).sum()).item() for share in shares]
    assert sums[["hidden_left", "hidden_right"]].tolist() == pytest.approx(want)

    measured = representation_losses(snapshot, representations=names_of(group))
    mean = elements.mean_over_product(elements.logit_cube)
    s = torch.arange(elements.n)
    restricted = the_loss(measured, "logits", "restricted_loss", "key", "all")
    assert restricted == pytest.approx(-mean.log_softmax(1)[s, s].mean().item())
    rest = elements.logit_cube - mean[elements.products]
    rows = elements.table(snapshot.is_train)
    want = torch.nn.functional.cross_entropy(rest[rows], elements.products[rows]).item()
    assert the_loss(measured, "logits", "excluded_loss", "key", "train") == pytest.approx(want)


def test_hidden_and_logit_level_are_one_in_the_network_of_the_paper():
    measured = representation_losses(
        random_snapshot(hand_built.composition("S4"), mlp_bias=False), representations=["standard", "sign"]
    )
    levels = [chosen(measured, level=level).drop(columns="level") for level in ("hidden", "logits")]
    # Neurons and logits are float32, each rounded where it is made.
    np.testing.assert_allclose(levels[0]["loss"], levels[1]["loss"], rtol=1e-6)


def test_logits_of_the_cube_are_read_by_product():
    """The trace cube as kept activation: rows of the task are pairs in any order, outputs may exceed the answers."""
    task = hand_built.composition("S3")
    config = hand_built.group_mlp(task, d_model=4, d_mlp=4, d_vocab_out=8)
    snapshot = Snapshot(0, initial_weights(config, 0), DescribedNetwork(config), task)
    group = named_group("S3")
    cube = trace_table(group, irreducible_representations(group)[-1])[group.table]
    extra = torch.full((36, 2), 50.0)
    snapshot.activation.kept["hook_unembed"] = torch.cat([cube.reshape(36, 6).float(), extra], 1)
    found = character_similarity(snapshot).set_index("representation")
    assert found.loc["standard", "fraction_explained"] == pytest.approx(1, abs=1e-6)
    assert found.loc["sign", "fraction_explained"] == pytest.approx(0, abs=1e-12)


# --- cosets


def coset_reader(group, mask, *, noise=0.0, exchanged=False, d_mlp=6):
    """A network whose neurons read the left operand by right cosets of H and the right one by left cosets."""
    task = hand_built.composition(group)
    n, finite = task.config.n_answers, named_group(group)
    members = mask.nonzero().squeeze(1)
    # The smallest element of H∘g names its right coset, that of g∘H the left one.
    names = [finite.table[members].amin(0), finite.table[:, members].amin(1)]
    config = hand_built.group_mlp(task, d_model=n, d_mlp=d_mlp, mlp_bias=True)
    weights = initial_weights(config, 0)
    weights["embed.W_E"] = torch.eye(n).repeat(2, 1)
    draw = torch.Generator().manual_seed(1)
    values = torch.randn(2, n, d_mlp, generator=draw)
    values = torch.cat([values[i][names[i ^ exchanged]] for i in (0, 1)])
    weights["blocks.0.mlp.W_in"] = values + noise * torch.randn(2 * n, d_mlp, generator=draw)
    weights["blocks.0.mlp.b_in"] = torch.full((d_mlp,), 7.0)
    return Snapshot(0, weights, DescribedNetwork(config), task)


def fixes_a_point(group="S4"):
    """The stabilizer of 0, which is not normal: left and right cosets differ."""
    return torch.tensor([name[0] == "0" for name in named_group(group).elements])


def test_neurons_that_read_cosets_are_concentrated_on_them():
    mask = fixes_a_point()
    table = coset_concentration(coset_reader("S4", mask))
    assert table.groupby("side").size().to_dict() == {"left": 6, "right": 6}
    assert (table["concentration"] < 1e-10).all()
    masks = subgroups(named_group("S4"))
    # Any subgroup of H does as well.
    assert all(bool((masks[i] <= mask).all()) for i in table["subgroup"])
    assert table["subgroup_order"].tolist() == [int(masks[i].sum()) for i in table["subgroup"]]
    assert (table["variance"] > 0).all()
    noisy = coset_concentration(coset_reader("S4", mask, noise=0.05))
    assert noisy["concentration"].between(1e-6, 0.2).all()
    assert set(noisy["subgroup_order"]) <= {2, 3, 6}


def test_left_and_right_cosets_are_told_apart():
    """Left cosets of the stabilizer of a point are not its right ones: read the wrong way round nothing fits."""
    exchanged = coset_concentration(coset_reader("S4", fixes_a_point(), exchanged=True))
    masks = subgroups(named_group("S4"))
    found = {tuple(masks[i].tolist()) for i in exchanged["subgroup"]}
    assert tuple(fixes_a_point().tolist()) not in found
    # Four values drawn for four cosets may happen to be close to each other.
    assert exchanged["concentration"].median() > 0.1
    assert exchanged["concentration"].min() > 1e-8


def test_the_sign_is_a_function_of_cosets_of_the_even_permutations():
    table = coset_concentration(hand_built.characters({"sign": 1.0}))
    assert (table["concentration"] == 0).all()
    masks, elements = subgroups(named_group("S4")), named_group("S4").elements
    is_even = torch.tensor([sum(x > y for x, y in itertools.combinations(e, 2)) % 2 == 0 for e in elements])
    assert all(bool((masks[i] <= is_even).all()) for i in table["subgroup"])


def test_random_neurons_are_spread_over_the_cosets():
    table = coset_concentration(random_snapshot(hand_built.composition("S4"), d_model=64, d_mlp=64))
    assert table["concentration"].median() > 1.0
    assert table["concentration"].min() > 0.5


def test_concentration_is_the_sum_of_variances_within_cosets():
    snapshot = random_snapshot(hand_built.composition("D5"), seed=4, d_mlp=3)
    table = coset_concentration(snapshot).set_index(["side", "neuron"])
    group = named_group("D5")
    n = group.order
    masks = subgroups(group)
    w_e, w_in = snapshot.weights["embed.W_E"].double(), snapshot.weights["blocks.0.mlp.W_in"].double()
    values = {"left": w_e[:n] @ w_in[:16], "right": w_e[n:] @ w_in[16:]}
    for side, neuron in itertools.product(("left", "right"), range(3)):
        x = values[side][:, neuron].numpy()
        found = {}
        for i, mask in enumerate(masks[1:-1], start=1):
            members = mask.nonzero().squeeze(1).tolist()
            product = {
                "left": lambda g, h: group.table[h, g].item(),
                "right": lambda g, h: group.table[g, h].item(),
            }[side]
            cosets = {frozenset(product(g, h) for h in members) for g in range(n)}
            found[i] = sum(np.var(x[list(coset)]) for coset in cosets) / np.var(x)
        best = min(found, key=found.get)
        assert table.loc[(side, neuron), "concentration"] == pytest.approx(found[best], rel=1e-9)
        assert table.loc[(side, neuron), "subgroup"] == best
        assert table.loc[(side, neuron), "variance"] == pytest.approx(np.var(x), rel=1e-9)


def test_a_dead_neuron_is_concentrated_on_nothing():
    reader = coset_reader("S4", fixes_a_point(), noise=0.1)
    reader.weights["blocks.0.mlp.W_in"][:24, 2] = 0.7
    table = coset_concentration(reader).set_index(["side", "neuron"])
    assert np.isnan(table.loc[("left", 2), "concentration"])
    assert table.loc[("left", 2), ["subgroup", "subgroup_order"]].tolist() == [-1, 0]
    assert table["concentration"].isna().sum() == 1


@pytest.mark.parametrize(
    ("snapshot", "why"),
    [
        (lambda: random_snapshot(hand_built.composition("C13")), "C13 has no subgroups but itself"),
        (lambda: random_snapshot(hand_built.composition("S3"), n_heads=4), "Only in an attention-free MLP"),
        (lambda: random_snapshot(hand_built.composition("S3"), n_layers=2), "of one hidden layer"),
    ],
)
def test_where_cosets_say_nothing(snapshot, why):
    with pytest.raises(NotApplicable, match=why):
        coset_concentration(snapshot())


# --- views


@pytest.mark.parametrize("one_hot", [False, True])
def test_preactivations_are_the_neurons_inputs(one_hot):
    task = hand_built.composition("S3", equals_token=True)
    changes = {"one_hot_embed": True, "d_model": task.config.n_tokens} if one_hot else {}
    snapshot = random_snapshot(task, **changes)
    snapshot.weights["blocks.0.mlp.b_in"].copy_(torch.linspace(-1, 1, 24))
    left, right = snapshot.once(Elements).preactivations
    whole = snapshot.activation("blocks.0.mlp.hook_pre").reshape(6, 6, -1).double()
    torch.testing.assert_close(left[:, None] + right, whole, atol=1e-5, rtol=0)


def test_a_network_of_which_nothing_is_known_has_its_logits():
    task = hand_built.composition("S3")

    class Module(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = torch.nn.Parameter(torch.zeros(1))

        def forward(self, pairs):
            answers = named_group("S3").table[pairs[:, 0], pairs[:, 1] - 6]
            return 9.0 * torch.nn.functional.one_hot(answers, 6).float() + self.weight

    from interp.networks.hooked_module import HookedModule

    snapshot = snapshot_of_module(
        0, HookedModule(Module()), task, inputs=lambda x: x, neurons=None, pattern=None
    )
    found = character_similarity(snapshot)
    # The regular representation: each representation as often as its dimension, but for the trivial one.
    np.testing.assert_allclose(found["fraction_explained"], found["dimension"] ** 2 / 5)
    assert set(representation_losses(snapshot)["level"]) == {"logits", "characters"}
    with pytest.raises(NotApplicable, match="no weight that is known to be W_E"):
        representation_spectrum(snapshot)
    with pytest.raises(NotApplicable, match="Only in an attention-free MLP"):
        coset_concentration(snapshot)


def test_a_transformer_without_neurons_has_its_embeddings():
    task = hand_built.composition("S3", equals_token=True)
    snapshot = random_snapshot(task, n_heads=4, d_mlp=0)
    assert set(representation_spectrum(snapshot)["part"]) == {"left_embedding", "right_embedding"}
    assert set(representation_losses(snapshot)["level"]) == {"logits", "characters"}


@pytest.mark.parametrize(
    "probe", [character_similarity, representation_spectrum, representation_losses, coset_concentration]
)
def test_what_is_no_product_has_no_representations(probe):
    snapshot = random_snapshot(hand_built.addition(13, operation="x2+xy+y2"), n_heads=4)
    with pytest.raises(NotApplicable, match="no product in a group"):
        probe(snapshot)


def test_a_representation_that_the_group_does_not_have_is_refused():
    with pytest.raises(ValueError, match=r"are trivial, sign, standard, got 'k=1'"):
        representation_losses(random_snapshot(hand_built.composition("S3")), representations=["k=1"])


def test_without_a_split_there_are_no_excluded_losses():
    task = hand_built.composition("S3", train_fraction=None, split="unknown")
    table = representation_losses(random_snapshot(task), representations=["sign"])
    assert set(table["split"]) == {"all"}
    assert set(table["measure"]) == {"restricted_loss"}


def test_a_snapshot_is_freed_with_its_view():
    snapshot = random_snapshot(hand_built.composition("S3"))
    elements = snapshot.once(Elements)
    assert elements.logits.shape == (6, 6, 6)
    kept = weakref.ref(snapshot)
    gc.disable()  # freed by reference counts: nothing waits for the collector
    try:
        del snapshot
        assert kept() is None
    finally:
        gc.enable()
