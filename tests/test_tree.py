"""`benchmarks/tree.py` counts as `wc` and the eye do, and refuses a module that is too long; ours are not."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent

MODULE = '''"""Three functions."""


def short():
    return 1


class Thing:
    def method(self):
        """Two
        lines."""

        def inner():
            pass

        return inner
'''


def tree(*arguments):
    command = [sys.executable, ROOT / "benchmarks" / "tree.py", *arguments]
    return subprocess.run(command, capture_output=True, text=True)


def test_a_made_up_tree_is_counted(tmp_path):
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "one.py").write_text(MODULE)
    (tmp_path / "two.py").write_text("x = 1\n" * 350)
    done = tree(tmp_path)
    assert done.returncode == 0
    assert done.stdout.splitlines() == [
        "modules          2",
        "largest module   350 lines, two.py",
        "median module    183 lines",
        "functions        3",
        "median function  2 lines",
        "               8 folder/one.py:9 method",
        "               2 folder/one.py:4 short",
        "               2 folder/one.py:13 inner",
    ]


def test_a_module_that_is_too_long_is_refused(tmp_path):
    (tmp_path / "long.py").write_text("x = 1\n" * 351)
    done = tree(tmp_path)
    assert done.returncode == 1
    assert done.stderr == "long.py has 351 lines, more than 350.\n"


def test_a_folder_without_modules_is_told(tmp_path):
    done = tree(tmp_path)
    assert (done.returncode, "needs a folder with Python modules" in done.stderr) == (2, True)


def test_no_module_of_ours_is_too_long():
    done = tree()
    assert done.returncode == 0, done.stderr
    assert "modules" in done.stdout
