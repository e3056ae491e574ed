"""Geometry probes against the full Hessian, explicit Jacobians, single rows' gradients and counted sign changes."""

import dataclasses
import math
from importlib import import_module

import numpy as np
import pytest
import torch

from interp.networks.answers import answer_logits
from interp.networks.network import DescribedNetwork
from interp.probes.landscape.compressibility import compressibility
from interp.probes.landscape.gradient_statistics import collapsed_fraction, gradient_statistics, noise_traces
from interp.probes.landscape.kernel_distance import (
    centred_alignment,
    kernel_distance,
    linearization_error,
    sample_rows,
    tangent_kernel,
)
from interp.probes.landscape.local_complexity import local_complexity, switching_neurons
from interp.probes.landscape.loss import as_vector, as_weights, mean_loss, questions_of
from interp.probes.landscape.sharpness import largest_eigenvalue, sharpness
from interp.snapshots.snapshot import NotApplicable, Snapshot
from tests import hand_built

# Not an import: the package has the probe under this name.
compression = import_module("interp.probes.landscape.compressibility")


def tiny(**changes):
    """A random network of about 200 parameters."""
    return hand_built.random_network(5, d_model=4, d_mlp=6, **changes)


def double(snapshot):
    return {name: w.double() for name, w in snapshot.weights.items()}


def per_example_gradients(snapshot, split="train"):
    """(example, parameter) by one backward pass a row of the hooked model: another forward pass than the probe's."""
    questions = questions_of(snapshot, split)
    model = snapshot.model.double()
    gradients = []
    for token, label in zip(questions.inputs, questions.labels, strict=True):
        model.zero_grad()
        (-model(token[None])[0, -1].log_softmax(-1)[label]).backward()
        named = dict(model.named_parameters())
        gradients.append(torch.cat([named[name].grad.reshape(-1) for name in sorted(snapshot.weights)]))
    return torch.stack(gradients)


# --- sharpness ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("act_fn", ["gelu", "relu"])
def test_sharpness_is_the_largest_eigenvalue_of_the_full_hessian(act_fn):
    snapshot = tiny(act_fn=act_fn)
    weights = double(snapshot)
    loss = mean_loss(snapshot.config, questions_of(snapshot, "train"))
    hessian = torch.autograd.functional.hessian(lambda x: loss(as_weights(x, weights)), as_vector(weights))
    expected = torch.linalg.eigvalsh(hessian)[-1].item()
    row = sharpness(snapshot, tolerance=1e-8).iloc[0]
    # 1e-6: looser than the tolerance asked for, as the full Hessian has rounding of its own.
    assert row["eigenvalue"] == pytest.approx(expected, rel=1e-6)
    assert row["relative_residual"] < 1e-3
    assert row["loss"] == pytest.approx(snapshot.losses[snapshot.is_train].mean().item(), rel=1e-6)
    assert row["per_loss"] == pytest.approx(row["eigenvalue"] / row["loss"])


def test_sharpness_is_algebraic_not_absolute():
    h = torch.tensor([-9.0, 1.0, 3.0, 0.5], dtype=torch.float64)
    found = largest_eigenvalue(
        lambda x: (h * x.square()).sum() / 2, torch.ones(4).double(), tolerance=1e-9, max_restarts=50, seed=0
    )
    assert found["eigenvalue"] == pytest.approx(3, rel=1e-9)


def test_sharpness_of_linear_and_of_constant_slope_is_zero():
    for loss in (lambda x: x.sum(), lambda x: (x.relu() * 2).sum()):
        found = largest_eigenvalue(loss, torch.ones(3).double(), tolerance=1e-3, max_restarts=9, seed=0)
        assert found["eigenvalue"] == 0


def test_sharpness_says_that_lanczos_has_not_converged():
    h = 1 - torch.arange(400).double() * 1e-9
    with pytest.raises(
        ValueError, match=r"tolerance of 1e-15, it did not in 1 restarts .* Raise tolerance or max_restarts"
    ):
        largest_eigenvalue(
            lambda x: (h * x.square()).sum(),
            torch.ones(400).double(),
            tolerance=1e-15,
            max_restarts=1,
            seed=0,
        )


# --- gradients ---------------------------------------------------------------------------------------------------


def test_gradient_statistics_against_single_rows_gradients():
    snapshot = tiny(act_fn="gelu")
    g = per_example_gradients(snapshot)
    mean, test = g.mean(0), per_example_gradients(snapshot, "test").mean(0)
    w = as_vector(dict(sorted(double(snapshot).items())))
    sizes = [snapshot.weights[name].numel() for name in sorted(snapshot.weights)]
    table = gradient_statistics(snapshot, batch_size=1)
    assert table["matrix"].tolist() == [*sorted(snapshot.weights), "total"]
    parts = [x.split(sizes) for x in ((g - mean).T, mean, test, w)]
    everything = [[(g - mean).T, mean, test, w]]
    for row, (d, m, t, v) in zip(
        table.to_dict("records"), [*zip(*parts, strict=True), *everything], strict=True
    ):
        # 1e-9: float64 throughout, two forward passes that sum in different orders.
        approx = lambda x: pytest.approx(float(x), rel=1e-9, abs=1e-12, nan_ok=True)  # noqa: E731
        assert row["norm"] == approx(m.norm())
        assert row["test_norm"] == approx(t.norm())
        assert row["alignment"] == approx(m @ t / m.norm() / t.norm())
        assert row["noise_scale"] == approx(d.square().sum(0).mean() / m.square().sum())
        assert row["weight_cosine"] == approx(-m @ v / m.norm() / v.norm())
        assert row["decay_ratio"] == approx(-(m @ v) / (v @ v))


def test_noise_from_batches_is_unbiased():
    snapshot = tiny()
    args = (snapshot.config, double(snapshot), questions_of(snapshot, "train"))
    exact = sum(noise_traces(*args, batch_size=1, seed=0).values())
    found = torch.stack([sum(noise_traces(*args, batch_size=3, seed=s).values()) for s in range(60)])
    error = found.std() / 60**0.5
    assert error < 0.1 * exact
    # 4 standard errors: false alarms of a fixed seed do not come and go.
    assert abs(found.mean() - exact) < 4 * error


def test_gradient_statistics_of_one_matrix_alone_do_not_depend_on_order_of_the_weights():
    snapshot = tiny()
    turned = Snapshot(0, dict(reversed(snapshot.weights.items())), snapshot.network, snapshot.task)
    # 1e-12: nothing but the order of a dict differs.
    np.testing.assert_allclose(
        gradient_statistics(snapshot, batch_size=2).iloc[:, 1:],
        gradient_statistics(turned, batch_size=2).iloc[:, 1:],
        rtol=1e-12,
    )


def test_memorizer_collapses_when_its_logits_are_large_and_lowers_its_loss_by_growing():
    confident = gradient_statistics(hand_built.memorizer(7, scale=30.0), batch_size=2).set_index("matrix")
    modest = gradient_statistics(hand_built.memorizer(7, scale=5.0), batch_size=2).set_index("matrix")
    assert confident.loc["total", "collapsed_fraction"] == 1
    assert modest.loc["total", "collapsed_fraction"] == 0
    # Raising any of the table's entries raises the logit of that row alone: -gradient and W_out agree in sign.
    assert modest.loc["blocks.0.mlp.W_out", "weight_cosine"] > 0.3
    assert modest.loc["total", "decay_ratio"] > 0


def test_clock_gradients_agree_between_train_and_test_and_a_memorizers_do_not():
    clock = gradient_statistics(hand_built.clock([1, 2, 3])).set_index("matrix")
    memorizer = gradient_statistics(hand_built.memorizer()).set_index("matrix")
    assert clock.loc["total", "alignment"] > 0.7
    assert memorizer.loc["total", "alignment"] < 0
    # Averaged over all pairs a clock pushes no answer up: what the train rows want of b_out the test rows want undone.
    assert clock.loc["blocks.0.mlp.b_out", "alignment"] == pytest.approx(-1, abs=1e-6)


def test_collapse_is_about_the_largest_logit_in_float32():
    logits = torch.tensor([[0.0, 17.0], [0.0, 15.0], [40.0, 0.0]], dtype=torch.float64)
    # exp(-17) = 4e-8 is below half of float32's 1.2e-7 next to 1, exp(-15) = 3e-7 is above.
    assert collapsed_fraction(logits) == pytest.approx(2 / 3)


def test_gradient_noise_needs_two_batches():
    snapshot = tiny()
    args = (snapshot.config, snapshot.weights, questions_of(snapshot, "train"))
    for size in (0, 6):
        with pytest.raises(
            ValueError, match=rf"batch_size between 1 and half of the 10 train rows, got {size}"
        ):
            noise_traces(*args, batch_size=size, seed=0)
    with pytest.raises(ValueError, match=r"half of the 10 train rows, got 0"):
        gradient_statistics(snapshot, batch_size=0)
    assert len(gradient_statistics(snapshot, batch_size=99))


# --- kernels -----------------------------------------------------------------------------------------------------


def test_tangent_kernel_against_explicit_jacobian():
    snapshot = tiny()
    questions = questions_of(snapshot, "train")
    weights = double(snapshot)
    jacobian = torch.autograd.functional.jacobian(
        lambda x: answer_logits(snapshot.config, questions)(as_weights(x, weights)), as_vector(weights)
    )[torch.arange(len(questions.labels)), questions.labels]
    found = tangent_kernel(snapshot.config, weights, questions)
    torch.testing.assert_close(found, jacobian @ jacobian.T, rtol=1e-10, atol=1e-10)  # float64 throughout


def test_centred_alignment_against_an_explicit_centring_matrix():
    g = torch.Generator().manual_seed(0)
    x, y = (torch.randn(9, 3, generator=g, dtype=torch.float64) for _ in range(2))
    a, b = x @ x.T, y @ y.T
    h = torch.eye(9, dtype=torch.float64) - 1 / 9
    expected = ((h @ a @ h) * (h @ b @ h)).sum() / (h @ a @ h).norm() / (h @ b @ h).norm()
    assert centred_alignment(a, b) == pytest.approx(expected.item(), rel=1e-12)
    assert centred_alignment(a, 3 * a) == pytest.approx(1, rel=1e-12)
    assert math.isnan(centred_alignment(a, torch.ones(9, 9, dtype=torch.float64)))


def test_kernels_along_a_run(tiny_run):
    steps = (tiny_run.steps[0], tiny_run.steps[1], tiny_run.steps[-1])
    first, early, last = (
        kernel_distance(Snapshot.of(tiny_run, step), n_examples=40).set_index("kernel") for step in steps
    )
    for kernel in ("tangent", "features"):
        # 1e-9: a kernel against itself, float64 sums.
        assert first.loc[kernel, "initial_distance"] == pytest.approx(0, abs=1e-9)
        assert last.loc[kernel, "final_distance"] == pytest.approx(0, abs=1e-9)
        assert first.loc[kernel, "final_distance"] == pytest.approx(last.loc[kernel, "initial_distance"])
        assert 0 < early.loc[kernel, "initial_distance"] < last.loc[kernel, "initial_distance"]
    assert math.isnan(first.loc["tangent", "linearization_error"])
    assert 0 < early.loc["tangent", "linearization_error"] < 2


def test_linearization_is_exact_in_weights_that_enter_linearly_and_second_order_elsewhere():
    snapshot = tiny(act_fn="gelu")
    questions = questions_of(snapshot, "train")
    error = {}
    for name, size in (("unembed.W_U", 1.0), ("embed.W_E", 1e-3), ("embed.W_E", 1e-4)):
        moved = dict(snapshot.weights)
        shape = moved[name].shape
        moved[name] = moved[name] + size * torch.randn(shape, generator=torch.Generator().manual_seed(1))
        error[name, size] = linearization_error(snapshot.config, moved, snapshot.weights, questions)
    assert error["unembed.W_U", 1.0] < 1e-12
    # First-order remainder of a smooth function: 10 times smaller a step, 10 times smaller an error. Steps are cut
    # off at float32's resolution, hence 5 %.
    assert error["embed.W_E", 1e-3] / error["embed.W_E", 1e-4] == pytest.approx(10, rel=0.05)


def test_sample_is_half_train_and_the_same_each_time():
    snapshot = hand_built.random_network(13)
    rows = sample_rows(snapshot, 40, seed=3)
    assert len(rows.unique()) == 40 and snapshot.is_train[rows].sum() == 20
    assert rows.equal(sample_rows(snapshot, 40, seed=3)) and not rows.equal(sample_rows(snapshot, 40, seed=4))


def test_kernel_distance_without_run_or_sample(tiny_run):
    with pytest.raises(NotApplicable, match=r"Kernel distances need a run to compare checkpoints of"):
        kernel_distance(tiny())
    with pytest.raises(ValueError, match=r"sample of at least 2 examples, got n_examples=1"):
        kernel_distance(Snapshot.of(tiny_run, 0), n_examples=1)


# --- local complexity --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "config",
    [
        {},
        {"normalization_type": "LN"},
        {"n_layers": 2},
        {"act_fn": "gelu", "normalization_type": "LN", "norm_placement": "post", "n_layers": 2},
    ],
)
def test_local_complexity_counts_sign_changes_at_the_vertices(config):
    snapshot = hand_built.random_network(7, **config)
    block = f"blocks.{snapshot.config.n_layers - 1}"
    _, cache = snapshot.model.run_with_cache(snapshot.task.tokens)
    is_pre_norm = snapshot.config.normalization_type and snapshot.config.norm_placement == "pre"
    x = cache[f"{block}.ln2.hook_normalized" if is_pre_norm else f"{block}.hook_resid_mid"][:, -1].double()
    noise = torch.randn(16, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    v = torch.linalg.qr(noise).Q.T
    w, b = (snapshot.weights[f"{block}.mlp.{k}"].double() for k in ("W_in", "b_in"))
    table = local_complexity(snapshot, n_directions=5, absolute_radius=0.05, relative_radius=0.1, seed=2)
    found = table.set_index(["radius", "split"])["mean"]
    for radius in ("absolute", "relative"):
        r = torch.full((len(x), 1, 1), 0.05) if radius == "absolute" else 0.1 * x.norm(dim=1)[:, None, None]
        vertices = torch.cat([x[:, None] + r * v, x[:, None] - r * v], 1)
        is_positive = vertices @ w + b > 0
        counts = (is_positive.any(1) & ~is_positive.all(1)).sum(1).double()
        for split, mask in (("train", snapshot.is_train), ("test", ~snapshot.is_train)):
            # 1e-5 of a count: the probe's x is the factorized pass's, no vertex here lies on a kink.
            assert found[radius, split] == pytest.approx(counts[mask].mean().item(), abs=1e-5)
            assert found[radius, split] > 0


def test_local_complexity_of_attention_free_networks():
    for config in ({}, {"n_layers": 2}, {"one_hot_embed": True, "d_model": 8}):
        snapshot = mlp(**config)
        table = local_complexity(snapshot, n_directions=3, absolute_radius=1e6)
        # A ball that is larger than everything holds every neuron's kink.
        assert (table[table["radius"] == "absolute"]["mean"] == 32).all()


def mlp(**config):
    from interp.networks.config import initial_weights

    task = hand_built.addition(7)
    fields = {"d_model": 8, "n_heads": 0, "d_mlp": 32} | config
    made = hand_built.config_for(task, **fields)
    return Snapshot(0, initial_weights(made, 0), DescribedNetwork(made), task)


def test_local_complexity_of_a_linear_network_is_zero_and_of_dead_scales_too():
    snapshot = hand_built.random_network(7)
    weights = {**snapshot.weights, "blocks.0.mlp.b_in": torch.full((32,), 1e3)}  # every neuron always on
    linear = Snapshot(0, weights, snapshot.network, snapshot.task)
    assert (local_complexity(linear, n_directions=16, absolute_radius=1.0)["mean"] == 0).all()


def test_relative_radius_ignores_the_scale_of_the_weights_and_the_absolute_one_does_not():
    snapshot = hand_built.random_network(7)
    small = dict(snapshot.weights)
    # The residual stream shrinks by 2 (an exact factor), the MLP has no bias yet: the same function up to scale.
    for name in ("embed.W_E", "pos_embed.W_pos"):
        small[name] = small[name] / 2
    for name in ("W_Q", "W_K"):
        small[f"blocks.0.attn.{name}"] = small[f"blocks.0.attn.{name}"] * 2
    tables = [
        local_complexity(s, n_directions=5, absolute_radius=0.05, relative_radius=0.05).set_index(
            ["radius", "split"]
        )
        for s in (snapshot, Snapshot(0, small, snapshot.network, snapshot.task))
    ]
    for split in ("train", "test"):
        before, after = (t["mean"] for t in tables)
        assert before["relative", split] == after["relative", split]
        assert before["absolute", split] < after["absolute", split]


def test_switching_neurons_is_strict_inside_the_ball():
    slopes = torch.tensor([[1.0, 0.0], [-2.0, 0.0]])
    pre = torch.tensor([[1.9, 0.1], [2.1, 0.0], [-1.9, -0.1]])
    assert switching_neurons(pre, slopes, torch.ones(3)).tolist() == [1, 0, 1]


def test_local_complexity_where_it_does_not_apply():
    with pytest.raises(NotApplicable, match=r"counts the kinks of relu .* 'quadratic' has none"):
        local_complexity(hand_built.clock([1]))
    with pytest.raises(NotApplicable, match=r"no MLP neurons"):
        local_complexity(hand_built.random_network(5, d_mlp=0))
    with pytest.raises(ValueError, match=r"n_directions of at least 1, got 0"):
        local_complexity(hand_built.random_network(5), n_directions=0)
    with pytest.raises(ValueError, match=r"radii > 0, got 0.1 and -1"):
        local_complexity(hand_built.random_network(5), absolute_radius=0.1, relative_radius=-1.0)


# --- compressibility ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("make", [lambda: hand_built.memorizer(7), lambda: hand_built.clock([1, 2, 3]), tiny])
def test_compressed_network_keeps_its_promise_and_bits_fall_with_tolerance(make):
    snapshot = make()
    loss = mean_loss(snapshot.config, questions_of(snapshot, "train"))
    base = loss(snapshot.weights).item()
    table = compressibility(snapshot, absolute=(1e-4, 1e-3, 1e-2, 1e-1, 1.0, 20.0), relative=(0.5, 1.0))
    assert table["bits"].notna().all()
    for criterion, rows in table.groupby("criterion"):
        assert (rows["bits"].diff().dropna() <= 0).all(), criterion
    scale = (
        torch.cat([w.reshape(-1) for w in snapshot.weights.values()]).double().square().mean().sqrt().item()
    )
    for row in table.to_dict("records"):
        allowed = row["tolerance"] * (1 if row["criterion"] == "absolute" else base)
        parts = compression.cut(snapshot.weights, row["share"])
        data = compression.pack(compression.quantise(parts, row["bin"] * scale), row["bin"] * scale)
        assert 8 * len(data) == row["bits"]
        found = loss(compression.unpack(data, snapshot.weights)).item()
        assert found == pytest.approx(row["loss"], rel=1e-12) and found <= base + allowed


@pytest.mark.parametrize("share", [1.0, 0.8, 0.3])
def test_unpacking_gives_the_rounded_weights_back(share):
    snapshot = hand_built.random_network(11)
    integers = compression.quantise(compression.cut(snapshot.weights, share), 0.01)
    found = compression.unpack(compression.pack(integers, 0.01), snapshot.weights)
    expected = compression.restore(integers, 0.01, snapshot.weights)
    for name, w in snapshot.weights.items():
        assert found[name].equal(expected[name])
        if share == 1:
            assert (found[name] - w).abs().max() <= 0.005 * (1 + 1e-5)  # half a bin, and float32's rounding


def test_cut_is_the_best_low_rank_approximation():
    matrix = torch.randn(12, 20, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    s = torch.linalg.svdvals(matrix)
    left, right = compression.cut({"w": matrix.float()}, 0.6)["w"]
    rank = left.shape[1]
    assert s[: rank - 1].sum() < 0.6 * s.sum() <= s[:rank].sum()
    # Eckart and Young: the error is the norm of the dropped singular values; 1e-5: factors are float32.
    assert (left.double() @ right.double() - matrix).norm() == pytest.approx(s[rank:].norm().item(), rel=1e-5)
    assert len(compression.cut({"w": matrix.float()}, 0.999)["w"]) == 1  # factors would be larger


def test_few_distinct_values_and_low_rank_take_fewer_bits():
    snapshot = hand_built.random_network(11, d_model=32)
    coarse = {name: (w * 4).sign() / 4 for name, w in snapshot.weights.items()}
    thin = dict(snapshot.weights)
    for name in ("embed.W_E", "blocks.0.mlp.W_in", "blocks.0.mlp.W_out", "unembed.W_U"):
        u, s, vh = torch.linalg.svd(thin[name], full_matrices=False)
        thin[name] = u[:, :2] * s[:2] @ vh[:2]

    def bits(weights):
        # A fine bin, as a tight tolerance asks for.
        return min(
            len(compression.pack(compression.quantise(compression.cut(weights, share), 0.01), 0.01))
            for share in (1.0, 0.999)
        )

    assert bits(coarse) < bits(snapshot.weights) / 3
    assert bits(thin) < bits(snapshot.weights) * 0.8


def test_untrained_network_costs_next_to_nothing_and_a_memorizer_pays_for_its_rows():
    untrained = compressibility(hand_built.random_network(13), absolute=(0.1,), relative=())["bits"].item()
    memorizer = compressibility(hand_built.memorizer(13), absolute=(0.1,), relative=())["bits"].item()
    assert untrained < 1000 < memorizer


def test_all_zero_weights_and_an_unreachable_tolerance(monkeypatch):
    snapshot = tiny()
    zero = Snapshot(
        0, {n: torch.zeros_like(w) for n, w in snapshot.weights.items()}, snapshot.network, snapshot.task
    )
    assert compressibility(zero, absolute=(0.0,), relative=())["loss"].item() == pytest.approx(math.log(5))
    monkeypatch.setattr(compression, "BINS", (16.0, 8.0))  # all weights are rounded to zero
    table = compressibility(hand_built.memorizer(7), absolute=(), relative=(0.0,))
    assert table["bits"].isna().all() and table["bin"].isna().all()


def test_negative_tolerance():
    with pytest.raises(ValueError, match=r"tolerances >= 0, got \[-0.1\]"):
        compressibility(tiny(), absolute=(-0.1,))


# --- all of them -------------------------------------------------------------------------------------------------

PROBES = [sharpness, gradient_statistics, local_complexity, compressibility]


@pytest.mark.parametrize("probe", PROBES)
@pytest.mark.parametrize("name", ["clock", "pizza", "memorizer", "random", "two layers", "attention-free"])
def test_every_probe_on_every_network_is_finite_or_says_why_not(probe, name):
    snapshot = {
        "clock": lambda: hand_built.clock([1, 3], 7),
        "pizza": lambda: hand_built.pizza([1, 3], 7),
        "memorizer": lambda: hand_built.memorizer(7),
        "random": lambda: hand_built.random_network(7, d_model=32),
        "two layers": lambda: hand_built.random_network(7, d_model=32, n_layers=2),
        "attention-free": lambda: mlp(d_model=16),
    }[name]()
    try:
        table = probe(snapshot)
    except NotApplicable:
        assert (name, probe) == ("clock", local_complexity)
        return
    assert len(table) and not {"run", "step"} & set(table.columns)
    numbers = table.select_dtypes("number")
    if probe is gradient_statistics:
        numbers = numbers[table["matrix"] == "total"]
    assert np.isfinite(numbers.to_numpy(dtype=float)).all(), table


def test_a_task_without_train_rows_is_refused(tiny_run):
    task = tiny_run.task
    nothing = dataclasses.replace(task, is_train=torch.zeros_like(task.is_train))
    snapshot = Snapshot(0, tiny_run.step_weights(0), DescribedNetwork(tiny_run.config.model), nothing)
    with pytest.raises(NotApplicable, match=r"needs train rows, and the split of this task has none"):
        sharpness(snapshot)


def test_without_a_known_split_the_rows_of_all_are_counted():
    snapshot = hand_built.random_network(7, d_model=8, d_mlp=16)
    lost = dataclasses.replace(snapshot, task=dataclasses.replace(snapshot.known_task, is_train=None))
    of_each, of_all = (
        local_complexity(s).query("radius == 'relative'").set_index("split") for s in (snapshot, lost)
    )
    assert of_all.index.tolist() == ["all"] and of_all.loc["all", "n"] == 49 == of_each["n"].sum()
    weighted = (of_each["mean"] * of_each["n"]).sum() / 49
    assert of_all.loc["all", "mean"] == pytest.approx(weighted)
    rows = sample_rows(lost, 20, seed=0)
    assert len(rows.unique()) == 20 and rows.tolist() == sorted(rows.tolist())
    assert len(sample_rows(lost, 1000, seed=0)) == 49
