"""Planes, maps and the quality of a representation: a clock's circles are seen, a lookup table has none."""

import numpy as np
import pytest
import torch

from interp.probes import answer_map, embedding_planes, neuron_maps, representation_quality
from interp.probes.fourier.embedding_planes import in_plane
from interp.probes.fourier.representation_quality import closed_parallelograms, pairs_by_sum, parallel_chords
from interp.snapshots.residues import Residues
from interp.snapshots.snapshot import NotApplicable, Snapshot
from tests import hand_built


@pytest.fixture(scope="module")
def clock():
    return hand_built.clock({2: 1.0, 5: 1.0})


def test_the_residues_of_a_clock_lie_on_a_circle_in_order(clock):
    table = embedding_planes(clock, frequencies=[2])
    radius = np.hypot(table["cosine"], table["sine"])
    assert radius.to_numpy() == pytest.approx(radius[0]) and radius[0] > 0.1
    turned = np.unwrap(np.arctan2(table["sine"], table["cosine"]) - 2 * np.pi * 2 * table["residue"] / 13)
    assert np.ptp(turned) == pytest.approx(0, abs=1e-5)


def test_planes_are_those_with_the_most_power(clock):
    assert set(embedding_planes(clock, n_largest=2)["frequency"]) == {2, 5}
    with pytest.raises(ValueError, match="frequenc"):
        embedding_planes(clock, frequencies=[7])


def test_a_plane_is_an_isometry_of_what_lies_in_it():
    angle = 2 * torch.pi * 3 * torch.arange(11).double() / 11
    circle = torch.stack([angle.cos(), angle.sin()], 1)
    axes = torch.linalg.qr(torch.randn(6, 2, generator=torch.Generator().manual_seed(0), dtype=torch.double))[
        0
    ]
    assert in_plane(circle @ axes.T, 3).numpy() == pytest.approx(circle.numpy())


def test_the_right_answer_of_a_clock_is_the_same_at_all_pairs_and_a_memorizer_knows_its_own(clock):
    of_clock = answer_map(clock)
    assert np.ptp(of_clock["logit"]) == pytest.approx(0, abs=1e-3)
    memorizer = hand_built.memorizer()
    is_train = memorizer.once(Residues).table(memorizer.known_task.is_train).reshape(-1).numpy()
    probability = answer_map(memorizer)["probability"]
    assert probability[is_train].min() > 0.9 > 0.5 > probability[~is_train].max()


def test_one_answer_is_a_column_of_the_softmax(clock):
    cube = clock.once(Residues).logit_cube
    table = answer_map(clock, answer=4)
    assert table["probability"].to_numpy() == pytest.approx(cube.softmax(-1)[:, :, 4].reshape(-1).numpy())
    with pytest.raises(ValueError, match="answer from 0 to 12, got 13"):
        answer_map(clock, answer=13)


def test_neurons_are_those_asked_for(clock):
    table = neuron_maps(clock, neurons=[3])
    expected = clock.once(Residues).neuron_table[..., 3].reshape(-1).numpy()
    assert table["activation"].to_numpy() == pytest.approx(expected)
    best = neuron_maps(clock)
    assert best["neuron"].nunique() == 2 and set(best["frequency"]) == {2, 5}
    with pytest.raises(ValueError, match="neurons from 0 to"):
        neuron_maps(clock, neurons=[10_000])


def _shares(at, delta, angle):
    """The same shares of parallelograms and of chords, pair of pairs by pair of pairs."""
    n, closed, parallel = len(at), [], []
    at = at / np.sqrt(np.square(at).sum(1).mean())
    pairs = [(i, j) for i in range(n) for j in range(i + 1, n)]
    for x, (i, j) in enumerate(pairs):
        for m, o in pairs[x + 1 :]:
            if (i + j - m - o) % n == 0:
                u, v = at[i] - at[j], at[m] - at[o]
                lengths = np.linalg.norm(u) * np.linalg.norm(v)
                parallel.append(lengths > 0 and np.arccos(min(abs(u @ v) / lengths, 1.0)) <= angle)
                closed.append(np.linalg.norm(at[i] + at[j] - at[m] - at[o]) <= delta)
    return np.mean(closed), np.mean(parallel)


def _shares_of_all(at, delta, angle):
    """The same shares from all pairs of pairs at once, by cross products."""
    n = len(at)
    at = at / at.square().sum(1).mean().sqrt()
    i = torch.arange(n)
    other = (i[:, None] - i) % n
    is_pair = i < other
    is_asked = is_pair[:, :, None] & is_pair[:, None, :] & (i[:, None] < i)
    gap = torch.cdist(at[i] + at[other], at[i] + at[other])
    chord = at[i] - at[other]
    cross = chord[:, :, None, 0] * chord[:, None, :, 1] - chord[:, :, None, 1] * chord[:, None, :, 0]
    scale = chord.norm(dim=-1)[:, :, None] * chord.norm(dim=-1)[:, None, :]
    is_parallel = (cross.abs() <= np.sin(angle) * scale) & (scale > 0)
    return (gap <= delta)[is_asked].double().mean().item(), is_parallel[is_asked].double().mean().item()


@pytest.mark.parametrize("n", [4, 11, 12, 53])
@pytest.mark.parametrize("angle", [0.2, 1.5])
def test_shares_are_those_of_all_pairs_of_pairs(n, angle):
    at = torch.randn(2, n, 2, generator=torch.Generator().manual_seed(n), dtype=torch.double)
    # Two rows alike: a chord without length.
    at[1, 2] = at[1, 1]
    pairs = pairs_by_sum(n, at.device)
    parallel = parallel_chords(at, pairs, angle).tolist()
    closed = [closed_parallelograms(of_draw, pairs, 0.2) for of_draw in at]
    for i, of_draw in enumerate(at):
        assert (closed[i], parallel[i]) == pytest.approx(_shares_of_all(of_draw, 0.2, angle))
        if n < 20:
            assert (closed[i], parallel[i]) == pytest.approx(_shares(of_draw.numpy(), 0.2, angle))


def test_chords_of_a_circle_are_parallel_and_its_parallelograms_do_not_close(clock):
    (row,) = representation_quality(clock, frequencies=[2]).itertuples()
    assert row.parallel_chords == 1 and row.parallelograms < 0.2 and row.null < 0.7


def test_chords_without_structure_are_as_those_of_random_names():
    network = hand_built.random_network()
    table = representation_quality(network, frequencies=[1, 4])
    assert (table["parallel_chords"] < 0.8).all()
    at = in_plane(network.once(Residues).embedding.double(), 4).numpy()
    measured = table[["parallelograms", "parallel_chords"]].iloc[1].tolist()
    assert measured == pytest.approx(_shares(at, 0.2, 0.2))


def test_rows_on_one_line_say_nothing_in_whatever_order(clock):
    places = torch.randperm(13, generator=torch.Generator().manual_seed(1)).float() ** 1.5
    rows = torch.zeros_like(clock.weights["embed.W_E"])
    rows[:13] = 3 + places[:, None] * torch.linspace(1, 2, rows.shape[1])
    line = Snapshot(0, {**clock.weights, "embed.W_E": rows}, clock.network, clock.known_task)
    table = representation_quality(line, frequencies=[1, 2, 6])
    assert table["parallel_chords"].tolist() == table["null"].tolist() == [1, 1, 1]
    assert (table["parallelograms"] < 0.5).all()


def test_of_few_residues_there_is_no_null():
    (row,) = representation_quality(hand_built.clock([1], p=5)).head(1).itertuples()
    assert row.parallel_chords == 1 and row.null == np.inf


def test_sizes_that_say_nothing_are_refused(clock):
    with pytest.raises(ValueError, match="positive delta and an angle between 0 and pi / 2, got 0.0 and 0.2"):
        representation_quality(clock, delta=0.0)
    with pytest.raises(ValueError, match="got 0.2 and 1.6"):
        representation_quality(clock, angle=1.6)


def test_what_has_no_residues_has_no_circles():
    symmetric = hand_built.group_memorizer("S3")
    for probe in (embedding_planes, answer_map, neuron_maps, representation_quality):
        with pytest.raises(NotApplicable, match="not a sum"):
            probe(symmetric)
