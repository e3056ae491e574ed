"""Random names: no automorphism among them, statistics as by hand, and the levels that they promise."""

import pytest
import torch

from interp.mathematics import fourier
from interp.mathematics.groups import named_group
from interp.mathematics.relabelling import (
    N_DRAWS,
    cyclic_names,
    random_names,
    renamed_cells,
    shift_sums,
    spectrum_null,
    standing_out,
)
from interp.mathematics.representations import irreducible_representations, trace_table
from tests.thinned import thinned


def table_of(powers, n, noise=0.0, seed=0):
    """sum of a cos(w_k(s-c)) / norm for k, a, so that the power at k is a^2; and noise."""
    t = torch.arange(n, dtype=torch.float64)
    x = torch.zeros(n, n, dtype=torch.float64)
    for k, amplitude in powers.items():
        wave = torch.cos(2 * torch.pi * k * (t[:, None] - t) / n)
        x += amplitude * wave / wave.norm()
    return x + noise * torch.randn(n, n, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def judged(x):
    n = len(x)
    return standing_out(x, fourier.sum_table(n), fourier.cosines(n), cyclic_names(n)[1])


def test_random_names_are_permutations_and_no_affine_map():
    n = 7
    names = random_names(fourier.sum_table(n))
    assert names.shape == (N_DRAWS, n)
    assert (names.sort(1).values == torch.arange(n)).all()
    affine = {tuple((u * t + v) % n for t in range(n)) for u in range(1, n) for v in range(n)}
    assert not affine & {tuple(order.tolist()) for order in names}
    # Of 39 random permutations of 7 residues every third set holds one: the law above would see it.
    drawn = [
        tuple(torch.randperm(n, generator=torch.Generator().manual_seed(i)).tolist()) for i in range(1000)
    ]
    assert affine & set(drawn)


def test_what_keeps_the_operation_of_a_group_is_left_out():
    """Automorphisms, shifts from both sides and inversion, and all together, of a group that does not commute."""
    from interp.mathematics import relabelling

    table = named_group("S3").table
    inverse = torch.tensor([int((row == table[0, 0]).nonzero()) for row in table])
    conjugated = table[table[4], inverse[4]]
    for names in (table[2], table[:, 3], inverse, conjugated, table[1][inverse[conjugated]]):
        assert relabelling._keeps_operation(names, table)
    other = torch.arange(6)
    other[[0, 1]] = other[[1, 0]]
    assert not relabelling._keeps_operation(other, table)


@pytest.mark.parametrize("n", [2, 3, 5, 6])
def test_of_few_elements_no_names_can_tell(n):
    assert len(random_names(fourier.sum_table(n))) == 0
    _, null = judged(torch.eye(n, dtype=torch.float64))
    assert torch.isinf(null).all()
    assert torch.isinf(spectrum_null(torch.eye(n, dtype=torch.float64), cyclic_names(n)[1]))


@pytest.mark.parametrize("group", ["C8", "S4"])
def test_sums_over_shifts_are_those_of_the_renamed_table(group):
    table = named_group(group).table
    n = len(table)
    x = torch.randn(n, n, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    names = random_names(table, n_draws=3)
    found = shift_sums(x, renamed_cells(table, names))
    for order, sums in zip(names, found, strict=True):
        renamed = x[order][:, order]
        for d in range(n):
            direct = sum(renamed[s, table[s, d]] for s in range(n))
            torch.testing.assert_close(sums[d], direct, rtol=1e-12, atol=1e-12)  # sums of n numbers near 1


def test_power_and_null_are_those_of_the_renamed_table_by_hand():
    n, x = 11, table_of({}, 11, noise=1.0)
    names, cells = cyclic_names(n)
    power, null = standing_out(x, fourier.sum_table(n), fourier.cosines(n), cells)
    t = torch.arange(n, dtype=torch.float64)

    def powers(table):
        waves = [torch.cos(2 * torch.pi * k * (t[:, None] - t) / n) for k in range(1, n // 2 + 1)]
        return torch.stack([((table * wave).sum() / wave.norm()).square() for wave in waves])

    torch.testing.assert_close(power, powers(x), rtol=1e-10, atol=1e-12)  # rounding of sums of 121 numbers
    most = max(powers(x[order][:, order]).max().item() for order in names)
    torch.testing.assert_close(null, torch.full_like(null, most), rtol=2e-9, atol=1e-12)  # rounded up


def test_right_answers_looked_up_stand_out_nowhere_and_waves_do():
    n = 31
    looked_up = torch.eye(n, dtype=torch.float64) + table_of({}, n, noise=0.1)
    power, null = judged(looked_up)
    assert (power < null).all()
    # Nothing but right answers: all names give the same, and rounding must not decide.
    power, null = judged(torch.eye(n, dtype=torch.float64) / 3)
    assert (power < null).all() and (power > 0.999 * null).all()
    # The same power of right answers in each frequency, and two of them in truth.
    power, null = judged(looked_up + table_of({3: 6.0, 8: 4.0}, n))
    assert (1 + (power > null).nonzero().flatten()).tolist() == [3, 8]


@pytest.mark.parametrize("n", [7, 8, 11, 13])
def test_beside_a_strong_wave_right_answers_still_stand_out_nowhere(n):
    """What right answers put into the strong wave is not taken for a part of it: the others would look strong."""
    for strength in (0.0, 3.0, 30.0):
        power, null = judged(torch.eye(n, dtype=torch.float64) + table_of({2: strength}, n, noise=0.01))
        assert (1 + (power > null).nonzero().flatten()).tolist() == ([2] if strength else [])


def test_beside_the_character_of_a_group_right_answers_still_stand_out_nowhere():
    table = named_group("S4").table
    n = len(table)
    representations = irreducible_representations(named_group("S4"))
    traces = {r.name: trace_table(named_group("S4"), r).double() for r in representations[1:]}
    waves = torch.stack([t[0] for t in traces.values()])
    names = renamed_cells(table, random_names(table))
    for strength in (0.0, 0.5, 5.0):
        x = torch.eye(n, dtype=torch.float64) + strength * traces["standard"]
        x += 1e-3 * torch.randn(n, n, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
        power, null = standing_out(x, table, waves, names, together=False)
        found = [name for name, is_out in zip(traces, power > null, strict=True) if is_out]
        assert found == (["standard"] if strength else [])


def test_a_weak_wave_is_judged_without_the_strong_ones():
    """Beside a strong wave random names give right answers enough to hide the weak one."""
    n = 31
    x = table_of({5: 10.0, 7: 8.0, 12: 1.0}, n, noise=0.01)
    power, null = judged(x)
    assert (1 + (power > null).nonzero().flatten()).tolist() == [5, 7, 12]
    _, cells = cyclic_names(n)
    unit = fourier.cosines(n) / n**0.5
    at_once = (shift_sums(x, cells) @ unit.T).square().max()
    assert power[11] < at_once


def test_a_wave_below_the_floor_is_not_taken_out():
    n = 31
    x = table_of({5: 10.0, 7: 8.0}, n, noise=0.01)
    args = (fourier.sum_table(n), fourier.cosines(n), cyclic_names(n)[1])
    power, null = standing_out(x, *args, floor=1e6)
    assert null.unique().numel() == 1
    assert standing_out(x, *args, floor=1.0)[1][0] < null[0]
    assert power[4] > null[4]


@pytest.mark.parametrize("n", thinned([12, 7, 31], 3))
def test_of_random_tables_few_have_a_wave_that_stands_out(n):
    """At most 1 in 40 by construction; of 200 tables 14 or more would be a chance of 1 in 1,000."""
    found = [judged(table_of({}, n, noise=1.0, seed=seed)) for seed in range(200)]
    assert sum(bool((power > null).any()) for power, null in found) < 14


@pytest.mark.parametrize("n", [8, 11])
def test_the_null_of_a_spectrum_is_that_of_the_renamed_rows(n):
    matrix = torch.randn(n, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    names, cells = cyclic_names(n, n_draws=13)

    def shares(rows):
        power = fourier.power(rows)[1:].sum(1)
        return power / power.sum()

    most = max(shares(matrix[order]).max().item() for order in names)
    assert spectrum_null(matrix @ matrix.T, cells).item() == pytest.approx(most, rel=2e-9)  # rounded up
    both = torch.stack([matrix @ matrix.T, torch.eye(n, dtype=torch.float64)])
    assert spectrum_null(both, cells)[0] == spectrum_null(matrix @ matrix.T, cells)
    assert spectrum_null(torch.ones(n, n, dtype=torch.float64), cells) == 0.0  # a constant matrix


@pytest.mark.parametrize("n", [7, 12, 31, 113])
def test_rows_that_are_all_alike_to_each_other_stand_out_nowhere(n):
    """All names give the same, and rounding must not decide."""
    _, cells = cyclic_names(n)
    matrix = torch.linalg.qr(torch.randn(n, n, dtype=torch.float64))[0] / 3
    power = fourier.power(matrix)[1:].sum(1)
    assert ((power / power.sum()) < spectrum_null(matrix @ matrix.T, cells)).all()


def test_a_representation_is_judged_by_names_of_its_own():
    """Right answers hold d^2 of each character: one null for all would be that of the largest."""
    table = named_group("S4").table
    n = len(table)
    # Of waves none of which stands out: what does is taken away, and the nulls of the others change.
    generator = torch.Generator().manual_seed(0)
    waves = torch.linalg.qr(torch.randn(n, 3, dtype=torch.float64, generator=generator))[0].T
    names = renamed_cells(table, random_names(table))
    x = torch.randn(n, n, dtype=torch.float64, generator=generator)
    _, together = standing_out(x, table, waves, names)
    _, apart = standing_out(x, table, waves, names, together=False)
    assert together.unique().numel() == 1 and apart.unique().numel() == 3
    assert apart.max() == together[0]
