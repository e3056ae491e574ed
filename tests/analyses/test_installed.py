"""An analysis runs from the wheel alone: without the repository, its scripts and its bundled run."""

import json
import os
import shutil
import subprocess
import sys
import zipfile
from importlib.metadata import version
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """A folder that holds what a wheel of the package holds."""
    # The first that reads the licence as pyproject.toml states it.
    if int(version("setuptools").split(".")[0]) < 77:
        pytest.skip("building a wheel needs setuptools 77 or newer")
    source, folder = (tmp_path_factory.mktemp(name) for name in ("source", "installed"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    shutil.copytree(ROOT / "interp", source / "interp", ignore=shutil.ignore_patterns("__pycache__"))
    code = f"from setuptools.build_meta import build_wheel; build_wheel({str(source)!r})"
    done = subprocess.run([sys.executable, "-c", code], cwd=source, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    zipfile.ZipFile(next(source.glob("*.whl"))).extractall(folder)
    return folder


def call(installed, cwd, *arguments):
    """The command of the wheel, from a working directory outside the repository."""
    code = (
        "import interp, sys; from interp.commands.cli import main; "
        f"assert interp.__file__.startswith({str(installed)!r}), interp.__file__; main()"
    )
    return subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)],
        cwd=cwd,
        env=os.environ | {"PYTHONPATH": str(installed)},
        capture_output=True,
        text=True,
        timeout=120,
    )


def test_an_analysis_runs_from_a_wheel(installed, tiny_run, tmp_path):
    done = call(installed, tmp_path, "analyse", "weight_norms", tiny_run.path, "--device", "cpu")
    assert done.returncode == 0, done.stderr
    out = tmp_path / "figures" / "tiny" / "weight_norms"
    assert {"weight_norms.png", "weight_norms.pdf", "summary.json", "weight_norms.csv"} <= {
        path.name for path in out.iterdir()
    }
    summary = json.loads((out / "summary.json").read_text("utf-8"))
    assert summary["command"] == f"interp analyse weight_norms {tiny_run.path} --device cpu"
    redrawn = call(installed, tmp_path, "analyse", "weight_norms", tiny_run.path, "--draw-only")
    assert redrawn.returncode == 0, redrawn.stderr


def test_a_wheel_asks_for_a_run(installed, tmp_path):
    done = call(installed, tmp_path, "analyse", "weight_norms")
    assert done.returncode == 1
    assert done.stderr == (
        "interp: weight_norms needs a run, got none. The bundled run comes with the repository, not with the "
        "installed package. Name a run, or a file or folder of checkpoints.\n"
    )
