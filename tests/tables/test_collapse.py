"""A later collapse: planted ones are found with their bracket, spikes, flickers and slow rises are none."""

import numpy as np
import pandas as pd
import pytest

from interp.tables.collapse import collapse
from interp.tables.curves import last_spell, lasting_spells
from interp.tables.outcome import outcome
from interp.tables.phases import phases
from interp.tables.transitions import Transition

EVERY = 100


def curve_of(*parts):
    """A table of test accuracies from (value, number of evaluations)."""
    values = np.concatenate([np.full(n, value) for value, n in parts])
    steps = EVERY * np.arange(len(values))
    return pd.DataFrame({"step": steps, "train_accuracy": 1.0, "test_accuracy": values})


def found_in(*parts, **rule):
    one = collapse(curve_of(*parts), "test_accuracy", 0.95, **rule)
    assert (one.quantity, one.threshold) == ("test_accuracy below", 0.95)
    return one.before, one.step


def test_a_fall_that_lasts_to_the_end_has_its_bracket():
    # Above from 1000 to 2900, below from 3000.
    assert found_in((0.1, 10), (1.0, 20), (0.2, 10)) == (2900, 3000)


def test_a_fall_that_is_made_up_for_later_was_one():
    assert found_in((0.1, 10), (1.0, 20), (0.2, 15), (1.0, 30)) == (2900, 3000)


def test_of_two_the_last_is_told():
    assert found_in((0.1, 10), (1.0, 20), (0.2, 15), (1.0, 30), (0.3, 20)) == (7400, 7500)


@pytest.mark.parametrize(
    "parts",
    [
        pytest.param([(0.1, 40)], id="it never rises"),
        pytest.param([(0.1, 10), (1.0, 30)], id="it stays"),
        pytest.param([(1.0, 30)], id="from the first on"),
        pytest.param([(0.1, 10), *[(1.0, 20), (0.1, 1)] * 5, (1.0, 20)], id="slingshots"),
        # Spikes that together come to more than a quarter, none of them for long.
        pytest.param([(0.1, 10), *[(1.0, 8), (0.1, 2)] * 8, (1.0, 8)], id="many slingshots"),
        pytest.param(
            [(0.1, 30), (1.0, 1), (0.1, 1), (1.0, 2), (0.1, 2), (1.0, 30)], id="flickers in the rise"
        ),
        pytest.param([(0.1, 10), (0.96, 10), (0.93, 30)], id="it hovers at the threshold"),
        pytest.param([(0.1, 10), (1.0, 1), (0.1, 30)], id="one lucky evaluation"),
        pytest.param([(0.1, 100), (1.0, 3), (0.1, 30)], id="for a moment, late"),
    ],
)
def test_what_is_no_collapse(parts):
    n = sum(n for _, n in parts)
    assert found_in(*parts) == (EVERY * (n - 1), None)


def test_a_curve_that_ends_in_a_short_fall_leaves_it_open():
    assert found_in((0.1, 10), (1.0, 40), (0.1, 2)) == (None, None)
    # An earlier one is known all the same.
    assert found_in((0.1, 10), (1.0, 20), (0.1, 20), (1.0, 40), (0.1, 2)) == (2900, 3000)


def test_what_is_long_is_an_argument():
    parts = [(0.1, 10), (1.0, 40), (0.1, 6), (1.0, 40)]
    assert found_in(*parts) == (9500, None)
    assert found_in(*parts, tolerated=0.1) == (4900, 5000)


def test_short_relapses_within_do_not_hide_it():
    assert found_in((0.1, 10), (1.0, 20), (0.1, 1), (1.0, 20), (0.2, 20)) == (5000, 5100)


def test_every_random_curve_agrees_with_a_slow_reading_of_the_rule():
    generator = np.random.default_rng(0)
    n_found = 0
    for _ in range(300):
        lengths = generator.geometric(0.15, 12)
        values = generator.choice([0.2, 0.93, 1.0], 12, p=[0.35, 0.15, 0.5])
        table = curve_of(*zip(values, lengths, strict=True))
        one = collapse(table, "test_accuracy", 0.95)
        assert (one.before, one.step) == slowly(table)
        n_found += one.step is not None
    assert 50 < n_found < 250


def slowly(table):
    """The definition, stretch by stretch, over every evaluation's own time."""
    steps, values = table["step"].tolist(), table["test_accuracy"].tolist()
    times = [(steps[i] + steps[i + 1]) / 2 for i in range(len(steps) - 1)]
    from_, to = [steps[0], *times], [*times, steps[-1]]
    spells, lost, held = [], 0.0, 0.0
    for i, value in enumerate(values):
        if value < 0.95:
            lost += to[i] - from_[i]
            continue
        if (spells and i and values[i - 1] < 0.95 and lost > 0.25 * held) or not spells:
            spells.append([i, i])
            lost = held = 0.0
        spells[-1][1] = i
        held += to[i] - from_[i]
    answer = (steps[-1], None)
    found = None
    for number, (first, last) in enumerate(spells):
        again = spells[number + 1][0] if number + 1 < len(spells) else len(values)
        if last + 1 == len(values) or last == first:
            continue
        lasted = to[last] - from_[first]
        if lasted < 0.1 * (from_[first] - steps[0]):
            continue
        if to[again - 1] - from_[last + 1] <= 0.25 * lasted:
            if again == len(values):
                answer = (None, None)
        elif np.median(values[last + 1 : again]) < 0.9 * 0.95:
            found = (steps[last], steps[last + 1])
    return found or answer


def test_the_last_of_all_spells_is_the_last_spell():
    generator = np.random.default_rng(1)
    for _ in range(100):
        holds = generator.random(40) < 0.8
        holds[-1] = True
        steps = np.cumsum(generator.integers(1, 50, 40))
        spells = lasting_spells(steps, holds, 0.25)
        begin, passed = last_spell(steps, holds, 0.25)
        assert (spells[-1][0], spells[-1][2], spells[-1][1]) == (begin, passed, 40)
        within = np.zeros(40, bool)
        for first, end, _ in spells:
            within[first:end] = True
        assert (within | ~holds).all()


# --- where it is said


def test_phases_and_outcome_tell_it():
    table = curve_of((0.1, 10), (1.0, 20), (0.2, 15))
    expected = Transition("test_accuracy below", 0.95, 2900, 3000)
    assert phases({"history": table})["collapse"] == expected
    ended = outcome({"history": table})
    assert ended.collapse == expected and ended.generalised is False
    assert ended.summary()["collapse"]["step"] == 3000
    assert str(expected) == "between steps 2900 and 3000 (test accuracy below 0.95 from then on)"
    assert ended.said.endswith("It had, from step 1000 to 2900, and has lost it.")
    assert list(ended.begun(table["step"].to_numpy())) == ["memorization", "collapse"]


def test_a_run_that_has_come_back_is_said_to_have():
    ended = outcome({"history": curve_of((0.1, 10), (1.0, 20), (0.2, 15), (1.0, 30))})
    assert ended.generalised is True
    assert ended.said.endswith(
        "from step 4500 on (4400 was below). It had before, had collapsed between steps 2900 and 3000, and has come "
        "back."
    )


def test_without_accuracies_it_is_not_known():
    table = pd.DataFrame({"step": [0, 1], "train_loss": [1.0, 1.0]})
    assert phases({"history": table})["collapse"] == Transition("", None, None, None)
    assert outcome({"history": table}).collapse is None


def test_bands_and_legend_name_one_that_came_and_no_other():
    from interp.figures import phase_legend, style

    for parts, is_named in (([(0.1, 10), (1.0, 20), (0.2, 15)], True), ([(0.1, 10), (1.0, 20)], False)):
        figure, _ = style.new_figure()
        phase_legend(figure, phases({"history": curve_of(*parts)}))
        named = [text.get_text().partition("\n")[0] for text in figure.legends[0].get_texts()]
        assert ("collapse" in named) == is_named
