"""The notebooks run from top to bottom, say what their text twins say, and long work is one bar in them."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

# Only with the extra `notebook`.
jupytext = pytest.importorskip("jupytext")
nbformat = pytest.importorskip("nbformat")
pytest.importorskip("nbclient")
pytest.importorskip("ipykernel")

ROOT = Path(__file__).parents[2]
NAMES = ("explore", "your_checkpoints")
TOOL = ROOT / "benchmarks" / "notebooks.py"


def cells(notebook):
    return [(cell["cell_type"], cell["source"].strip()) for cell in notebook.cells]


@pytest.mark.parametrize("name", NAMES)
def test_notebook_and_twin_say_the_same(name):
    notebook = nbformat.read(ROOT / "analyses" / f"{name}.ipynb", 4)
    nbformat.validate(notebook)
    # Made anew by benchmarks/notebooks.py.
    assert cells(notebook) == cells(jupytext.read(ROOT / "analyses" / f"{name}.md"))


@pytest.mark.parametrize("name", NAMES)
def test_what_is_kept_of_outputs_is_of_no_machine(name):
    text = (ROOT / "analyses" / f"{name}.ipynb").read_text("utf-8")
    assert len(text) < 1e6 and '"execution"' not in text and "widget" not in text
    assert not re.search(r'"/(?!tmp/)\w|/home/|/root/|/tmp/tmp', text)
    assert "image/png" in text and '"output_type": "error"' not in text


# The second trains nothing and says little that the first and the tests of foreign folders do not.
@pytest.mark.parametrize(
    "name", [NAMES[0], *(pytest.param(name, marks=pytest.mark.slow) for name in NAMES[1:])]
)
def test_it_runs_from_top_to_bottom(name, tmp_path):
    command = [sys.executable, TOOL, "--out", tmp_path, name]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr[-3000:]
    made = nbformat.read(tmp_path / f"{name}.ipynb", 4)
    kept = nbformat.read(ROOT / "analyses" / f"{name}.ipynb", 4)
    kinds = [
        [sorted(out.get("data", {"stream": 0})) for out in cell.get("outputs", ())] for cell in made.cells
    ]
    # Numbers may differ in their last digits on another machine, what is shown may not.
    assert kinds == [
        [sorted(out.get("data", {"stream": 0})) for out in cell.get("outputs", ())] for cell in kept.cells
    ]


LONG = """
import time
from interp.ground.progress_bar import counted
for _ in counted(range(30), 30, "a long work"):
    time.sleep(0.05)
"""


def test_long_work_is_one_bar_that_moves(tmp_path):
    path = tmp_path / "long.ipynb"
    nbformat.write(nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(LONG)]), path)
    # In a process of its own: sockets to a kernel are closed late, and that is a warning.
    code = (
        "import nbformat; from notebooks import executed; from pathlib import Path; "
        f"nbformat.write(executed(nbformat.read({str(path)!r}, 4), Path({str(tmp_path)!r})), {str(path)!r})"
    )
    paths = os.pathsep.join([str(ROOT), str(TOOL.parent)])
    done = subprocess.run(
        [sys.executable, "-c", code], env=os.environ | {"PYTHONPATH": paths}, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr[-3000:]
    (output,) = nbformat.read(path, 4).cells[0].outputs
    assert output["output_type"] == "display_data" and [*output["data"]] == ["text/plain"]
    # The last frame, on one line, without what a page would print as it is.
    shown = output["data"]["text/plain"]
    assert "a long work" in shown and "30/30" in shown
    assert "\n" not in shown and "\x1b" not in shown and "\r" not in shown
