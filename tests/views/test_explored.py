"""What the page is made of, without a browser: numbers equal tables, nothing is off by more than half a code."""

import json
import math
import re
import zlib
from base64 import b64decode
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

import interp
from interp.report.explorer.encoded import json_text, quantised, whole_numbers
from interp.report.explorer.page import page
from interp.runs.run import Run
from interp.snapshots.residues import Residues
from interp.snapshots.snapshot import Snapshot
from interp.training.train import train
from interp.views import along as along_module
from interp.views import stills as stills_module
from interp.views.cells import Cells
from interp.views.explored import explored
from interp.views.steps_shown import steps_shown
from tests import hand_built
from tests.tiny import tiny_config, tiny_group_run


@pytest.fixture(scope="module")
def data(tiny_run):
    return explored([tiny_run])


@pytest.fixture(scope="module")
def short(tmp_path_factory):
    """A run without heads that has not generalised, and what the page has of it."""
    config = tiny_config(100, task={"operation": "subtract", "equals_token": False}, model={"n_heads": 0})
    run = train(config, tmp_path_factory.mktemp("runs") / "short", threads=1)
    return run, explored([run], sources=["a/short"], stated={"task": {"operation": "subtract"}})["runs"][0]


@pytest.fixture(scope="module")
def group(tmp_path_factory):
    """A short run on S3, and what the page has of it."""
    run = tiny_group_run(tmp_path_factory.mktemp("runs") / "group")
    return run, explored([run])["runs"][0]


def values(array):
    return array["offset"] + array["scale"] * array["codes"].astype(float)


def test_quantised_is_off_by_half_a_step_at_most():
    x = np.random.default_rng(0).uniform(-3, 5, 10_000)
    for bits in (8, 16):
        q = quantised(x, low=-3.0, high=5.0, bits=bits)
        assert np.abs(values(q) - x).max() <= 8 / (2**bits - 2) / 2 + 1e-12
    assert quantised(np.array([np.nan, 9.0]), low=0.0, high=1.0)["codes"].tolist() == [255, 254]
    with pytest.raises(ValueError, match="quantised needs low below high, got 1.0 and 1.0"):
        quantised(x, low=1.0, high=1.0)


def test_whole_numbers_stay():
    assert whole_numbers(np.array([0, 300]))["codes"].tolist() == [0, 300]
    assert whole_numbers(np.array([0, 255]))["codes"].dtype == np.uint8
    with pytest.raises(ValueError, match="whole_numbers needs integers up to 65535, got 65536"):
        whole_numbers(np.array([65536]))


def test_arrays_are_what_the_checkpoints_say(data, tiny_run):
    run = data["runs"][0]
    snapshot = Snapshot.of(tiny_run, 300)
    table = snapshot.once(Residues).table
    last = {name: values(array)[-1] for name, array in run["arrays"].items() if name != "is_train"}
    probability = table(snapshot.log_probabilities.gather(1, snapshot.labels[:, None])[:, 0].exp()).numpy()
    assert np.abs(last["probability"] - probability).max() <= 0.5 / 254 + 1e-6
    attention = table(snapshot.pattern[..., 0])[..., 0, 1].numpy()
    assert np.abs(last["attention"][1] - attention).max() <= 0.5 / 254 + 1e-6
    is_right = table(snapshot.answers == snapshot.labels).numpy()
    np.testing.assert_array_equal(last["error"] == 0, is_right)
    np.testing.assert_array_equal(run["arrays"]["is_train"]["codes"] == 1, table(snapshot.is_train).numpy())


def test_shares_of_neurons_agree_with_the_probe(data, tiny_run):
    shares = values(data["runs"][0]["arrays"]["neurons"])[-1]
    table = interp.measure(tiny_run, ["neuron_frequencies"], steps=[300])["neuron_frequencies"]
    alive = table["frequency"].to_numpy() > 0
    np.testing.assert_array_equal(shares.argmax(1)[alive] + 1, table["frequency"].to_numpy()[alive])
    assert np.abs(shares.max(1) - table["fraction_explained"].to_numpy()).max() <= 0.5 / 254 + 1e-5


def test_circles_are_orthogonal_projections(data, tiny_run):
    """Coordinates in an orthonormal plane: no longer than the embedding, and the whole component of the frequency."""
    run = data["runs"][0]
    table = run["tables"]["circles"].set_index(["step", "plane", "frequency"])
    at = values(run["arrays"]["circles"])[-1]
    embedding = Snapshot.of(tiny_run, 300).once(Residues).embedding.double()
    centred = embedding - embedding.mean(0)
    wave = np.exp(2j * np.pi * np.arange(11)[:, None] * np.arange(11) / 11)
    for i, k in enumerate(run["circles"]["frequencies"]):
        xy = at[0, i] * table.loc[(300, "own", k), "largest"]
        assert (np.hypot(*xy.T) <= np.linalg.norm(centred.numpy(), axis=1) * 1.02).all()
        of_plane = np.linalg.norm(wave[k] @ xy)
        assert of_plane == pytest.approx(np.linalg.norm(wave[k] @ centred.numpy()), rel=0.02)
    own = table.xs("own", level="plane").loc[300]
    final = table.xs("final", level="plane").loc[300]
    pd.testing.assert_frame_equal(own, final)


def test_the_clock_share_is_that_of_its_frequencies(data, tiny_run):
    run = data["runs"][0]
    spectrum = interp.measure(tiny_run, ["logit_spectrum"])["logit_spectrum"]
    assert not run["keys"]["hindsight"], "a run that has generalised calls them by another name"
    clock = run["tables"]["clock"].set_index(["keys", "step"])["share"]
    whole = spectrum.groupby("step")["fraction_explained"].sum()
    np.testing.assert_allclose(clock["all"].to_numpy(), whole.to_numpy())
    of_keys = spectrum[(spectrum["step"] == 300) & spectrum["frequency"].isin(run["followed"])]
    assert clock["strongest", 300] == pytest.approx(of_keys["fraction_explained"].sum())


def test_no_name_breaks_out_of_its_script(data):
    evil = {**data["runs"][0], "name": "</script><script>alert(1)</script>", "source": "]]><!--</script>"}
    html = page({**data, "title": "<b>&", "runs": [evil]})
    assert "<script>alert" not in html and "<b>&" not in html
    inside = re.search(r'<script type="application/json" id="data">(.*?)</script>', html, re.S)[1]
    assert json.loads(inside)["runs"][0]["name"] == evil["name"]


def test_infinity_stays_a_number_and_a_text_what_it_says():
    said = [math.inf, -math.inf, math.nan, "Infinity", 'x"-Infinity', {"Infinity": 1.5}]
    assert json.loads(json_text(said)) == [math.inf, -math.inf, None, *said[3:]]
    assert "Infinity" not in json_text(said[:3])


def test_same_data_same_bytes_and_whole_tables(data):
    html = page(data)
    assert html == page(data)
    text = re.search(r'id="blob-tables-0">(.*?)</script>', html, re.S)[1]
    tables = json.loads(zlib.decompress(b64decode(text)))
    losses = data["runs"][0]["tables"]["losses"]
    np.testing.assert_allclose(tables["losses"]["rows"]["loss"], losses["loss"], rtol=1e-5)


def test_a_damaged_checkpoint_is_left_out_and_named(tiny_run_copy):
    path = next(tiny_run_copy.path.rglob("*150*.safetensors"))
    path.write_bytes(path.read_bytes()[:-9])
    run = explored([interp.open_run(tiny_run_copy.path)])["runs"][0]
    assert 150 not in run["steps"] and 300 in run["steps"]
    assert any(note.startswith("Step 150 is left out") for note in run["notes"])


def test_a_step_at_which_one_probe_failed_is_left_out_of_all_tables(tiny_run, monkeypatch):
    whole = along_module.measure

    def measured(*args, **options):
        tables = whole(*args, **options)
        if "logit_spectrum" in tables:
            table = tables["logit_spectrum"]
            tables["logit_spectrum"] = table[table["step"] != 150]
            tables["logit_spectrum"].attrs["failed"] = {150: "no numbers"}
        return tables

    monkeypatch.setattr(along_module, "measure", measured)
    found = along_module.along(tiny_run, tiny_run.steps)
    assert found.steps == [step for step in tiny_run.steps if step != 150]
    of_steps = [
        table for name, table in found.tables.items() if name not in ("history", "forecasts") and len(table)
    ]
    assert len(of_steps) > 8 and all(set(table["step"]) == set(found.steps) for table in of_steps)


@pytest.mark.parametrize(
    ("operation", "labels"),
    [("add", ("a", "b")), ("subtract", ("a", "−b mod 11")), ("multiply", ("log₂ a", "log₂ b"))],
)
def test_a_cell_is_that_of_its_operands(operation, labels):
    random = hand_built.random_network(11)
    snapshot = Snapshot(0, random.weights, random.network, hand_built.addition(11, operation=operation))
    cells = Cells.of(snapshot, 4)
    assert cells.labels == labels and cells.every == 3
    probability = snapshot.log_probabilities.gather(1, snapshot.labels[:, None])[:, 0].exp()
    of_pair = dict(
        zip(map(tuple, snapshot.known_task.structure.pairs.tolist()), probability.tolist(), strict=True)
    )
    first, second = cells.operands.tolist()
    expected = [[of_pair[a, b] for b in second] for a in first]
    np.testing.assert_allclose(cells.right(snapshot)[0], expected, rtol=1e-5)


def test_without_a_known_split_no_pair_is_called_a_test_pair():
    known = hand_built.random_network(11)
    task = replace(known.known_task, is_train=None)
    unknown = Snapshot(0, known.weights, known.network, task)
    assert Cells.of(known, 128).is_train(known).sum() == known.is_train.sum()
    assert Cells.of(unknown, 128).is_train(unknown) is None


def test_what_is_no_number_does_not_stop_the_page():
    margin = np.array([[1.0, np.nan], [-3.0, np.inf]])
    packed = stills_module._packed("margin", margin)
    assert packed["codes"].tolist() == [[169, 255], [0, 254]] and packed["missing"]
    assert stills_module._packed("margin", np.full((2, 2), np.nan))["codes"].tolist() == [[255, 255]] * 2


def test_of_a_run_without_heads_the_attention_is_missing_and_not_the_answers(short):
    run = short[1]
    assert run["does_not_apply"]["attention"] == "This network has no attention."
    assert "answers" not in run["does_not_apply"] and "probability" in run["arrays"]


def test_frequencies_of_a_run_without_key_ones_are_called_strongest(short):
    run = short[1]
    assert run["keys"]["hindsight"] == [] and run["followed"]
    assert set(run["tables"]["clock"]["keys"]) == {"leak-free", "strongest", "all"}


def test_python_of_the_page_says_what_was_stated(short):
    assert short[1]["opens"] == "interp.open_run('a/short', task={'operation': 'subtract'})"


def test_a_group_has_its_representations(group):
    run, told = group
    followed = told["representations"]["followed"]
    for name in ("character_similarity", "representation_spectrum"):
        expected = interp.measure(run, [name], cache=False)[name]
        pd.testing.assert_frame_equal(told["tables"][name], expected)
        assert set(followed) <= set(expected["representation"])
    assert len(followed) == 2 and "not key representations" in told["representations"]["chosen_by"]


def test_a_name_that_is_no_text_can_be_written(data):
    run = {**data["runs"][0], "name": "run-\udcff", "source": "/tmp/\udcff"}
    html = page({**data, "runs": [run]}).encode("utf-8").decode()
    inside = re.search(r'<script type="application/json" id="data">(.*?)</script>', html, re.S)[1]
    assert json.loads(inside)["runs"][0]["source"] == "/tmp/\udcff"


def test_many_checkpoints_are_thinned_around_what_happened():
    steps = np.arange(0, 10_001, 10)
    history = pd.DataFrame(
        {"step": steps, "train_accuracy": steps >= 500.0, "test_accuracy": steps >= 8000.0}, dtype=float
    )

    class Long(Run):
        def __init__(self):
            pass

        @property
        def steps(self):
            return steps.tolist()

        def history(self):
            return history

    shown = set(steps_shown(Long()))
    assert len(shown) == 60 and {0, 10_000} <= shown
    assert {*range(470, 531, 10)} <= shown and {*range(7890, 8111, 10)} <= shown
    between = sorted(step for step in shown if 600 < step < 7800)
    assert len(between) > 10 and max(np.diff(between)) < 1000


def test_few_checkpoints_are_all_shown(tiny_run):
    assert steps_shown(tiny_run) == tiny_run.steps


def test_explored_needs_a_run():
    with pytest.raises(ValueError, match="explored needs a run, got none"):
        explored([])


def test_a_task_whose_logits_fit_into_no_memory_is_refused_before_it_is_measured(tiny_run, monkeypatch):
    monkeypatch.setattr("interp.ground.memory.machine_memory", lambda: 8 * 4 * 121 * 11 - 1)
    with pytest.raises(
        ValueError, match="A page of 121 inputs with 11 answers each needs at least .* of memory"
    ):
        explored([tiny_run])
