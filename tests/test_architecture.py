"""The floors: a module imports only from lower floors of its own wing, and the light doors stay light."""

import ast
import functools
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
TENSOR, TABLE, COMMON, ABOVE = "tensor wing", "table wing", "common ground", "above both wings"

# A folder is a floor: every folder has its wing and one whole number here.
FLOORS: dict[str, tuple[str, int]] = {
    "ground": (COMMON, 0),
    "mathematics": (TENSOR, 0),
    "tasks": (TENSOR, 1),
    "networks": (TENSOR, 2),
    "interventions": (TENSOR, 3),
    "runs": (TENSOR, 4),
    "training": (TENSOR, 5),
    "snapshots": (TENSOR, 6),
    "sources": (TENSOR, 7),
    "checks": (TENSOR, 8),
    "probes": (TENSOR, 9),
    "measurement": (TENSOR, 10),
    "tables": (TABLE, 0),
    "figures": (TABLE, 1),
    "theories": (TABLE, 2),
    "report": (TABLE, 3),
    "sweeps": (ABOVE, 0),
    "analyses": (ABOVE, 1),
    "trials": (ABOVE, 2),
    "views": (ABOVE, 3),
    "commands": (ABOVE, 4),
}

LOADS_TRANSFORMER_LENS = {"interp.networks.hooked", "interp.networks.bridge"}


def module_name(path: Path, root: Path) -> str:
    parts = path.relative_to(root).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports(path: Path, root: Path) -> set[str]:
    """Modules that a file imports anywhere, also in functions, but not for annotations only."""
    return set(_imports(path, root, path.read_text("utf-8")))


# Each rule asks for those of every file.
@functools.cache
def _imports(path: Path, root: Path, text: str) -> frozenset[str]:
    tree = ast.parse(text)
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
    return frozenset(found)


def place(module: str) -> tuple[str, int] | None:
    """Wing and floor of a module of the package, None for the package itself."""
    parts = module.split(".")[1:]
    return FLOORS[parts[0]] if parts else None


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
        if name in ("interp", "interp.__main__"):
            continue
        top = name.split(".")[1]
        if top not in FLOORS:
            found.append(f"{name} has no floor: a module lives in one of the folders {', '.join(FLOORS)}")
            continue
        wing, floor = FLOORS[top]
        for target in sorted(imports(path, root)):
            if target.split(".")[0] == "transformer_lens" and name not in LOADS_TRANSFORMER_LENS:
                found.append(
                    f"{name} imports {target}, which only {' and '.join(sorted(LOADS_TRANSFORMER_LENS))} may"
                )
            if wing in (TABLE, COMMON) and target.split(".")[0] == "torch":
                found.append(f"{name} of the {wing} imports torch")
            parts = target.split(".")
            if parts[0] != "interp" or len(parts) == 1 or parts[1] == top or parts[1] not in FLOORS:
                continue  # a module without a floor was said above, once
            target_wing, target_floor = FLOORS[parts[1]]
            if target_wing == COMMON or (wing == ABOVE and target_wing != ABOVE):
                continue
            if target_wing != wing:
                found.append(f"{name} of the {wing} imports {target} of the {target_wing}")
            elif target_floor >= floor:
                found.append(f"{name} (floor {floor}) imports {target} (floor {target_floor})")
    # A package's own file gathers what its modules define; those do not import each other through it.
    files = [path for path in (root / "interp").rglob("*.py") if path.name != "__init__.py"]
    if found_circle := circle({module_name(path, root): imports(path, root) for path in files}):
        found.append(f"{' -> '.join(found_circle)} is a circle")
    return found + between_analyses(root)


def between_analyses(root: Path) -> list[str]:
    """Every import by which one analysis needs another, or the package a script, as a sentence."""
    found = []
    scripts = {path.stem for path in (root / "analyses").glob("*.py")} | {"analyses"}
    # What has no script of its own is what several share.
    questions = {f"interp.analyses.{name}" for name in scripts}
    for path in sorted((root / "analyses").glob("*.py")):
        for target in sorted(imports(path, root)):
            if target.split(".")[0] in scripts:
                found.append(f"analyses/{path.name} imports {target}: analyses do not import each other")
    for path in sorted((root / "interp").rglob("*.py")):
        name = module_name(path, root)
        for target in sorted(imports(path, root)):
            if target.split(".")[0] == "analyses":
                found.append(f"{name} imports {target}: the package does without the scripts")
            if name in questions and target in questions - {name}:
                found.append(f"{name} imports {target}: analyses do not import each other")
    return found


def test_imports_go_downwards():
    assert violations(ROOT) == []


def folders_on_map(text: str) -> dict[str, tuple[str, int]]:
    """Wing and floor of every folder that the map in `interp/__init__.py` shows."""
    found, wing = {}, ""
    for line in text[text.index("    ABOVE BOTH") : text.index("A folder imports")].splitlines():
        for sign in (TENSOR, TABLE, COMMON, ABOVE):
            wing = sign if line.strip().startswith(sign.upper()) else wing
        if match := re.match(r" +(\d+)? +([a-z_]+)/ ", line):
            found[match[2]] = (wing, int(match[1] or 0))
    return found


def test_the_map_shows_every_folder_on_its_floor():
    import interp

    there = {path.parent.name for path in (ROOT / "interp").glob("*/__init__.py")}
    assert folders_on_map(interp.__doc__) == {name: place for name, place in FLOORS.items() if name in there}
    assert there <= set(FLOORS)
    assert {path.name for path in (ROOT / "interp").glob("*.py")} == {"__init__.py", "__main__.py"}


@pytest.mark.parametrize(
    ("file", "text", "want"),
    [
        (
            "interp/mathematics/fourier.py",
            "from interp.runs.run import Run",
            "interp.mathematics.fourier (floor 0) imports interp.runs.run (floor 4)",
        ),
        (
            "interp/runs/run.py",
            "def f():\n    from interp import training",
            "interp.runs.run (floor 4) imports interp.training (floor 5)",
        ),
        (
            "interp/runs/run.py",
            "def f():\n    from ..snapshots import snapshot",
            "interp.runs.run (floor 4) imports interp.snapshots.snapshot (floor 6)",
        ),
        (
            "interp/tables/transitions.py",
            "import torch.nn",
            "interp.tables.transitions of the table wing imports torch",
        ),
        (
            "interp/figures/lines.py",
            "from interp.snapshots.snapshot import Snapshot",
            "interp.figures.lines of the table wing imports interp.snapshots.snapshot of the tensor wing",
        ),
        (
            "interp/measurement/measure.py",
            "from interp.figures.lines import lines",
            "interp.measurement.measure of the tensor wing imports interp.figures.lines of the table wing",
        ),
        (
            "interp/snapshots/snapshot.py",
            "from transformer_lens import HookedRootModule",
            "interp.snapshots.snapshot imports transformer_lens, which only interp.networks.bridge and "
            "interp.networks.hooked may",
        ),
        ("interp/networks/hooked.py", "from transformer_lens import HookedRootModule", None),
        (
            "interp/sources/one.py",
            "import interp.sources.two",
            "interp.sources.one -> interp.sources.two is a circle",
        ),
        ("interp/sources/one.py", "import interp.sources.three", None),
        (
            "interp/novelty.py",
            "import torch",
            f"interp.novelty has no floor: a module lives in one of the folders {', '.join(FLOORS)}",
        ),
        (
            "analyses/one.py",
            "from analyses.two import compute",
            "analyses/one.py imports analyses.two: analyses do not import each other",
        ),
        ("analyses/one.py", "import two", "analyses/one.py imports two: analyses do not import each other"),
        (
            "interp/runs/run.py",
            "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from interp.training import x",
            None,
        ),
        ("interp/snapshots/snapshot.py", "import torch\nfrom interp.tasks.modular import Task", None),
        ("interp/figures/lines.py", "from interp.ground.whole_files import write_bytes", None),
        (
            "interp/ground/whole_files.py",
            "import torch",
            "interp.ground.whole_files of the common ground imports torch",
        ),
        (
            "interp/ground/progress_bar.py",
            "import interp.tables.curves",
            "interp.ground.progress_bar of the common ground imports interp.tables.curves of the table wing",
        ),
        ("interp/commands/train.py", "from interp.figures.lines import lines\nimport interp.training", None),
        ("interp/commands/train.py", "from interp.analyses import one", None),
        ("interp/analyses/one.py", "from interp.figures.lines import lines\nimport interp.training", None),
        (
            "interp/analyses/one.py",
            "def f():\n    from interp.commands.train import train",
            "interp.analyses.one (floor 1) imports interp.commands.train (floor 4)",
        ),
        (
            "interp/theories/one.py",
            "from interp.analyses.two import draw",
            "interp.theories.one of the table wing imports interp.analyses.two of the above both wings",
        ),
        (
            "interp/analyses/one.py",
            "from interp.analyses import two",
            "interp.analyses.one imports interp.analyses.two: analyses do not import each other",
        ),
        (
            "interp/commands/train.py",
            "from analyses.one import compute",
            "interp.commands.train imports analyses.one: the package does without the scripts",
        ),
    ],
)
def test_every_rule_is_seen_when_broken(tmp_path, file, text, want):
    names = (
        "ground/whole_files runs/run snapshots/snapshot training/__init__ tasks/modular figures/lines tables/curves "
        "sources/three commands/train analyses/two"
    )
    there = {
        **{f"interp/{name}.py": "" for name in names.split()},
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


def families_named(root: Path, families: dict[str, str]) -> list[str]:
    """Modules outside tasks/ and probes/ that import a family's module or say its name.

    A preset is a recipe of one family, a format shows one, and the list of analyses may hold the name of one.
    """
    found = []
    for path in sorted((root / "interp").rglob("*.py")):
        name = module_name(path, root)
        if name.startswith(("interp.tasks", "interp.probes")):
            continue
        for target in sorted(imports(path, root) & set(families.values())):
            found.append(f"{name} imports {target}")
        if name == "interp.analyses" or name.startswith(("interp.runs.presets", "interp.sources.formats")):
            continue
        texts = {n.value for n in ast.walk(ast.parse(path.read_text("utf-8"))) if isinstance(n, ast.Constant)}
        found += [f"{name} says {family!r}" for family in families if family in texts]
    return found


def test_nothing_outside_tasks_and_probes_names_a_family(tmp_path):
    from interp.tasks.families import FAMILIES

    families = {name: kind.__module__ for name, kind in FAMILIES.items()}
    assert families["groups"] == "interp.tasks.groups"
    assert families_named(ROOT, families) == []
    module = tmp_path / "interp" / "training" / "data.py"
    module.parent.mkdir(parents=True)
    (tmp_path / "interp" / "tasks").mkdir()
    (tmp_path / "interp" / "tasks" / "groups.py").touch()
    module.write_text("from interp.tasks.groups import GroupConfig\nif family == 'modular': pass")
    assert families_named(tmp_path, families) == [
        "interp.training.data imports interp.tasks.groups",
        "interp.training.data says 'modular'",
    ]


def loaded_by(code: str) -> set[str]:
    script = f"import sys; {code}; print(chr(10).join(sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, cwd=ROOT, check=True
    )
    return {name.split(".")[0] for name in done.stdout.split()}


def modules_of(*wings: str) -> list[str]:
    folders = [ROOT / "interp" / name for name, (wing, _) in FLOORS.items() if wing in wings]
    return [module_name(path, ROOT) for folder in folders for path in sorted(folder.rglob("*.py"))]


def test_table_wing_and_ground_do_not_load_torch():
    modules = modules_of(TABLE, COMMON)
    assert {"interp.figures.style", "interp.ground.whole_files"} <= set(modules)
    loaded = loaded_by(f"import {', '.join([*modules, 'interp.analyses.frame'])}")
    assert not {"torch", "transformer_lens"} & loaded
    assert "torch" in loaded_by("import torch")  # the test would see it


def test_import_interp_loads_next_to_nothing():
    loaded = loaded_by("import interp")
    assert not {"torch", "transformer_lens", "numpy", "pandas", "matplotlib"} & loaded


def test_help_of_the_command_does_not_load_torch():
    script = """
import sys
from interp.commands.cli import main
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
    assert "interp.commands.cli" in loaded
    assert not {"torch", "transformer_lens", "pandas"} & loaded


def test_training_one_layer_does_not_load_transformer_lens():
    # Four seconds of import that a one-layer run does not need.
    assert "transformer_lens" not in loaded_by("import interp.training.train, interp.snapshots.snapshot")


def test_names_of_the_notebook_are_there_and_lazy():
    import interp

    assert {"open_run", "train", "measure", "import_run"} <= set(dir(interp))
    assert interp.open_run.__module__ == "interp.sources.opening"
    with pytest.raises(AttributeError, match="module 'interp' has no attribute 'opne_run'"):
        interp.opne_run
