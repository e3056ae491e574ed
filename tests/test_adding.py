"""docs/adding.md does what it says: each example is added on the fly, as one file and one line."""

import re
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

ROOT = Path(__file__).parent.parent


def example(file: str) -> str:
    """The code that docs/adding.md shows for a file of the package."""
    text = (ROOT / "docs" / "adding.md").read_text("utf-8")
    found = re.search(rf"`{re.escape(file)}`:\n\n```python\n(.*?)```", text, re.DOTALL)
    assert found, file
    return found[1]


def in_a_package_with(file: str, line_in: str, line: str, script: str, folder: Path) -> str:
    """The output of a script that sees the package with one more file and one more line, and nothing else changed."""
    return in_a_package_with_all([(file, line_in, line)], script, folder)


def in_a_package_with_all(added: list[tuple[str, str, str]], script: str, folder: Path) -> str:
    """The same with several files, each with its line; folders of the copy are links, but those that get one."""
    changed = {parent for file, _, _ in added for parent in Path(file).parents}
    link(ROOT / "interp", folder / "interp", {folder / path for path in changed})
    for file, line_in, line in added:
        (folder / file).write_text(example(file))
        (folder / line_in).unlink()
        (folder / line_in).write_text((ROOT / line_in).read_text("utf-8") + line + "\n")
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, cwd=folder, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def link(source: Path, target: Path, changed: set[Path]) -> None:
    if target not in changed:
        target.symlink_to(source)
        return
    target.mkdir()
    for path in source.iterdir():
        if path.name != "__pycache__":
            link(path, target / path.name, changed)


@pytest.mark.skipif(sys.platform == "win32", reason="needs symbolic links")
def test_a_task_family_is_one_file_and_one_line(tmp_path):
    script = f"""
import sys
from typer.testing import CliRunner
from interp.commands.cli import app

def interp(*arguments):
    done = CliRunner().invoke(app, list(arguments))
    assert done.exit_code == 0, (arguments, done.output, done.exception)
    print(done.output)

run = {str(tmp_path / "run")!r}
interp("train", run, "--task", "maximum", "--set", "task.n=9", "--steps", "60", "--d-model", "16", "--heads", "2",
       "--d-mlp", "16", "--threads", "1", "--evaluate-every", "20", "--save", "every:20")
interp("info", run)
interp("verify", run)
interp("measure", run, "--probes", "losses,logit_spectrum", "--out", {str(tmp_path / "out")!r})
"""
    line = "from interp.tasks.maximum import MaximumConfig"
    out = in_a_package_with("interp/tasks/maximum.py", "interp/tasks/__init__.py", line, script, tmp_path)
    assert "the larger of two numbers below 9, 50% train" in out
    assert "logit_spectrum: does not apply" in out
    losses = pd.read_csv(tmp_path / "out" / "losses.csv")
    assert set(losses["split"]) == {"train", "test", "all"} and losses["step"].nunique() == 4
    # It learns: what is trained is the task that the file describes.
    train = losses[losses["split"] == "train"].set_index("step")["loss"]
    assert train[60] < 0.8 * train[0]


@pytest.mark.skipif(sys.platform == "win32", reason="needs symbolic links")
def test_a_figure_is_one_file_and_one_line(tmp_path):
    script = """
import sys
import pandas as pd
from interp.figures import margin_curves, style

figure, axes = style.new_figure()
table = pd.DataFrame({"step": [0, 10, 0, 10], "split": ["train"] * 2 + ["test"] * 2, "margin_mean": [0.0, 3, 0, -1]})
ax = margin_curves(axes[0, 0], table)
assert ax is axes[0, 0] and [line.get_label() for line in ax.lines] == ["train", "test"]
assert "torch" not in sys.modules
print(ax.get_ylabel())
"""
    line = "from interp.figures.margins import margin_curves"
    out = in_a_package_with("interp/figures/margins.py", "interp/figures/__init__.py", line, script, tmp_path)
    assert "mean margin (logits)" in out


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="needs symbolic links")
def test_a_figure_has_a_name_by_one_file_and_a_line(tmp_path, tiny_run):
    script = f"""
from typer.testing import CliRunner
from interp.commands.cli import app

asked = ["figure", {str(tiny_run.path)!r}, "margin_curves", "--out", {str(tmp_path / "out")!r}, "--caption"]
done = CliRunner().invoke(app, asked)
assert done.exit_code == 0, done.output
print(done.output)
"""
    added = [
        (
            "interp/figures/margins.py",
            "interp/figures/__init__.py",
            "from interp.figures.margins import margin_curves",
        ),
        (
            "interp/views/pictures/margins.py",
            "interp/views/pictures/__init__.py",
            "from interp.views.pictures import margins\n\nPICTURES |= margins.PICTURES",
        ),
    ]
    out = in_a_package_with_all(added, script, tmp_path)
    losses = pd.read_csv(tmp_path / "out" / "losses.csv")
    last = losses[losses["step"] == 300].set_index("split")["margin_mean"]
    assert f"{last['train']:.3g} on train rows, {last['test']:.3g} on test rows" in out
    assert (tmp_path / "out" / "margin_curves.pdf").exists()
