"""Arms tables: read as they are meant, and refused in one sentence each where they contradict themselves."""

import math
import re

import numpy as np
import pandas as pd
import pytest

from interp.theories.arms_table import COLUMNS, check_arms, read_arms
from tests.theories.tables import NONE, compared, row, table

HEADER = ",".join(COLUMNS)
GOOD = (
    f"{HEADER}\n"
    "norm,1.15,01,seed,control,,2500,test_accuracy,0.95,1900,2000,8000,true,\n"
    'norm,1.15,02,seed,control,,2500,test_accuracy,0.95,8000,,8000,False,"a spike, and a NaN"\n'
    "control,,01,seed,,,2500,test_accuracy,0.95,900,1000,8000,TRUE,\n"
    "control,,02,seed,,,2500,test_accuracy,0.95,950,1000,8000,true,\n"
)


def read(tmp_path, content):
    path = tmp_path / "arms.csv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return read_arms(path)


def test_a_file_is_read_with_its_types(tmp_path):
    arms = read(tmp_path, GOOD)
    assert list(arms.columns) == COLUMNS and arms.index.tolist() == [2, 3, 4, 5]
    assert arms["arm"].tolist() == ["norm", "norm", "control", "control"]
    assert arms["pair"].tolist() == ["01", "02", "01", "02"]
    assert arms["reference"].tolist() == ["control", "control", "", ""]
    assert arms["valid"].tolist() == [True, False, True, True]
    assert arms["why_not"].tolist() == ["", "a spike, and a NaN", "", ""]
    np.testing.assert_array_equal(arms["dose"], [1.15, 1.15, NONE, NONE])
    np.testing.assert_array_equal(arms["step"], [2000, NONE, 1000, 1000])
    assert arms["branch_step"].dtype == "int64" and arms["before"].dtype == float
    # Windows' line ends and mark, blank lines, columns in another order and more of them, spaces.
    assert read(tmp_path, "\ufeff" + GOOD.replace("\n", "\r\n\r\n")).equals(arms.set_axis([3, 5, 7, 9]))
    other = pd.DataFrame(
        [line.split(",", 13) for line in GOOD.replace('"', "").splitlines()[1:]], columns=COLUMNS
    )
    other = other.assign(note=" x ").iloc[:, ::-1].map(lambda text: f" {text} ")
    other.to_csv(tmp_path / "other.csv", index=False)
    pd.testing.assert_frame_equal(read_arms(tmp_path / "other.csv"), arms)
    # Checked once is checked for good.
    pd.testing.assert_frame_equal(check_arms(arms), arms)


def test_a_table_of_a_notebook_is_taken_as_it_is():
    arms = check_arms(compared([(1900, 2000), 4000], [(900, 1000)] * 2))
    assert arms["pair"].tolist() == ["0", "0", "1", "1"]
    with_gaps = compared([(1900, 2000)], [(900, 1000)]).astype({"pair": float, "why_not": object})
    with_gaps["why_not"] = None
    assert check_arms(with_gaps)[["pair", "why_not"]].values.tolist() == [["0", ""]] * 2


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", r"Judging needs an arms table, and .* is empty. It needs the columns arm, dose, .*, and one row an"),
        (b"\n\n", "is empty"),
        (HEADER, "An arms table needs rows, and has none below its header. It needs the columns arm, "),
        (b"\x89PNG\r\n\x1a\n\0\0", "needs a CSV file of arms, and .* is none: 'utf-8' codec .* Save the table as"),
        (b"arm\0,dose", "is none: it holds zero bytes. Save"),
        (f'{HEADER}\n"norm,1.15', "is none: unexpected end of data. Save"),
        (
            GOOD.replace("norm,1.15,02", "norm,1.15,02,x"),
            "An arms table needs 14 fields in every line, as in its first, got 15 in line 3. Quote texts that hold a",
        ),
        (
            GOOD.replace("budget,", "trained,").replace("kind", "sort"),
            r"An arms table needs the columns kind, budget, and has 'arm', .*'sort'.* Add them, with commas between",
        ),
        (GOOD.replace(",", ";"), "needs the columns arm, dose, .* and has 'arm;dose;.* with commas between columns"),
        (
            GOOD.replace("why_not", "why_not,arm").replace("true,\n", "true,,\n").replace("TRUE,\n", "TRUE,,\n")
            .replace('NaN"', 'NaN",'),
            "An arms table needs each column once, got arm twice. Drop one",
        ),
        (GOOD.replace("1.15,01", "large,01"), "needs finite numbers in dose, got 'large' in line 2. Write the numbe"),
        (GOOD.replace("8000,,8000", "8000,nan,8000"), "needs finite numbers in step, got 'nan' in line 3. .* or not"),
        (GOOD.replace("2000,8000", "2000,inf"), "needs finite numbers in budget, got 'inf' in line 2. Write the num"),
        (GOOD.replace("0.95,950", "1e999,950"), "needs finite numbers in threshold, got '1e999' in line 5"),
        (GOOD.replace("0.95,950", ",950"), "needs a number in threshold, got nothing in line 5. Fill it in"),
        (GOOD.replace("8000,,", ",,"), "a number in before, got nothing in line 3. A censored row has its last eval"),
        (GOOD.replace("true", "yes"), "needs true or false in valid, got 'yes' in line 2. Write false where a manip"),
        (GOOD.replace("true", ""), "needs true or false in valid, got '' in line 2"),
        (GOOD.replace("seed", "trial"), "needs jitter or seed in kind, got 'trial' in line 2. Jitter pairs repeat t"),
        (GOOD.replace("norm", ""), "needs a name in arm, got nothing in line 2. Fill it in"),
        (GOOD.replace("02,", ","), "needs a name in pair, got nothing in line 3"),
        (GOOD.replace("norm", "1.2"), "needs a name in arm, got the number 1.2 in line 2. Check that no column is s"),
        (GOOD.replace("test_accuracy", "95"), "needs a name in event, got the number 95 in line 2"),
        (GOOD.replace("seed,control", "seed,1"), "needs a name in reference, got the number 1 in line 2"),
    ],
)  # fmt: skip
def test_what_is_no_arms_table_is_refused(tmp_path, content, message):
    with pytest.raises(ValueError, match=message):
        read(tmp_path, content)


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(
        ValueError, match=r"needs a CSV file of arms, and nothing is at .*arms.csv. Name the arms"
    ):
        read_arms(tmp_path / "arms.csv")
    with pytest.raises(ValueError, match=r"and a folder is at .*\. Name the arms table itself"):
        read_arms(tmp_path)


PAIR = [row("arm", 0, 1900, 2000, reference="control"), row("control", 0, 900, 1000)]


def changed(i, **other):
    return [line | other if j == i else line for j, line in enumerate(PAIR)]


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (changed(0, before=2001), "needs before <= step, got 2001 in row 0. The event lies after before, the last e"),
        (changed(0, budget=1950), "needs step <= budget, got 2000 in row 0. What was not trained was not seen: corr"),
        (changed(1, step=NONE, before=20_000), "needs before <= budget, got 20000 in row 1. What was not"),
        (changed(1, before=-1), "needs no negative before, got -1 in row 1. Count steps since the branch"),
        (changed(1, step=-1), "needs no negative step, got -1 in row 1"),
        (changed(1, budget=-1), "needs no negative budget, got -1 in row 1"),
        (changed(1, branch_step=-1), "needs no negative branch_step, got -1 in row 1"),
        (changed(1, branch_step=2500.5), "needs a whole branch_step, got 2500.5 in row 1. Count optimizer steps"),
        (changed(1, before=0, step=0, budget=0), "needs a budget above 0 in valid rows, got 0 in row 1. Give what w"),
        (
            [*PAIR, row("arm", 0, 1900, 2100, reference="control")],
            "needs one row an arm, dose, pair, event and threshold, got arm of pair '0' again in row 2. Leave one of",
        ),
        (
            [*PAIR, *(line | {"kind": "jitter", "threshold": 0.9} for line in PAIR)],
            "needs one kind for each pair, got jitter and seed for pair '0'. They answer different questions: give",
        ),
        (changed(1, reference="arm"), "needs a control, got a reference in every row. Leave reference empty in the"),
        (
            [*PAIR, row("x", 0, 1, 2, reference="x")],
            "needs another arm or dose as reference, got 'x' compared with itself in row 2. Leave reference empty",
        ),
        (changed(1, reference_dose=1.0), "needs a reference wherever it has a reference_dose, got 1 in row 1. Name"),
        (
            changed(0, reference="kontrol"),
            r"arm needs its reference kontrol in pair '0' \(row 0\), and the table has no such arm. Add its rows, or",
        ),
        (
            [*PAIR, row("arm", 1, 1900, 2000, reference="control")],
            r"arm needs its reference control in pair '1' \(row 2\), which has no row of this pair. Add it: arms are",
        ),
        (
            changed(1, branch_step=4500),
            r"arm needs its reference control in pair '0' \(row 0\), which left its parent at step 4500, not at 2500",
        ),
        (
            changed(1, threshold=0.9),
            r"arm needs its reference control in pair '0' \(row 0\), which has no row of test_accuracy at 0.95. Add",
        ),
        (
            changed(0, reference_dose=2.0),
            r"arm needs its reference control at dose 2 in pair '0' \(row 0\), which has no such dose, got the doses",
        ),
        (
            [
                *(row("decay", 0, 900, 1000, dose=dose) for dose in (1.0, 3.0)),
                row("arm", 0, 900, 1000, dose=3.0, reference="decay"),
            ],
            r"arm at dose 3 needs its reference decay in pair '0' \(row 2\), which has no such dose, got the doses 1",
        ),
        (
            [*PAIR, row("norm", 0, 900, 1000, dose=1.15)],
            "needs a reference for norm at dose 1.15, got none in row 2, and no arm is compared with it. Name the ar",
        ),
    ],
)  # fmt: skip
def test_contradictions_are_refused(rows, message):
    check_arms(table(*PAIR))
    with pytest.raises(ValueError, match=message):
        check_arms(table(*rows))


def test_a_row_that_is_not_valid_may_have_no_budget():
    dead = row("arm", 0, 0, None, reference="control", budget=0, valid=False, why_not="NaN at the first step")
    assert math.isnan(check_arms(table(dead, PAIR[1]))["step"].iloc[0])


def test_every_message_is_one_paragraph_that_says_what_to_do():
    with pytest.raises(ValueError) as caught:
        check_arms(pd.DataFrame({"arm\n\x1b[2J": [1]}))
    assert "\n" not in str(caught.value) and "\x1b" not in str(caught.value)
    assert re.search(r"has 'arm\\n\\x1b\[2J'", str(caught.value))
