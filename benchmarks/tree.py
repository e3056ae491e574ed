"""How long modules and functions are, and whether a module is longer than the house allows.

python benchmarks/tree.py [FOLDER, interp if none is given]

Exits with 1 if a module has more than 350 lines.
"""

import argparse
import ast
import statistics
import sys
from pathlib import Path

MOST_LINES = 350
N_LONGEST = 10


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    default = Path(__file__).parent.parent / "interp"
    parser.add_argument("folder", type=Path, nargs="?", default=default)
    folder = parser.parse_args().folder
    modules = module_lines(folder)
    if not modules:
        print(f"tree.py needs a folder with Python modules, got {folder}.", file=sys.stderr)
        return 2
    print(report(modules, function_lines(folder)))
    too_long = {name: n for name, n in modules.items() if n > MOST_LINES}
    for name, n in too_long.items():
        print(f"{name} has {n} lines, more than {MOST_LINES}.", file=sys.stderr)
    return 1 if too_long else 0


def module_lines(folder: Path) -> dict[str, int]:
    """Lines of every module, longest first."""
    lines = {
        str(path.relative_to(folder)): len(path.read_text("utf-8").splitlines())
        for path in sorted(folder.rglob("*.py"))
    }
    return dict(sorted(lines.items(), key=lambda item: -item[1]))


def function_lines(folder: Path) -> dict[str, int]:
    """Lines of every function and method, signature and docstring included, longest first."""
    lines = {}
    for path in sorted(folder.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
                name = f"{path.relative_to(folder)}:{node.lineno} {node.name}"
                lines[name] = (node.end_lineno or node.lineno) - node.lineno + 1
    return dict(sorted(lines.items(), key=lambda item: -item[1]))


def report(modules: dict[str, int], functions: dict[str, int]) -> str:
    longest = next(iter(modules))
    rows = [
        f"modules          {len(modules)}",
        f"largest module   {modules[longest]} lines, {longest}",
        f"median module    {statistics.median(modules.values()):g} lines",
        f"functions        {len(functions)}",
    ]
    if functions:
        rows.append(f"median function  {statistics.median(functions.values()):g} lines")
        rows += [f"{n:>16} {name}" for name, n in list(functions.items())[:N_LONGEST]]
    return "\n".join(rows)


if __name__ == "__main__":
    sys.exit(main())
