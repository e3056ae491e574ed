"""A series on a hub that is played here: one step's weights on disk and in memory at a time, and clear errors."""

import json
import pickle
import shutil
import subprocess
import sys
import warnings
import weakref
from pathlib import Path

import pandas as pd
import pytest
import torch
from huggingface_hub import constants
from safetensors.torch import save_file
from typer.testing import CliRunner

import interp
from interp.commands.cli import app
from interp.measurement.measure import measure
from interp.measurement.stream import MeasureError
from interp.probes import weight_norms
from interp.sources import import_run
from interp.sources.files.reading import SourceError, SourceWarning
from interp.sources.formats.huggingface.hub_run import open_on_hub
from interp.sources.formats.huggingface.own_folder import remove_abandoned
from tests.fake_hub import FakeHub

STEPS = (0, *(1000 * i for i in range(1, 20)))
# Bytes of the numbers in the weights of a step; its file has a header besides.
SIZE = 64 * 64 * 4


def checkpoint(folder, step, **config):
    """A folder of Hugging Face whose weights are a function of the step."""
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps({"model_type": "gpt_neox", "hidden_size": 64} | config))
    save_file({"w": torch.full((64, 64), float(step + 1))}, folder / "model.safetensors")
    return folder


@pytest.fixture
def hub(tmp_path, monkeypatch):
    folders = {f"step{s}": checkpoint(tmp_path / "there" / f"step{s}", s) for s in STEPS}
    folders["main"] = folders[f"step{STEPS[-1]}"]
    return FakeHub(folders, tmp_path / "cache").install(monkeypatch)


def weights_asked(hub):
    return [revision for revision, patterns in hub.asked if "*.safetensors" in patterns]


def test_nothing_is_downloaded_before_it_is_asked_for(hub):
    run = interp.open_run("hf://org/tiny")
    assert run.steps == list(STEPS) and run.unit == "step" and hub.asked == []
    assert run.name == "models--org--tiny" and run.huggingface == run.first
    assert run.step_weights(3000)["w"][0, 0] == 3001
    assert weights_asked(hub) == ["step3000"]


def test_a_series_takes_the_disk_and_the_memory_of_one_checkpoint(hub):
    run = interp.open_run("hf://org/tiny", drop_downloads=True)
    alive = weakref.WeakSet()
    most = []

    def watched(snapshot):
        alive.add(snapshot)
        most.append(len(alive))
        return pd.DataFrame({"mean": [snapshot.weights["w"].mean().item()]})

    table = measure(run, [watched], progress=False)["watched"]
    assert table["mean"].tolist() == [step + 1 for step in STEPS]
    assert weights_asked(hub) == [f"step{s}" for s in STEPS]
    # A file, and its header.
    assert SIZE < hub.largest < 1.1 * SIZE
    assert hub.weights_on_disk() == 0 and most == [1] * len(STEPS)
    # What says of which network it is stays.
    assert (run.first / "config.json").is_file()


def test_without_the_option_all_stays(hub):
    measure(interp.open_run("hf://org/tiny"), ["weight_norms"], progress=False)
    assert hub.weights_on_disk() > len(STEPS) * SIZE


def test_what_was_in_the_cache_before_is_not_deleted(hub):
    interp.open_run("hf://org/tiny@step2000").step_weights(2000)
    before = hub.weights_on_disk()
    measure(interp.open_run("hf://org/tiny", drop_downloads=True), ["weight_norms"], progress=False)
    assert hub.weights_on_disk() == before > SIZE
    # And is read from there.
    assert weights_asked(hub).count("step2000") == 1


def test_a_broken_connection_loses_nothing_that_was_measured(hub, monkeypatch):
    run = interp.open_run("hf://org/tiny", drop_downloads=True)
    was = hub.download

    def until(repository, *, revision, **options):
        hub.is_down = hub.is_down or revision == "step7000"
        return was(repository, revision=revision, **options)

    monkeypatch.setattr("huggingface_hub.snapshot_download", until)
    with pytest.raises(
        SourceError, match=r"org/tiny cannot be had from the hub: We couldn't connect to .*Without a"
    ):
        measure(run, ["weight_norms"], progress=False)
    hub.install(monkeypatch).is_down = False
    hub.asked.clear()
    again = interp.open_run("hf://org/tiny", drop_downloads=True)
    table = measure(again, ["weight_norms"], progress=False)["weight_norms"]
    assert weights_asked(hub) == [f"step{s}" for s in STEPS if s >= 7000]
    assert table["step"].nunique() == len(STEPS) and hub.weights_on_disk() == 0
    hub.asked.clear()
    measure(again, ["weight_norms"], progress=False)
    assert hub.asked == []


def test_a_revision_that_was_changed_is_measured_anew(hub, tmp_path):
    def norm():
        run = interp.open_run("hf://org/tiny@step1000", drop_downloads=True)
        return measure(run, ["weight_norms"], progress=False)["weight_norms"]["l2"].iloc[0]

    first = norm()
    hub.folders["step1000"] = checkpoint(tmp_path / "changed", 5000)
    # 64 * 64 numbers, all 1001, then all 5001.
    assert (first, norm()) == (pytest.approx(64 * 1001), pytest.approx(64 * 5001))


def test_shards_that_pickle_holds_are_dropped_and_had_again(hub):
    folder = hub.folders["step1000"]
    (folder / "model.safetensors").unlink()
    names = [f"pytorch_model-0000{i}-of-00002.bin" for i in (1, 2)]
    for name, weight in zip(names, ("a", "b"), strict=True):
        torch.save({weight: torch.full((64, 64), 2.0)}, folder / name)
    index = {"weight_map": dict(zip("ab", names, strict=True))}
    (folder / "pytorch_model.bin.index.json").write_text(json.dumps(index))
    run = interp.open_run("hf://org/tiny@step1000", drop_downloads=True)
    for _ in range(2):
        assert set(run.step_weights(1000)) == {"a", "b"} and hub.weights_on_disk() > 2 * SIZE
        run.release()
        assert hub.weights_on_disk() == 0


def test_what_else_is_downloaded_goes_too(hub):
    for folder in hub.folders.values():
        (folder / "onnx").mkdir(exist_ok=True)
        (folder / "onnx" / "model.safetensors").write_bytes(bytes(9000))
    run = interp.open_run("hf://org/tiny", drop_downloads=True)
    measure(run, ["weight_norms"], progress=False)
    assert hub.weights_on_disk() == 0 and hub.largest < 2 * SIZE


def test_nobody_deletes_what_another_reads(hub):
    one, other = (interp.open_run("hf://org/tiny", drop_downloads=True) for _ in range(2))
    one.step_weights(1000)
    file = other.place(1000).files[0]
    one.release()
    assert file.is_file() and other.step_weights(1000)["w"][0, 0] == 1001
    copy = pickle.loads(pickle.dumps(other))
    copy.release()
    assert file.is_file()


def test_a_revision_that_moves_meanwhile_is_not_kept_as_the_old_one(hub, tmp_path):
    run = interp.open_run("hf://org/tiny@step0,step1000", drop_downloads=True)
    hub.folders["step1000"] = checkpoint(tmp_path / "moved", 7)
    with pytest.raises(SourceError, match=r"revision step1000 was changed on the hub since it was opened"):
        run.step_weights(1000)


def test_processes_drop_what_each_of_them_downloaded(hub):
    run = pickle.loads(pickle.dumps(interp.open_run("hf://org/tiny@step0,step1000", drop_downloads=True)))
    run.step_weights(1000)
    assert hub.weights_on_disk() > SIZE
    run.release()
    assert hub.weights_on_disk() == 0


def test_holes_in_a_series_are_named_and_gone_past(hub, tmp_path):
    for step in (2000, 4000):
        (hub.folders[f"step{step}"] / "model.safetensors").unlink()
    run = interp.open_run("hf://org/tiny", drop_downloads=True)
    hole = r"org/tiny at revision step2000 holds no weights on the hub: the series has a hole at step 2000\. Leave"
    with pytest.raises(SourceError, match=hole):
        measure(run, ["weight_norms"], progress=False)
    table = measure(run, ["weight_norms"], progress=False, on_error="skip")["weight_norms"]
    assert set(table.attrs["failed"]) == {2000, 4000} and table["step"].nunique() == len(STEPS) - 2


def test_holes_in_a_folder_are_warned_of(tmp_path):
    for step in (0, 10, 20):
        checkpoint(tmp_path / "series" / f"checkpoint-{step}", step)
    (tmp_path / "series" / "checkpoint-10" / "model.safetensors").unlink()
    with pytest.warns(SourceWarning, match=r"series has holes, folders without weights: checkpoint-10\."):
        assert interp.open_run(tmp_path / "series").steps == [0, 20]


def test_another_network_among_the_revisions_is_told(hub, tmp_path):
    hub.folders["step1000"] = checkpoint(tmp_path / "odd", 1000, hidden_size=32)
    run = interp.open_run("hf://org/tiny")
    with pytest.raises(
        SourceError, match=r"step1000 is another network than the first: hidden_size is 32 instead of 64"
    ):
        run.step_weights(1000)


def test_names_that_the_hub_does_not_have(hub):
    for name, message in {
        "hf://org/tiny@step1500": r"no revision step1500 on the hub: .* nearest of its 20 are step1000 and step2000\.",
        "hf://org/tiny@other": r"no revision other on the hub\. There are: main, step0, step1000, ",
        "hf://org/none": "org/none cannot be had from the hub: 401 Client Error: Repository Not Found",
        "hf://org/tiny@main,step0": r"at revision main does not say of which step it is\. Name revisions like",
        "hf://org/tiny@step0,step0": "has two revisions of step 0, step0 and step0",
    }.items():
        with pytest.raises(SourceError, match=message):
            interp.open_run(name)
    with pytest.warns(
        SourceWarning, match="revision main does not say of which step it is: it becomes step 0"
    ):
        assert interp.open_run("hf://org/tiny@main").steps == [0]
    hub.folders.clear()
    with pytest.raises(SourceError, match="no revisions named after steps on the hub"):
        interp.open_run("hf://org/tiny")


def test_what_killed_processes_left_is_removed_and_a_live_ones_is_not(hub):
    # What is there after a kill -9: a folder, and a lock that nobody holds. A folder without a lock may be anybody's.
    (hub.cache / ".locks").mkdir(parents=True)
    for name in ("grokscope-dead", "grokscope-unknown", "models--org--other"):
        (hub.cache / name / "snapshots").mkdir(parents=True)
    (hub.cache / ".locks" / "grokscope-dead.lock").touch()
    one, other = (interp.open_run("hf://org/tiny", drop_downloads=True) for _ in range(2))
    one.step_weights(0)
    assert not (hub.cache / "grokscope-dead").exists()
    (mine,) = (x for x in hub.cache.glob("grokscope-*") if x.name != "grokscope-unknown")
    other.step_weights(0)
    assert mine.is_dir() and (hub.cache / "grokscope-unknown").is_dir()
    other.release()
    assert mine.is_dir()
    one.release()
    assert sorted(x.name for x in hub.cache.glob("*")) == [
        ".locks", "grokscope-unknown", "models--org--other", hub.place.name,
    ]  # fmt: skip
    assert not list((hub.cache / ".locks").iterdir())


@pytest.mark.slow
def test_the_folder_of_a_process_that_is_killed_is_free(tmp_path):
    script = (
        "import sys, time; from pathlib import Path\n"
        "from interp.sources.formats.huggingface.own_folder import OwnFolder\n"
        "own = OwnFolder(Path(sys.argv[1])); print(own.path, flush=True); time.sleep(600)"
    )
    process = subprocess.Popen([sys.executable, "-c", script, tmp_path], stdout=subprocess.PIPE, text=True)
    left = Path(process.stdout.readline().strip())
    remove_abandoned(tmp_path)
    assert left.is_dir()
    process.kill()
    process.communicate()
    remove_abandoned(tmp_path)
    assert not left.exists()


def test_units_that_differ_are_refused(hub):
    hub.folders["epoch-3"] = hub.folders["main"]
    with pytest.raises(SourceError, match="has revisions that count different things, epochs? and steps?"):
        interp.open_run("hf://org/tiny@step0,epoch-3")


def test_without_a_network_the_cache_is_opened_if_it_holds_what_is_asked_for(hub):
    for step in (0, 1000):
        interp.open_run(f"hf://org/tiny@step{step}").step_weights(step)
    hub.is_down = True
    with pytest.warns(
        SourceWarning, match=r"cannot be reached on the hub: what lies in its cache is opened, 2 check"
    ):
        assert interp.open_run("hf://org/tiny").steps == [0, 1000]
    with pytest.warns(SourceWarning, match="1 checkpoint in"):
        assert interp.open_run("hf://org/tiny@step1000").steps == [1000]
    with pytest.raises(SourceError, match=r"org/tiny cannot be had from the hub: We couldn't connect"):
        interp.open_run("hf://org/tiny@step1000,step2000")


@pytest.mark.parametrize(
    ("name", "is_warned"),
    [
        ("pythia-410m-v0", True),
        ("pythia-1.4b-deduped-v0", True),
        ("pythia-70m-v0", False),
        ("pythia-410m", False),
    ],
)
def test_steps_that_were_relabelled_are_warned_of(name, is_warned, tmp_path, monkeypatch):
    folders = {"step1000": checkpoint(tmp_path / "there", 0)}
    hub = FakeHub(folders, tmp_path / "cache", repository=f"EleutherAI/{name}").install(monkeypatch)
    said = f"EleutherAI/{name} was trained with batches of 4M tokens"

    def warned(source):
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always")
            run = interp.open_run(source)
        assert run.step_weights(1000)["w"][0, 0] == 1
        return [said in str(warning.message) for warning in told]

    # On the hub, and in its cache.
    assert warned(f"hf://{hub.repository}") == warned(hub.place) == [True] * is_warned


def test_what_is_not_on_the_hub_has_nothing_to_drop(tmp_path):
    checkpoint(tmp_path / "series" / "checkpoint-0", 0)
    for path in (tmp_path / "series", "checkpoints/mainline"):
        with pytest.raises(
            ValueError, match=r"drop_downloads \(--drop-downloads\) needs a repository of the hub, "
        ):
            interp.open_run(path, drop_downloads=True)
    assert open_on_hub("org/tiny", True) is None


def test_revisions_without_a_config_are_no_models(hub):
    (hub.folders["step0"] / "config.json").unlink()
    run = interp.open_run("hf://org/tiny@step0")
    with pytest.raises(
        SourceError, match=r"revision step0 has no config\.json on the hub: it is no model of"
    ):
        run.step_weights(0)


def test_an_import_of_the_hub_is_complete(hub, tmp_path):
    run = import_run("hf://org/tiny@step0,step1000", tmp_path / "run")
    shutil.rmtree(tmp_path / "there")
    assert run.steps == [0, 1000] and run.step_weights(1000)["w"][0, 0] == 1001


def test_on_the_command_line(hub, tmp_path):
    done = CliRunner().invoke(
        app,
        [
            "measure",
            "hf://org/tiny",
            "--probes",
            "weight_norms",
            "--drop-downloads",
            "--out",
            str(tmp_path / "out"),
        ],
    )
    assert done.exit_code == 0, done.output
    assert "1 table over 20 checkpoints" in done.output and hub.weights_on_disk() == 0
    assert len(pd.read_csv(tmp_path / "out" / "weight_norms.csv")) == 2 * len(STEPS)
    done = CliRunner().invoke(app, ["info", "hf://org/tiny"])
    assert "20, step" in done.output


def test_probes_of_the_package_fail_with_their_own_error(hub):
    assert str(hub.cache) == constants.HF_HUB_CACHE
    run = interp.open_run("hf://org/tiny@step0", drop_downloads=True)

    def broken(snapshot):
        weight_norms(snapshot)
        raise ZeroDivisionError

    with pytest.raises(MeasureError, match="Probe 'broken' failed at step 0"):
        measure(run, [broken], progress=False)
    assert hub.weights_on_disk() == 0
