"""A probe without VERSION is measured anew when anything that its code names has changed, and only then."""

import functools
import importlib
import os
import re
import subprocess
import sys
import textwrap
from pathlib import Path

import pandas as pd
import pytest

from interp.measurement import cache
from interp.measurement.measure import measure
from interp.measurement.own_probes import own_code
from tests.measurement.test_measure import write_run

ROOT = Path(__file__).parent.parent.parent

PROBE = """
from dataclasses import dataclass

import numpy as np
import pandas as pd


@dataclass(frozen=True)
class Settings:
    power: float


FACTOR = 2.0
SETTINGS = Settings(1.0)
OFFSETS = np.array([0.0, 1.0])


def scaled(x):
    return FACTOR * x


def shifted(x):
    return scaled(x) + OFFSETS.sum()


def norm(snapshot, *, digits=3):
    print("measured", snapshot.step)
    total = sum(float(w.norm()) for w in snapshot.weights.values()) ** SETTINGS.power
    return pd.DataFrame({"norm": [round(shifted(total), digits)]})
"""
MEASURE = """
import sys
import interp
from interp.runs.run import open_run
from own import norm
print(interp.measure(open_run(sys.argv[1]), [norm], progress=False)["norm"]["norm"].tolist())
"""


@pytest.fixture
def run(tmp_path):
    return write_run(tmp_path / "small", steps=[0, 1])


def steps_measured(run, folder, text, script=MEASURE):
    """Steps that a new process with this module measures, and the table that it gets."""
    (folder / "own.py").write_text(text)
    (folder / "script.py").write_text(script)
    done = subprocess.run(
        [sys.executable, "-X", "faulthandler", "-B", folder / "script.py", run.path],
        capture_output=True,
        text=True,
        env={"PYTHONPATH": f"{ROOT}:{folder}", "PATH": ""},
    )
    assert not done.returncode, f"ended with {done.returncode}: {done.stderr}"
    *measured, table = done.stdout.splitlines()
    return [int(line.split()[1]) for line in measured], table


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    """A run whose table of PROBE is kept, and that table."""
    folder = tmp_path_factory.mktemp("measured")
    run = write_run(folder / "small", steps=[0, 1])
    steps, table = steps_measured(run, folder, PROBE)
    assert steps == [0, 1]
    return run, table


def test_a_new_process_with_the_same_code_finds_the_table(measured, tmp_path):
    run, table = measured
    assert steps_measured(run, tmp_path, PROBE) == ([], table)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        pytest.param(
            "return FACTOR * x", "return FACTOR + x", id="helper of a helper", marks=pytest.mark.slow
        ),
        pytest.param("FACTOR = 2.0", "FACTOR = 3.0", id="constant", marks=pytest.mark.slow),
        pytest.param(
            "SETTINGS = Settings(1.0)", "SETTINGS = Settings(2.0)", id="dataclass", marks=pytest.mark.slow
        ),
        pytest.param("[0.0, 1.0]", "[0.0, 2.0]", id="array", marks=pytest.mark.slow),
        pytest.param("digits=3", "digits=1", id="default", marks=pytest.mark.slow),
        pytest.param("float(w.norm())", "float(w.abs().sum())", id="body", marks=pytest.mark.slow),
    ],
)
def test_what_has_changed_is_measured_anew(measured, tmp_path, old, new):
    run, before = measured
    assert PROBE.count(old) == 1
    steps, after = steps_measured(run, tmp_path, PROBE.replace(old, new))
    assert steps == [0, 1]
    assert after != before


@pytest.mark.slow
def test_a_script_s_own_function_is_kept_as_well(run, tmp_path):
    # In __main__, as in a notebook.
    script = PROBE + MEASURE.replace("from own import norm", "")
    steps, table = steps_measured(run, tmp_path, "", script)
    assert steps == [0, 1]
    assert steps_measured(run, tmp_path, "", script) == ([], table)


@pytest.mark.slow
def test_a_file_edited_after_it_was_loaded_does_not_give_its_key_to_the_old_function(run, tmp_path):
    edited = PROBE.replace("float(w.norm())", "float(w.abs().sum())")
    script = f"""
import sys
from pathlib import Path
import own
Path(own.__file__).write_text({edited!r})
{MEASURE}"""
    steps_measured(run, tmp_path, PROBE, script)
    assert steps_measured(run, tmp_path, edited)[0] == [0, 1]


# --- in one process


def key_of(run, probe):
    key = cache.CacheKey.of(run, "probe", probe, "cpu")
    return None if key is None else key.path


def steps_of(snapshot):
    return pd.DataFrame({"value": [snapshot.step]})


def of_factor(factor):
    def probe(snapshot):
        return pd.DataFrame({"value": [factor * snapshot.step]})

    return probe


def test_functions_of_one_name_have_tables_of_their_own(run):
    one, two = of_factor(1), of_factor(2)
    assert one.__qualname__ == two.__qualname__
    assert measure(run, [one])["probe"]["value"].tolist() == [0, 1]
    assert measure(run, [two])["probe"]["value"].tolist() == [0, 2]
    assert key_of(run, one) == key_of(run, of_factor(1)) != key_of(run, two)


def test_lambdas_of_one_line_are_told_apart(run):
    one, two = lambda s: pd.DataFrame({"v": [1]}), lambda s: pd.DataFrame({"v": [2]})
    assert key_of(run, one) != key_of(run, two)


def test_parameters_are_a_part_of_the_key(run):
    def power(snapshot, exponent=1):
        return pd.DataFrame({"value": [snapshot.step**exponent]})

    two, three = (functools.partial(power, exponent=x) for x in (2, 3))
    assert len({key_of(run, power), key_of(run, two), key_of(run, three)}) == 3
    assert key_of(run, functools.partial(power, exponent=object())) is None


def test_functions_that_call_each_other_have_a_key(run):
    def even(n):
        return n == 0 or odd(n - 1)

    def odd(n):
        return n != 0 and even(n - 1)

    assert key_of(run, lambda s: pd.DataFrame({"v": [even(s.step)]})) is not None


def defined_by(text, **names):
    """The function `probe` of code that stands in no file."""
    exec(textwrap.dedent(text), names)
    return names["probe"]


class Counter:
    def __init__(self):
        self.n = 0


counter, seen = Counter(), []


def with_object(snapshot):
    return pd.DataFrame({"value": [counter.n]})


def with_list(snapshot):
    return pd.DataFrame({"value": [len(seen)]})


def with_class(snapshot):
    return pd.DataFrame({"value": [Counter().n]})


def with_unknown(snapshot):
    return pd.DataFrame({"value": [not_there]})  # noqa: F821


def setting(snapshot):
    global last
    last = snapshot.step
    return pd.DataFrame({"value": [last]})


last = 0
NOT_KEPT = {
    "object": with_object,
    "list": with_list,
    "class": with_class,
    "no value yet": with_unknown,
    "sets a global": setting,
    "no source": defined_by("def probe(snapshot):\n    return pd.DataFrame({'value': [1]})", pd=pd),
    "bound method": Counter().__init__,
    "builtin": print,
    "class as a probe": Counter,
}


@pytest.mark.parametrize("kind", NOT_KEPT)
def test_what_can_change_unseen_is_not_kept(run, kind):
    assert key_of(run, NOT_KEPT[kind]) is None


@pytest.mark.parametrize("probe", [with_object, with_list, NOT_KEPT["no source"]])
def test_what_is_not_kept_is_measured_all_the_same(run, probe):
    for _ in range(2):
        assert len(measure(run, {"own": probe})["own"]) == 2
    assert not list(run.measures.glob("own-*"))


def of_run(snapshot):
    return pd.DataFrame({"value": [len(snapshot.run.steps)]})


def moved(snapshot):
    from interp.probes.weights.weight_distances import weight_distances

    return weight_distances(snapshot)


def named_dynamically(snapshot):
    from interp import probes

    return probes.weight_distances(snapshot)


@pytest.mark.parametrize("probe", [of_run, moved, named_dynamically])
def test_a_probe_that_may_compare_checkpoints_depends_on_all(run, probe):
    assert own_code(probe).depends_on_run
    assert not own_code(steps_of).depends_on_run


def test_the_example_of_the_guide_is_kept(run, tmp_path):
    guide = (ROOT / "docs" / "adding.md").read_text("utf-8")
    section = guide.split("## A probe of your own\n")[1].split("\n## ")[0]
    (code,) = re.findall(r"```python\n(.*?)```", section, re.S)
    script = f"""
import sys
code = compile({code!r}, "cell", "exec")
import linecache
linecache.cache["cell"] = (len({code!r}), None, {code!r}.splitlines(keepends=True), "cell")
import interp
bundled = interp.open_run
interp.open_run = lambda path: bundled(sys.argv[1])
exec(code)
print("measured", len(list(run.measures.glob("largest_share-*.parquet"))))
print(table["share"].between(0, 1).all())
"""
    assert steps_measured(run, tmp_path, "", script) == ([1], "True")


@pytest.mark.slow
def test_workers_of_an_earlier_call_do_not_measure_with_the_file_as_it_was(run, tmp_path, monkeypatch):
    """In a notebook: the file of a probe is edited and loaded again, and joblib would keep its workers."""
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=os.pathsep)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    text = "import pandas as pd\ndef value(snapshot):\n    return pd.DataFrame({'value': [%d]})\n"
    found = []
    for value in (1, 22):
        (tmp_path / "edited_probe.py").write_text(text % value)
        module = (
            importlib.reload(sys.modules["edited_probe"])
            if found
            else importlib.import_module("edited_probe")
        )
        tables = measure(run, [module.value], n_jobs=2, cache=False, progress=False)
        found.append(set(tables["value"]["value"]))
    del sys.modules["edited_probe"]
    assert found == [{1}, {22}]
