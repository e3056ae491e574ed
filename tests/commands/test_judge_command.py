"""`interp judge` and `interp.judge`: what they print and write, without torch; errors are a line, exit code 1."""

import json
import math
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from typer.testing import CliRunner

import interp
from interp.commands.cli import app
from interp.theories.arms_table import COLUMNS
from interp.theories.doses import DOSES
from interp.theories.effects import EFFECTS
from tests.theories import worlds
from tests.theories.tables import compared

ROOT = Path(__file__).parents[2]


def call(*arguments):
    return CliRunner().invoke(app, ["judge", *map(str, arguments)])


@pytest.fixture
def arms(tmp_path):
    """A table with a censored arm, and a pair that is not valid."""
    table = compared([(1900, 2000), (2000, 2100), 4000, (900, 1000)], [(900, 1000)] * 4)
    table.loc[6, ["valid", "why_not"]] = [False, "a spike"]
    table.to_csv(tmp_path / "arms.csv", index=False)
    return tmp_path / "arms.csv"


def test_what_is_printed(arms):
    done = call(arms)
    assert done.exit_code == 0
    # Lower bounds ln 1.9, ln 2, ln 4: mean 0.90710, sd 0.41579; 0.90710 - 4.30265 * 0.41579 / 1.73205 = -0.12578.
    assert done.stdout.splitlines() == [
        "arm over control, test_accuracy 0.95: undecided, ratio 2.1 [0.882, inf], 3 pairs, 1 censored",
        "  the interval from 0.882 to inf is neither inside nor outside of what counts as equal, 0.87 to 1.15",
        "  pair 3 left out: the arm is not valid: a spike",
        "1 effect (1 undecided), 0 dose curves",
    ]
    assert list(arms.parent.iterdir()) == [arms]


def test_one_pair_has_a_ratio_and_no_interval(tmp_path):
    compared([(1990, 2000)], [(990, 1000)]).to_csv(tmp_path / "arms.csv", index=False)
    first = call(tmp_path / "arms.csv").stdout.splitlines()[0]
    assert first == "arm over control, test_accuracy 0.95: undecided, ratio 2, 1 pair"


def test_what_is_written(arms, tmp_path):
    done = call(arms, "--out", tmp_path / "new" / "judged")
    assert done.exit_code == 0
    folder = tmp_path / "new" / "judged"
    assert done.stdout.splitlines()[-1] == f"effects.csv, dose.csv and summary.json are in {folder}"
    found = pd.read_csv(folder / "effects.csv")
    assert list(found.columns) == EFFECTS
    assert found.loc[0, ["n_pairs", "n_censored", "ratio", "high", "verdict"]].tolist() == [
        3,
        1,
        2.1,
        math.inf,
        "undecided",
    ]
    assert list(pd.read_csv(folder / "dose.csv").columns) == DOSES
    about = json.loads((folder / "summary.json").read_text("utf-8"))
    assert (about["arms_table"], about["n_rows"], about["n_invalid_rows"]) == ("arms.csv", 8, 1)
    assert (about["n_pairs"], about["verdicts"]) == ({"jitter": 0, "seed": 4}, {"undecided": 1})
    assert about["tables"] == ["effects", "dose"] and {"grokscope", "pandas"} <= set(about["versions"])
    (effect,) = about["effects"]
    assert list(effect) == EFFECTS
    assert (effect["ratio"], effect["high"], effect["dose"]) == (2.1, "inf", None)
    assert [(reason["pair"], reason["why"][:20]) for reason in about["reasons"]] == [
        ("", "the interval from 0."),
        ("3", "the arm is not valid"),
    ]
    # Twice the same, over what was there.
    assert call(arms, "--out", folder).exit_code == 0
    pd.testing.assert_frame_equal(pd.read_csv(folder / "effects.csv"), found)


def test_the_notebook_has_the_same(arms, tmp_path):
    call(arms, "--out", tmp_path / "judged")
    for judged in (interp.judge(arms), interp.judge(str(arms)), interp.judge(pd.read_csv(arms))):
        pd.testing.assert_frame_equal(
            judged.effects, pd.read_csv(tmp_path / "judged" / "effects.csv"), check_dtype=False
        )
        assert judged.doses.empty and judged.reasons["pair"].tolist() == ["", "3"]
    assert interp.judge.__module__ == "interp.theories.judging"


def test_branch_steps_and_kinds_are_told(tmp_path):
    both = [worlds.norm_world(2, 0.05, 0, kind) for kind in ("seed", "jitter")]
    pd.concat(both).to_csv(tmp_path / "arms.csv", index=False)
    done = call(tmp_path / "arms.csv", "--out", tmp_path / "judged")
    assert done.exit_code == 0
    assert list(pd.read_csv(tmp_path / "judged" / "effects.csv").columns) == [*EFFECTS, "branch_step", "kind"]
    line = next(
        line for line in done.stdout.splitlines() if line.startswith("norm at dose 1.15 over control")
    )
    assert ", from step 2500, jitter, test_accuracy 0.9: " in line
    assert "384 effects" in done.stdout and "16 dose curves" in done.stdout


def test_what_is_wrong_is_one_line(tmp_path, arms):
    done = subprocess.run(
        [sys.executable, "-m", "interp", "judge", str(tmp_path / "none.csv")],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (
        f"interp: Judging needs a CSV file of arms, and nothing is at {tmp_path / 'none.csv'}. Name the arms table "
        "itself.\n"
    )
    done = call(arms, "--out", arms)
    assert done.exit_code == 1
    with pytest.raises(
        ValueError, match=r"--out needs a folder, got .*arms.csv, which is a file. Name another place."
    ):
        raise done.exception


def test_help_shows_an_example():
    assert "Example: interp judge arms.csv --out judged" in " ".join(call("--help").stdout.split())


def test_judging_does_not_load_torch(arms, tmp_path):
    script = f"""
import sys
from interp.commands.cli import main
sys.argv = ["interp", "judge", {str(arms)!r}, "--out", {str(tmp_path / "judged")!r}]
try:
    main()
except SystemExit as end:
    assert not end.code
print("LOADED", *sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    loaded = set(done.stdout.split("LOADED")[1].split())
    assert "interp.theories.judging" in loaded and (tmp_path / "judged" / "effects.csv").exists()
    # Neither scipy.stats, which takes a second to load.
    assert not {"torch", "transformer_lens", "scipy.stats", "matplotlib"} & loaded


def test_the_example_of_the_documentation(tmp_path):
    page = (ROOT / "docs" / "judging.md").read_text("utf-8")
    blocks = [block.strip("\n") for block in page.split("```")[1::2]]
    table, printed = (
        next(block for block in blocks if block.startswith(start)) for start in ("arm,", "norm at")
    )
    (tmp_path / "arms.csv").write_text(table + "\n")
    assert call(tmp_path / "arms.csv").stdout.strip() == printed
    for column in (*COLUMNS, *EFFECTS, *DOSES):
        assert f"`{column}`" in page
