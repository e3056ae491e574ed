"""Wheel and sdist: everything works from them alone, without the repository, its scripts and its bundled run."""

import json
import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from importlib.metadata import version
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    """What the repository holds of the package, to build from."""
    # The first that reads the licence as pyproject.toml states it.
    if int(version("setuptools").split(".")[0]) < 77:
        pytest.skip("building needs setuptools 77 or newer")
    source = tmp_path_factory.mktemp("source")
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    shutil.copytree(ROOT / "interp", source / "interp", ignore=shutil.ignore_patterns("__pycache__"))
    return source


def built(what, source):
    """The wheel or the sdist of a source, built offline by the setuptools that is installed."""
    dist = source / f"dist-{what}"
    code = f"from setuptools.build_meta import build_{what}; build_{what}({str(dist)!r})"
    dist.mkdir()
    done = subprocess.run([sys.executable, "-c", code], cwd=source, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    (file,) = dist.iterdir()
    return file


@pytest.fixture(scope="module")
def wheel(source):
    return built("wheel", source)


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory):
    """A folder that holds what a wheel of the package holds."""
    folder = tmp_path_factory.mktemp("installed")
    zipfile.ZipFile(wheel).extractall(folder)
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


@pytest.mark.slow
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


@pytest.mark.slow
def test_a_wheel_made_of_the_sdist_is_the_same(source, wheel, tmp_path):
    with tarfile.open(built("sdist", source)) as file:
        file.extractall(tmp_path, filter="data")
    (unpacked,) = tmp_path.iterdir()
    assert {"pyproject.toml", "README.md", "LICENSE", "PKG-INFO", "interp"} <= {
        p.name for p in unpacked.iterdir()
    }
    first, second = (zipfile.ZipFile(file) for file in (wheel, built("wheel", unpacked)))
    assert sorted(first.namelist()) == sorted(second.namelist())
    modules = {path.relative_to(ROOT).as_posix() for path in (ROOT / "interp").rglob("*.py")}
    assert modules <= set(first.namelist()) and "interp/py.typed" in first.namelist()
    for name in modules:
        assert first.read(name) == second.read(name) == (ROOT / name).read_bytes()
    entry_points = next(name for name in first.namelist() if name.endswith("entry_points.txt"))
    assert "interp = interp.__main__:main" in first.read(entry_points).decode()


PROBE = "import pandas as pd\n\ndef n_weights(snapshot):\n    return pd.DataFrame([{'n': len(snapshot.weights)}])\n"


@pytest.mark.slow
def test_every_command_works_from_a_wheel(installed, tmp_path):
    (tmp_path / "own.py").write_text(PROBE)
    small = "--p 7 --steps 20 --d-model 8 --heads 2 --d-mlp 8 --threads 1"
    commands = [
        "--version",
        f"train runs/r {small}",
        "resume runs/r --steps 30",
        "info runs",
        "info runs/r",
        "verify runs/r",
        "measure runs/r --probe own.py:n_weights",
        "import runs/r/steps runs/theirs --heads 2 --task add --p 7",
        "analyse",
        "analyse weight_norms runs/r",
    ]
    code = (
        "import sys\nfrom interp.__main__ import main\n"
        f"for command in {commands!r}:\n"
        "    sys.argv = ['interp', *command.split()]\n"
        "    try:\n        main()\n"
        "    except SystemExit as stop:\n        assert not stop.code, (command, stop.code)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(installed)},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    assert "runs/r: complete, " in done.stdout and "no problems." in done.stdout
    assert (tmp_path / "figures" / "r" / "measure" / "n_weights.csv").is_file()
