"""What a figure of crossings draws is what its table says."""

import pandas as pd
import pytest

from interp.figures import style
from interp.figures.crossings import crossing_points, dose_curves


def test_runs_that_did_not_cross_stand_hollow_at_their_end():
    rows = [
        (0.0, 23, 0.5, 0.99, 400.0),
        (0.1, 23, 0.5, 0.97, 300.0),
        (0.1, 23, 0.5, 0.5, None),
        (0.0, 0, 0.0, 0.1, None),
    ]
    columns = ["fact_fraction", "n_translations", "sentence_fraction", "accuracy", "step"]
    table = pd.DataFrame(rows, columns=columns).assign(n_steps=700)
    _, axes = style.new_figure(1, 2)
    accuracy, step = (
        crossing_points(table, ax, quantity=q) for ax, q in zip(axes.flat, ("accuracy", "step"), strict=True)
    )
    labels = [line.get_label() for line in accuracy.get_lines()]
    assert labels == ["nothing translated", "numbers and sentences"]
    assert accuracy.get_lines()[1].get_xydata().tolist() == [[0.0, 0.99], [0.1, 0.735]]
    hollow = [c for c in step.collections if len(c.get_offsets()) and c.get_facecolor().size == 0]
    found = sorted(p.tolist() for c in hollow for p in c.get_offsets())
    assert [height for _, height in found] == [700.0, 700.0]
    # Beside their share by less than half of what lies between two shares.
    assert [x for x, _ in found] == pytest.approx([0.0, 0.1], abs=0.02)
    # The mean of a step that never came is not drawn.
    assert pd.isna(step.get_lines()[1].get_ydata()[1])


def test_doses_are_a_line_a_seed_and_hollow_where_it_never_came():
    rows = [(0, 0, 0.2, None), (1, 6, 1.0, 900.0), (0, 12, 1.0, 1200.0), (0, 6, 0.9, 1500.0)]
    table = pd.DataFrame(rows, columns=["seed", "n_translations", "accuracy", "step"]).assign(n_steps=2500)
    _, axes = style.new_figure(1, 2)
    first, second = (
        dose_curves(table, ax, dose="n_translations", quantity=q)
        for ax, q in zip(axes.flat, ("accuracy", "step"), strict=True)
    )
    of_seed = [line for line in first.get_lines() if line.get_label() == "seed 0"]
    assert [line.get_xydata().tolist() for line in of_seed] == [[[0, 0.2], [6, 0.9], [12, 1.0]]]
    # Of the step that never came there is a hollow mark at the end, and no line to it.
    line, hollow, *_ = second.get_lines()
    assert line.get_ydata()[1:].tolist() == [1500, 1200] and pd.isna(line.get_ydata()[0])
    assert hollow.get_xydata().tolist() == [[0, 2500]] and hollow.get_markerfacecolor() == "none"
    assert second.get_xlabel() == "numbers that are translated"
