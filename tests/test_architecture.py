"""The floors: a module imports only from lower floors of its own wing, and the light doors stay light."""

import ast
import math
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
TENSOR, TABLE, COMMON, ABOVE = "tensor wing", "table wing", "common ground", "above both wings"

# Every module has its wing and floor here. A package stands for its files; they do not import each other (tasks,
# theories), except private ones (`_loss`), which stand half a floor below.
FLOORS: dict[str, tuple[str, float]] = {
    "choices": (COMMON, -1),
    "durable": (COMMON, -1),
    "findings": (COMMON, -1),
    "fourier": (TENSOR, 0),
    "mathematics": (TENSOR, 0),
    "plain_warnings": (COMMON, -1),
    "progress": (COMMON, -1),
    "provenance": (COMMON, -1),
    "schedule": (COMMON, -1),
    "architecture": (TENSOR, 1),
    "tasks": (TENSOR, 1),
    "factorized": (TENSOR, 2),
    "models": (TENSOR, 2),
    "bridge": (TENSOR, 2),
    "clock_pizza": (TENSOR, 2),
    "forward": (TENSOR, 2.5),
    "tensor_files": (TENSOR, 2),
    "run_config": (TENSOR, 2.5),
    "presets": (TENSOR, 2.7),
    "task_file": (TENSOR, 2.5),
    "packed_weights": (TENSOR, 2.5),
    "file_damage": (TENSOR, 2.5),
    "runs": (TENSOR, 3),
    "series": (TENSOR, 2.5),
    "sources": (TENSOR, 3.3),
    "opening": (TENSOR, 3.4),
    "recorded": (TENSOR, 3.2),
    "verification": (TENSOR, 3.3),
    "repair": (TENSOR, 3.4),
    "snapshots": (TENSOR, 4),
    "training": (TENSOR, 4),
    "interventions": (TENSOR, 5),
    "probes": (TENSOR, 5),
    "measure_cache": (TENSOR, 5.5),
    "measure_stream": (TENSOR, 5.5),
    "measure": (TENSOR, 6),
    "branches": (TENSOR, 7),
    "sweeps": (TENSOR, 8),
    "algorithm_verdict": (TABLE, 0.3),
    "curves": (TABLE, 0),
    "transitions": (TABLE, 0.3),
    "phases": (TABLE, 0.6),
    "figures": (TABLE, 1),
    "theories": (TABLE, 2),
    "report": (TABLE, 3),
    "analysis": (ABOVE, 9),
    "commands": (ABOVE, 9),
    "cli": (ABOVE, 10),
    "__main__": (ABOVE, 11),
}

# Packages whose files divide one job among them and may import each other; never in a circle.
SHARED = {"commands", "figures", "mathematics", "probes", "sources"}

LOADS_TRANSFORMER_LENS = {"interp.models", "interp.bridge"}


def module_name(path: Path, root: Path) -> str:
    parts = path.relative_to(root).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports(path: Path, root: Path) -> set[str]:
    """Modules that a file imports anywhere, also in functions, but not for annotations only."""
    tree = ast.parse(path.read_text("utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            node.body = []
    found = set()
    package = module_name(path, root).split(".")
    package = package if path.name == "__init__.py" else package[:-1]
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            source = ".".join([*base, *([node.module] if node.module else [])])
            for alias in node.names:
                inner = root / Path(*source.split("."), alias.name)
                is_module = inner.with_suffix(".py").exists() or inner.is_dir()
                found.add(f"{source}.{alias.name}" if is_module else source)
    return found


def place(module: str) -> tuple[str, float] | None:
    """Wing and floor of a module of the package, None for the package itself."""
    parts = module.split(".")[1:]
    if not parts:
        return None
    wing, floor = FLOORS[parts[0]]
    if parts[-1].startswith("_") and parts[-1] != "__main__":
        floor -= 0.5
    return wing, floor


def circle(graph: dict[str, set[str]]) -> list[str]:
    """Modules that import each other in a circle, or none."""
    done: set[str] = set()

    def visit(module: str, path: list[str]) -> list[str]:
        if module in path:
            return path[path.index(module) :]
        if module in done:
            return []
        for target in sorted(graph.get(module, ())):
            if found := visit(target, [*path, module]):
                return found
        done.add(module)
        return []

    return next((found for module in sorted(graph) if (found := visit(module, []))), [])


def violations(root: Path) -> list[str]:
    """Every import that goes sideways, upwards, or into the other wing, as a sentence."""
    found = []
    for path in sorted((root / "interp").rglob("*.py")):
        name = module_name(path, root)
        if name == "interp":
            continue
        top = name.split(".")[1]
        if top not in FLOORS:
            found.append(f"{name} has no floor: give it one in tests/test_architecture.py")
            continue
        wing, floor = place(name)
        for target in sorted(imports(path, root)):
            if target.split(".")[0] == "transformer_lens":
                if name not in LOADS_TRANSFORMER_LENS and not name.startswith("interp.sources"):
                    found.append(f"{name} imports {target}, which only models and sources may")
                continue
            if wing in (TABLE, COMMON) and target.split(".")[0] == "torch":
                found.append(f"{name} of the {wing} imports torch")
            if target.split(".")[0] != "interp" or target == "interp":
                continue
            if target.split(".")[1] not in FLOORS:
                continue  # said above, once
            target_wing, target_floor = place(target)
            is_own_package = path.name == "__init__.py" and target.startswith(name + ".")
            is_shared = top in SHARED and target.split(".")[1] == top
            if is_own_package or is_shared:
                continue
            if wing != ABOVE and target_wing not in (wing, COMMON):
                found.append(f"{name} of the {wing} imports {target} of the {target_wing}")
            elif target_floor >= floor:
                found.append(f"{name} (floor {floor:g}) imports {target} (floor {target_floor:g})")
    files = [path for path in (root / "interp").rglob("*.py") if path != root / "interp" / "__init__.py"]
    if found_circle := circle({module_name(path, root): imports(path, root) for path in files}):
        found.append(f"{' -> '.join(found_circle)} is a circle")
    for path in sorted((root / "analyses").glob("*.py")):
        others = {p.stem for p in (root / "analyses").glob("*.py")}
        for target in sorted(imports(path, root)):
            if target.split(".")[0] in others | {"analyses"}:
                found.append(f"analyses/{path.name} imports {target}: analyses do not import each other")
    return found


def test_imports_go_downwards():
    assert violations(ROOT) == []


def places_on_map(text: str) -> dict[str, tuple[str, int]]:
    """Wing and whole floor of every module that the map in `interp/__init__.py` shows."""
    found, wing, floor = {}, "", 0
    for line in text[text.index("    TENSOR WING") : text.index("    COMMON GROUND")].splitlines():
        if "WING" in line:
            wing = TENSOR if "TENSOR" in line else TABLE
        elif line.strip():
            floor = int(line[4]) if line[4].isdigit() else floor
            names = re.split(r"\s{2,}", line[7:])[0]  # two blanks end the names
            found |= {name.removesuffix("/*"): (wing, floor) for name in names.split(", ") if name}
    for wing, sign in ((COMMON, "COMMON GROUND"), (ABOVE, "ABOVE BOTH")):
        names = re.search(rf"    {sign}[^:]*: (.*)", text)[1]
        found |= {name.removesuffix("/*"): (wing, 0) for name in names.split(", and")[0].split(", ")}
    return found


def test_the_map_shows_every_module_on_its_floor():
    import interp

    there = {path.stem for path in (ROOT / "interp").glob("*.py")} - {"__init__", "__main__"}
    there |= {path.parent.name for path in (ROOT / "interp").glob("*/__init__.py")}
    want = {
        name: (wing, math.floor(floor) if wing in (TENSOR, TABLE) else 0)
        for name, (wing, floor) in FLOORS.items()
        if name in there
    }
    assert places_on_map(interp.__doc__) == want
    assert "transitions" in want and want["forward"] == (TENSOR, 2)


@pytest.mark.parametrize(
    ("file", "text", "want"),
    [
        (
            "interp/fourier.py",
            "from interp.runs import Run",
            "interp.fourier (floor 0) imports interp.runs (floor 3)",
        ),
        (
            "interp/models.py",
            "import interp.factorized",
            "interp.models (floor 2) imports interp.factorized (floor 2)",
        ),
        (
            "interp/runs.py",
            "def f():\n    from interp import training",
            "interp.runs (floor 3) imports interp.training (floor 4)",
        ),
        (
            "interp/runs.py",
            "def f():\n    from . import snapshots",
            "interp.runs (floor 3) imports interp.snapshots (floor 4)",
        ),
        (
            "interp/tasks/one.py",
            "from interp.tasks.two import two",
            "interp.tasks.one (floor 1) imports interp.tasks.two (floor 1)",
        ),
        ("interp/transitions.py", "import torch.nn", "interp.transitions of the table wing imports torch"),
        (
            "interp/figures/lines.py",
            "from interp.snapshots import Snapshot",
            "interp.figures.lines of the table wing imports interp.snapshots of the tensor wing",
        ),
        (
            "interp/measure.py",
            "from interp.figures.lines import lines",
            "interp.measure of the tensor wing imports interp.figures.lines of the table wing",
        ),
        (
            "interp/snapshots.py",
            "from transformer_lens import HookedRootModule",
            "interp.snapshots imports transformer_lens, which only models and sources may",
        ),
        (
            "interp/sources/one.py",
            "import interp.sources.two",
            "interp.sources.one -> interp.sources.two is a circle",
        ),
        ("interp/sources/one.py", "import interp.sources.three", None),
        (
            "interp/novelty.py",
            "import torch",
            "interp.novelty has no floor: give it one in tests/test_architecture.py",
        ),
        (
            "analyses/one.py",
            "from analyses.two import compute",
            "analyses/one.py imports analyses.two: analyses do not import each other",
        ),
        ("analyses/one.py", "import two", "analyses/one.py imports two: analyses do not import each other"),
        (
            "interp/runs.py",
            "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from interp.training import x",
            None,
        ),
        ("interp/snapshots.py", "import torch\nfrom interp.tasks.modular import Task", None),
        ("interp/tasks/one.py", "from interp.tasks._shared import f", None),
        ("interp/probes/one.py", "from interp.probes.two import f", None),
        ("interp/figures/lines.py", "from interp.durable import write_bytes", None),
        ("interp/durable.py", "import torch", "interp.durable of the common ground imports torch"),
        (
            "interp/progress.py",
            "import interp.durable",
            "interp.progress (floor -1) imports interp.durable (floor -1)",
        ),
        ("interp/commands/train.py", "from interp.figures.lines import lines\nimport interp.training", None),
    ],
)
def test_every_rule_is_seen_when_broken(tmp_path, file, text, want):
    there = {
        **{f"interp/{name}.py": "" for name in ("durable", "runs", "snapshots", "training", "tasks/modular")},
        **{f"interp/{name}.py": "" for name in ("tasks/two", "figures/lines", "probes/two", "sources/three")},
        "interp/sources/two.py": "def f():\n    from interp.sources import one",
        "interp/sources/one.py": "",
        "analyses/one.py": "",
        "analyses/two.py": "",
        file: text,
    }
    for name, content in there.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(content)
    assert violations(tmp_path) == ([want] if want else [])


def loaded_by(code: str) -> set[str]:
    script = f"import sys; {code}; print(chr(10).join(sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, cwd=ROOT, check=True
    )
    return {name.split(".")[0] for name in done.stdout.split()}


def table_wing() -> list[str]:
    files = [
        p for top, (wing, _) in FLOORS.items() if wing == TABLE for p in (ROOT / "interp").glob(f"{top}*")
    ]
    paths = [p for f in files for p in ([f] if f.suffix == ".py" else sorted(f.rglob("*.py")))]
    return [module_name(path, ROOT) for path in paths]


def test_table_wing_does_not_load_torch():
    modules = table_wing()
    assert "interp.figures.style" in modules
    loaded = loaded_by(f"import {', '.join([*modules, 'interp.analysis'])}")
    assert not {"torch", "transformer_lens"} & loaded
    assert "torch" in loaded_by("import torch")  # the test would see it


def test_import_interp_loads_next_to_nothing():
    loaded = loaded_by("import interp")
    assert not {"torch", "transformer_lens", "numpy", "pandas", "matplotlib"} & loaded


def test_help_of_the_command_does_not_load_torch():
    script = """
import sys
from interp.cli import main
sys.argv = ["interp", "--help"]
try:
    main()
except SystemExit as end:
    assert not end.code
print("LOADED", *sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    loaded = set(done.stdout.split("LOADED")[1].split())
    assert "interp.cli" in loaded
    assert not {"torch", "transformer_lens", "pandas"} & loaded


def test_training_one_layer_does_not_load_transformer_lens():
    # Four seconds of import that a one-layer run does not need.
    assert "transformer_lens" not in loaded_by("import interp.training, interp.snapshots")


def test_names_of_the_notebook_are_there_and_lazy():
    import interp

    assert {"open_run", "train", "measure", "import_run"} <= set(dir(interp))
    assert interp.open_run.__module__ == "interp.opening"
    with pytest.raises(AttributeError, match="module 'interp' has no attribute 'opne_run'"):
        interp.opne_run
