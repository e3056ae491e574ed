"""Probes of digits find the carry of an adder that was built by hand, and none in one that adds without."""

import dataclasses
from contextlib import suppress

import numpy as np
import pytest
import torch

from interp.measurement.standard import DIGITS, STANDARD
from interp.networks import plain
from interp.networks.hooked import HookedNetwork
from interp.networks.network import DescribedNetwork
from interp.probes import named
from interp.probes.answers.losses import losses
from interp.probes.digits.carry_patching import carry_patching
from interp.probes.digits.carry_readout import carry_readout
from interp.probes.digits.digit_attention import digit_attention
from interp.probes.digits.digit_losses import digit_losses
from interp.probes.digits.digit_spectrum import digit_spectrum
from interp.snapshots.places import Places
from interp.snapshots.snapshot import NotApplicable, Snapshot
from interp.tasks.task import relabelled
from tests import hand_built
from tests.hand_built_digits import GAIN, adder, random_adder, sums

EVERY_ADDER = [
    pytest.param(
        {"operation": operation, "padding": padding, "answer_order": order, **size}, id=f"{operation} {order} {i}"
    )
    for operation in ("add", "subtract")
    for order in ("least", "most")
    for i, (padding, size) in enumerate(
        (
            (False, {"base": 10}),
            (True, {"base": 2, "n_digits": 6}),
            (False, {"n_digits": 1, "n_train": 30, "n_test": 19}),
        )
    )
]  # fmt: skip


@pytest.fixture(scope="module")
def carrying():
    return adder()


@pytest.fixture(scope="module")
def looking_through():
    """Most significant digit first."""
    return adder(answer_order="most")


@pytest.fixture(scope="module")
def carry_free():
    return adder(carries=False)


@pytest.fixture(scope="module")
def untrained():
    return random_adder(n_train=600, n_test=600)


def of(table, **values):
    for column, value in values.items():
        table = table[table[column] == value]
    return table


# --- the networks themselves


@pytest.mark.parametrize("changes", EVERY_ADDER)
def test_an_adder_that_is_built_by_hand_answers_all(changes):
    snapshot = adder(**changes)
    # One logit of 20 among zeros; digits and flags are whole numbers, exact in float32.
    expected = np.log1p((changes.get("base", 7) - 1) * np.exp(-GAIN))
    assert snapshot.losses.numpy() == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("changes", EVERY_ADDER)
def test_one_that_does_not_carry_is_wrong_with_every_carry_and_right_without(changes):
    snapshot = adder(carries=False, **changes)
    carry_in = snapshot.task.structure.carry_in
    assert torch.equal(snapshot.answers == snapshot.labels, carry_in == 0)


@pytest.mark.parametrize("changes", [case for case in EVERY_ADDER if "most" in case.id])
def test_one_that_looks_at_the_pair_below_alone_misses_what_that_one_hands_on(changes):
    snapshot = adder(looks_through=False, **changes)
    s = snapshot.task.structure
    assert torch.equal(snapshot.answers == snapshot.labels, (s.carry_in == 0) | (s.chain_length == 0))


# --- losses by digit and carry


def test_losses_by_carry(carrying, carry_free):
    assert (digit_losses(carrying)["accuracy"] == 1).all()
    table = digit_losses(carry_free)
    has_carry = table["carry"].isin(["carry", "carry through 1", "carry through 2"])
    assert (table[has_carry]["accuracy"] == 0).all()
    # What comes instead has the logit of 20.
    np.testing.assert_allclose(table[has_carry]["loss"], GAIN, rtol=1e-6)
    assert (table[table["carry"].str.startswith("no carry")]["accuracy"] == 1).all()
    assert of(table, split="all", digit="0", carry="all")["accuracy"].item() == 1
    top = of(table, split="all", digit="3", carry="all")["accuracy"].item()
    assert top == (carry_free.task.structure.carry[:, 3] == 0).double().mean().item()


def test_losses_where_a_carry_is_handed_on():
    table = digit_losses(adder(answer_order="most", looks_through=False))
    is_missed = table["carry"].isin(["carry through 1", "carry through 2"])
    assert (table[is_missed]["accuracy"] == 0).all() and is_missed.sum() > 3
    of_one_kind = table[~is_missed & (table["carry"] != "all")]
    assert (of_one_kind["accuracy"] == 1).all()


def test_parts_add_up_to_losses_and_are_those_of_the_task(untrained):
    table, whole = digit_losses(untrained), losses(untrained).set_index("split")
    parts, asked = untrained.task.parts, of(table, split="all", digit="all")
    for split in ("train", "test", "all"):
        found = of(table, split=split)
        assert of(found, digit="all", carry="all")["loss"].item() == pytest.approx(whole.loc[split, "loss"])
        for part in (of(found, carry="all"), of(found, digit="all")):
            part = part[(part["digit"] != "all") | (part["carry"] != "all")]
            assert (part["loss"] * part["n"]).sum() == pytest.approx(
                whole.loc[split, "loss"] * whole.loc[split, "n"]
            )
    assert set(asked["carry"]) - {"all"} == {name for name in parts if not name.startswith("digit")}
    for name, rows in parts.items():
        if name.startswith("digit"):
            continue
        row = of(asked, carry=name)
        assert row["n"].item() == int(rows.sum())
        assert row["loss"].item() == pytest.approx(untrained.losses[rows].mean().item())


def test_corrupted_questions_are_a_split_of_their_own():
    snapshot = adder(corrupted_fraction=0.25)
    table = digit_losses(snapshot)
    assert of(table, split="corrupted", digit="all", carry="all")["n"].item() == 120
    assert (of(table, split="corrupted")["accuracy"] == 0).all() and (
        of(table, split="train")["accuracy"] == 1
    ).all()


def test_random_labels_have_every_part_at_chance(carrying):
    generator = torch.Generator().manual_seed(0)
    task = relabelled(carrying.task, torch.randint(0, 7, carrying.labels.shape, generator=generator))
    table = of(digit_losses(dataclasses.replace(carrying, task=task)), split="all", carry="all")
    # 300 questions a digit and 1 of 7: within 4 standard errors of 0.02.
    assert np.abs(table["accuracy"] - 1 / 7).max() < 0.08


# --- attention


def test_heads_look_where_they_were_built_to(carrying):
    table = of(digit_attention(carrying), layer=0)
    for digit in (1, 2):
        for head, group in enumerate(("own", "own", "below", "below")):
            row = of(table, head=head, digit=digit, group=group)
            assert row["attention"].item() == 1 and row["attention_sd"].item() == 0
    for head in (0, 1):
        # The highest digit has no pair of its own: they look at the operator.
        assert of(table, head=head, digit=3, group="signs")["attention"].item() == 1
    assert set(of(table, digit=0)["group"]) == {"own", "higher", "signs"}
    assert set(of(table, digit=3)["group"]) == {"below", "lower", "answer", "signs"}


def test_heads_look_through_all_lower_pairs(looking_through):
    table = of(digit_attention(looking_through), layer=0)
    for digit, below in ((1, 1), (2, 7 / 8), (3, 49 / 57)):
        for head in (2, 3):
            rows = of(table, head=head, digit=digit).set_index("group")["attention"]
            # At each digit 7 times the attention of the next lower one. 1e-4: scores near 500 in float32.
            assert rows["below"] == pytest.approx(below, abs=1e-4)
            assert rows.get("lower", 0) == pytest.approx(1 - below, abs=1e-4)
    assert of(table, digit=0, head=2, group="signs")["attention"].item() == pytest.approx(1)
    assert set(of(table, digit=0)["group"]) == {"own", "higher", "answer", "signs"}


@pytest.mark.parametrize("order", ["most", "least"])
def test_an_untrained_network_looks_everywhere_alike(order):
    snapshot = random_adder(answer_order=order, n_digits=4)
    table = digit_attention(snapshot)
    # Nanda's initialization: scores of N(0, 1 / d_head) or so, here 1/8; an eighth of the weights moves.
    assert np.abs(table["attention"] / table["uniform"] - 1).mean() < 0.4
    sums = table.groupby(["layer", "head", "digit"])[["attention", "uniform", "n_positions"]].sum()
    np.testing.assert_allclose(sums[["attention", "uniform"]], 1, rtol=1e-6)
    seen = {digit: 10 + (4 - digit if order == "most" else digit) for digit in range(5)}
    assert (sums["n_positions"] == [seen[digit] for _, _, digit in sums.index]).all()


def test_groups_by_the_tokens_that_stand_there():
    """Ablated attention to a group moves nothing unless the group's tokens do: groups named by tokens, another way."""
    snapshot = random_adder(base=10, n_digits=2, answer_order="most")
    columns = snapshot.once(Places).columns.tolist()
    assert columns == [7, 6, 5]
    pattern = snapshot.pattern[:, 0, 0]
    # Rows are a1 a0 + b1 b0 = s2 s1; the question about digit 1 stands at s2.
    asked = pattern[snapshot.task.structure.place == 1].double().mean(0)
    table = of(digit_attention(snapshot), layer=0, head=0, digit=1).set_index("group")["attention"]
    expected = {"own": (0, 3), "below": (1, 4), "answer": (6,), "signs": (2, 5)}
    assert table.to_dict() == {
        group: pytest.approx(asked[list(at)].sum().item()) for group, at in expected.items()
    }


# --- reading a carry off


@pytest.mark.parametrize("network", ["carrying", "looking_through"])
def test_a_carry_is_read_where_it_is_written(network, request):
    table = of(carry_readout(request.getfixturevalue(network)), is_question=True)
    behind = table[(table["layer"] == 1) | (table["stream"] != "pre")]
    # In front of the neurons that look through all lower pairs there is a number, in which a line finds most carries.
    is_sum = (behind["layer"] == 0) & (network == "looking_through")
    assert (behind[~is_sum]["accuracy"] == 1).all() and (behind["accuracy"] > 0.95).all()
    # 180 rows and random labels of 49 pairs: the line has nothing to hold on to.
    assert (behind["control"] < 0.75).all() and (behind["selectivity"] > 0.25).all()
    before = of(table, layer=0, stream="pre")
    assert (before["accuracy"] < 0.9).all()


def test_a_position_that_sees_nothing_reads_nothing(carrying):
    table = carry_readout(carrying)
    # At the first digit of a there is the highest digit alone, at "=" in the embedding nothing at all.
    nothing = of(table, layer=0, stream="pre", position=7)
    # 1e-9: two means of the same 180 rows.
    assert (nothing["accuracy"] <= nothing["majority"] + 1e-9).all()
    lowest = of(table, layer=0, stream="pre", position=0, digit=1)
    # 180 rows: within 4 standard errors of 0.04.
    assert lowest["accuracy"].item() < lowest["majority"].item() + 0.16


def test_the_control_and_a_linear_network(untrained):
    table = of(carry_readout(untrained), is_question=True, stream="mid")
    # The trap that the docstring tells of: a sum of embeddings holds both digits, and a carry is nearly linear in them.
    assert (table["selectivity"] > 0.1).all()
    assert (table["control"] < table["accuracy"]).all()


@pytest.mark.parametrize("is_known", [True, False])
def test_a_readout_is_the_ridge_regression_that_numpy_finds(untrained, is_known):
    if not is_known:
        untrained = dataclasses.replace(untrained, task=dataclasses.replace(untrained.task, is_train=None))
    places = untrained.once(Places)
    table = of(carry_readout(untrained, n_controls=1), layer=0, stream="mid", position=8, digit=1)
    assert table["asked"].item() == ("test" if is_known else "half")
    assert table["n_fitted"].item() == table["n_asked"].item() == 600
    # Rows are drawn train ones first.
    order = np.arange(1200) if is_known else np.random.default_rng([0, 1]).permutation(1200)
    x = places.stream["blocks.0.hook_resid_mid"][:, 8].double().numpy()[order]
    y = untrained.task.structure.carry[:, 1].double().numpy()[order]
    mean = x[:600].mean(0)
    size = ((x[:600] - mean) ** 2).sum(0).mean()
    # Ridge as rows that ask for zeros.
    rows = np.vstack([x[:600] - mean, np.sqrt(1e-3 * size) * np.eye(x.shape[1])])
    weights = np.linalg.lstsq(rows, np.r_[y[:600] - y[:600].mean(), np.zeros(x.shape[1])], rcond=None)[0]
    said = (x[600:] - mean) @ weights + y[:600].mean() > 0.5
    assert table["accuracy"].item() == (said == (y[600:] > 0.5)).mean()
    assert table["majority"].item() == max(y[600:].mean(), 1 - y[600:].mean())


def test_large_tasks_are_read_on_a_part_of_their_rows():
    snapshot = random_adder(base=10, n_train=1500, n_test=1500)
    places = snapshot.once(Places)
    assert places.n_rows == 2000 == len(places.stream["blocks.0.hook_resid_pre"])
    assert places.rows.unique().numel() == 2000


@pytest.mark.parametrize(
    ("n_train", "n_test", "expected"),
    [(1500, 1500, 1000), (300, 2700, 300), (2700, 300, 1700), (300, 300, 300)],
)
def test_half_of_the_rows_that_are_read_are_train_if_there_are(n_train, n_test, expected):
    places = random_adder(base=10, n_train=n_train, n_test=n_test).once(Places)
    assert places.n_rows == min(2000, n_train + n_test)
    assert int(places.is_train[places.rows].sum()) == expected


def test_what_holds_of_train_rows_alone_is_not_read():
    snapshot = random_adder(n_train=200, n_test=200)
    places, carry = snapshot.once(Places), snapshot.task.structure.carry[:, 1:].float()
    by_chance = torch.randint(0, 2, carry.shape, generator=torch.Generator().manual_seed(0)).float()
    held = torch.where(places.is_train[:, None], carry, by_chance)
    stream = held[:, None].expand(-1, 10, -1)
    # Streams are computed once: this one takes their place.
    vars(places)["stream"] = {"blocks.0.hook_resid_pre": stream}
    table = carry_readout(snapshot)
    # 200 rows: within 4 standard errors of 0.035 of a half.
    assert np.abs(table["accuracy"] - 0.5).max() < 0.15
    vars(places)["stream"] = {"blocks.0.hook_resid_pre": carry[:, None].expand(-1, 10, -1)}
    assert (carry_readout(snapshot)["accuracy"] == 1).all()


# --- patching


@pytest.mark.parametrize("network", ["carrying", "looking_through"])
def test_the_layer_that_writes_the_carry_moves_the_answer(network, request):
    table = carry_patching(request.getfixturevalue(network))
    assert set(table["digit"]) == {1, 2, 3} and (table["both_right"] == 1).all()
    for layer, site in ((0, "mlp"), (0, "resid_post"), (1, "resid_pre"), (1, "mlp"), (1, "resid_post")):
        row = of(table, layer=layer, site=site)
        assert (row["moved"] == 1).all() and (row["kept"] == 0).all() and (row["null"] == 0).all()
        # The logits move by twice the whole 20: 1e-4 of it is float32's.
        np.testing.assert_allclose(row["effect"], 1, atol=1e-4)
    for layer, site in ((0, "head 0"), (0, "head 1"), (1, "head 2"), (1, "attention")):
        row = of(table, layer=layer, site=site)
        assert (row["moved"] == 0).all() and (row["kept"] == 1).all() and (row["null"] == 0).all()
    fetched = of(table, layer=0, site="head 2")
    assert (fetched["moved"] > fetched["null"]).all()
    both = of(table, layer=0, site="attention")
    # With the lowest first the token at the question says something of the carry too.
    assert (both["moved"] == 1).all() == (network == "looking_through")


def test_without_a_carry_nothing_moves(carry_free):
    table = carry_patching(carry_free)
    assert (table["moved"] == 0).all() and (table["null"] == 0).all() and (table["both_right"] == 0).all()
    assert table["effect"].isna().all()


@pytest.mark.parametrize("operation", ["add", "subtract"])
@pytest.mark.parametrize("order", ["most", "least"])
def test_the_last_stream_decides_the_answer(operation, order):
    snapshot = random_adder(operation=operation, answer_order=order, n_layers=2, padding=True)
    table = of(carry_patching(snapshot), layer=1, site="resid_post")
    # Whatever the network says of the donor it says under the patch: a difference that there is moves whole.
    np.testing.assert_allclose(table["effect"].dropna(), 1, atol=1e-5)


@pytest.mark.parametrize("operation", ["add", "subtract"])
def test_pairs_differ_by_a_carry_alone(operation):
    from interp.probes.digits.carry_patching import _pairs

    task = sums(operation=operation, answer_order="most", base=10)
    snapshot = Snapshot(0, random_adder(base=10).weights, random_adder(base=10).network, task)
    pairs = _pairs(snapshot.once(Places), task.config, 20, 0)
    base, sign = 10, 1 if operation == "add" else -1
    for i, digit in enumerate(pairs.digit.tolist()):
        rows = pairs.inputs[:, i].tolist()
        numbers = [[int("".join(map(str, row[j : j + 3]))) for j in (0, 4)] for row in rows]
        low = [(a % base**digit, b % base**digit) for a, b in numbers]
        carry = [int(a + b >= base**digit) if sign > 0 else int(a < b) for a, b in low]
        assert carry[0] == 1 - carry[1] == carry[2]
        assert {tuple(x // base**digit for x in pair) for pair in numbers} == {
            tuple(x // base**digit for x in numbers[0])
        }
        # Up to the question the answers are the same.
        asked = pairs.column[i]
        assert rows[0][7 : asked + 1] == rows[1][7 : asked + 1] == rows[2][7 : asked + 1]
        # The highest digit of a difference is the borrow itself.
        times = 1 if digit == 3 else sign
        assert (pairs.own[i] + times * (carry[1] - carry[0])) % base == pairs.moved[i]


# --- the embedding modulo the base


def test_circles_in_the_embedding_are_found_and_straight_tables_have_none():
    snapshot = random_adder(base=10, d_model=12)
    weights = {**snapshot.weights}
    t = 2 * torch.pi * 3 * torch.arange(10) / 10
    circle = torch.zeros_like(weights["embed.W_E"])
    circle[:10, :2] = torch.stack([t.cos(), t.sin()], 1)
    table = digit_spectrum(Snapshot(0, weights | {"embed.W_E": circle}, snapshot.network, snapshot.task))
    # 1e-6: cosines in float32.
    assert table["fraction"].tolist() == pytest.approx([0, 0, 1, 0, 0], abs=1e-6)
    assert table["fraction"].max() > table["null"].iloc[0]
    one_hot = torch.eye(12)
    table = digit_spectrum(Snapshot(0, weights | {"embed.W_E": one_hot}, snapshot.network, snapshot.task))
    # Two components of nine for each frequency, one for the last.
    assert table["fraction"].tolist() == pytest.approx([2 / 9, 2 / 9, 2 / 9, 2 / 9, 1 / 9])
    assert (table["fraction"] <= table["null"]).all()


def test_power_of_the_digits_is_that_of_the_matrix(untrained):
    matrix = untrained.weights["embed.W_E"][:7].double()
    # Parseval: what is left of the squares without the mean of the digits.
    assert digit_spectrum(untrained)["power"].sum() == pytest.approx(
        (matrix - matrix.mean(0)).square().sum().item()
    )
    assert np.isinf(digit_spectrum(random_adder(base=5))["null"]).all()


# --- what does not apply, and what it costs


@pytest.mark.parametrize("name", DIGITS)
def test_other_tasks_are_told(name):
    with pytest.raises(NotApplicable, match="are not numbers written in digits, so that probes of digits"):
        named(name)(hand_built.clock([1]))


def test_what_a_network_lacks_is_told():
    task = sums()
    mlp = hand_built.transformer_config(
        p=7, n_ctx=task.config.n_pos, d_vocab=9, n_layers=1, d_model=9, n_heads=0, d_mlp=8, act_fn="relu",
        one_hot_embed=True,
    )  # fmt: skip
    snapshot = Snapshot(0, hand_built.initial_weights(mlp, 0), DescribedNetwork(mlp), task)
    for probe, message in (
        (digit_attention, "no attention"),
        (carry_readout, "no residual stream"),
        (carry_patching, "no residual stream"),
        (digit_spectrum, "no embedding of its tokens"),
    ):
        with pytest.raises(NotApplicable, match=message):
            probe(snapshot)
    with pytest.raises(ValueError, match="n_pairs of at least 1, got 0"):
        carry_patching(adder(), n_pairs=0)
    with pytest.raises(ValueError, match="n_controls of at least 1, got 0"):
        carry_readout(adder(), n_controls=0)


def test_rows_without_two_carries_have_nothing_to_exchange():
    # One row of 1-digit numbers: it carries or it does not.
    snapshot = random_adder(n_digits=1, n_train=1, n_test=1, split_seed=2)
    assert snapshot.task.structure.carry[:, 1].unique().numel() == 1
    with pytest.raises(NotApplicable, match="no two carries into any digit"):
        carry_patching(snapshot)


# Five digits have room for sequences of tokens, whose probes would run the network on inputs of their own.
@pytest.mark.parametrize("n_digits", [2, 5])
def test_the_probes_of_a_checkpoint_take_four_forward_passes(n_digits, monkeypatch):
    n_rows = 300
    snapshot = random_adder(
        base=10, n_digits=n_digits, answer_order="most", d_model=16, n_train=n_rows // 2, n_test=n_rows // 2
    )
    passes = []
    whole, hooked = plain.forward, HookedNetwork.forward

    def counted(config, weights, inputs, *tap):
        passes.append(len(inputs))
        return whole(config, weights, inputs, *tap)

    def counted_too(self, inputs, *rest, **named):
        passes.append(len(inputs))
        return hooked(self, inputs, *rest, **named)

    monkeypatch.setattr(plain, "forward", counted)
    monkeypatch.setattr(HookedNetwork, "forward", counted_too)
    # Which compare with another checkpoint of a run: a snapshot by hand has none.
    of_runs = {"weight_distances"}
    for name in (*STANDARD, *DIGITS):
        with suppress(NotApplicable):
            if name not in of_runs:
                named(name)(snapshot)
    assert len(passes) == 4
    # In rows too: patching has many sites, each with few pairs, however many rows there are.
    assert sum(passes) <= 2 * n_rows + 4000
