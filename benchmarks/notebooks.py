"""Execute the notebooks of analyses/ from their text twins, with this interpreter, and write them with their outputs.

    python benchmarks/notebooks.py                    # analyses/*.ipynb anew, each from its .md
    python benchmarks/notebooks.py --out DIR          # elsewhere, to compare
    python benchmarks/notebooks.py --out DIR explore  # one of them

What would differ from one execution to the next is left out: progress bars, times of execution, names of cells, the
repository's own path and that of temporary folders. How long each took is printed; it is the wall time of everything,
starting the kernel included.
"""

import argparse
import os
import re
import sys
import tempfile
import time
from pathlib import Path

import jupytext
import nbformat
from jupyter_client.kernelspec import KernelSpecManager
from jupyter_client.manager import AsyncKernelManager
from nbclient import NotebookClient

ROOT = Path(__file__).parent.parent
TWINS = sorted(
    path for path in (ROOT / "analyses").glob("*.md") if path.read_text("utf-8").startswith("---\njupyter:")
)
_SECONDS_A_CELL = 600


def executed(notebook: nbformat.NotebookNode, folder: Path) -> nbformat.NotebookNode:
    """The notebook with its outputs, executed in a folder by a kernel of this interpreter.

    Raises:
        nbclient.exceptions.CellExecutionError: with the cell and its error.
    """
    # No folders to look into: what is left is the kernel of the interpreter that runs this, whatever is installed.
    specs = KernelSpecManager(kernel_dirs=[], ensure_native_kernel=True)
    manager = AsyncKernelManager(kernel_name="python3", kernel_spec_manager=specs)
    client = NotebookClient(
        notebook,
        km=manager,
        kernel_name="python3",
        timeout=_SECONDS_A_CELL,
        resources={"metadata": {"path": folder}},
    )
    return client.execute()


def steady(notebook: nbformat.NotebookNode, places: dict[str, str]) -> nbformat.NotebookNode:
    """The notebook without what differs between executions.

    Args:
        places: texts to be replaced in outputs, and by what.

    Raises:
        SystemExit: if a cell warned.
    """
    notebook.metadata = {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}}
    for i, cell in enumerate(notebook.cells):
        cell["id"] = f"cell-{i}"
        cell["metadata"] = {}
        if cell["cell_type"] == "code":
            told = "".join(out["text"] for out in cell["outputs"] if out.get("name") == "stderr")
            if "Warning" in told:
                raise SystemExit(f"A cell warns, which a reader takes for a fault: {told}")
            outputs = [out for out in cell["outputs"] if out.get("name") != "stderr" and not _is_bar(out)]
            cell["outputs"] = [_placed(out, places) for out in outputs]
    return notebook


def _is_bar(output: nbformat.NotebookNode) -> bool:
    """Whether it is a progress bar: displayed, and nothing but text."""
    return output["output_type"] == "display_data" and [*output["data"]] == ["text/plain"]


def _placed(value, places: dict[str, str]):
    if isinstance(value, str):
        for found, put in places.items():
            value = value.replace(found, put)
        # A temporary folder that the notebook made within that of this program.
        return re.sub(r"/tmp/tmp\w{8}", "/tmp/notebook", value)
    if isinstance(value, dict):
        return type(value)({name: _placed(part, places) for name, part in value.items()})
    return [_placed(part, places) for part in value] if isinstance(value, list) else value


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="*", choices=[[], *(twin.stem for twin in TWINS)])
    parser.add_argument("--out", type=Path, default=ROOT / "analyses")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    os.environ["PYTHONPATH"] = os.pathsep.join(
        [str(ROOT), *os.environ.get("PYTHONPATH", "").split(os.pathsep)]
    )
    for twin in TWINS:
        if options.names and twin.stem not in options.names:
            continue
        with tempfile.TemporaryDirectory() as folder:
            os.environ["TMPDIR"] = folder
            # Where measured tables are kept of runs that are not ours.
            os.environ["XDG_CACHE_HOME"] = folder
            start = time.monotonic()
            notebook = executed(jupytext.read(twin), ROOT / "analyses")
            places = {f"{ROOT}/": "", folder: "/tmp"}
            (options.out / f"{twin.stem}.ipynb").write_text(
                nbformat.writes(steady(notebook, places)) + "\n", "utf-8"
            )
        sys.stdout.write(f"{twin.stem}: {time.monotonic() - start:.1f} s\n")


if __name__ == "__main__":
    main()
