"""Folders and files of a run that are links: what they point to outside the run is never written or deleted."""

import os
import shutil
import sys

import numpy as np
import pytest

from benchmarks.fault_parts.staged import bytes_of, flipped
from interp.checks.of_run import verify_run
from interp.checks.repair import repair_run
from interp.ground.whole_files import within
from interp.measurement.measure import measure
from interp.runs.run import open_run
from interp.runs.saving import save_checkpoint
from interp.training.train import resume
from tests.checks.test_faults import half_done

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="links need a right of their own there")


def led_out(path, name, tmp_path):
    """A folder outside with all that the run's own holds, and a link to it in its place."""
    outside = tmp_path / "someone's"
    (path / name).mkdir(exist_ok=True)
    shutil.move(path / name, outside)
    (path / name).symlink_to(outside)
    return outside


def state_of(folder):
    return bytes_of(folder), sorted(str(p) for p in folder.rglob("*"))


def damaged_everywhere(run):
    """A run for which a repair has something to write or to delete in every folder."""
    for name in ("W_E", "W_U"):
        run.weights(name)
    measure(run, ["losses"])
    for file in [
        run.path / "packed" / "embed.W_E.npy",
        *(run.path / "measures").glob("*.parquet"),
        run.path / "optimizer" / "0000000100.safetensors",
    ]:
        file.write_bytes(next(flipped(file.read_bytes()[::-1]))[::-1])
    a, b = (run.path / "steps" / f"{step:010d}.safetensors" for step in (100, 150))
    a.rename(run.path / "aside")
    b.rename(a)
    (run.path / "aside").rename(b)
    for folder in ("steps", "optimizer", "packed", "measures"):
        (run.path / folder / ".x.abcd0_12.writing").write_bytes(b"half")


@pytest.mark.parametrize("name", ["packed", "measures", "steps", "optimizer"])
def test_no_command_writes_or_deletes_through_a_folder_that_leads_out(tiny_run_copy, tmp_path, name):
    damaged_everywhere(tiny_run_copy)
    half_done(tiny_run_copy, 200)
    outside = led_out(tiny_run_copy.path, name, tmp_path)
    (outside / "embed.W_E.json").touch()
    before = state_of(outside)
    run = open_run(tiny_run_copy.path)

    notes = {f.where: f.message for f in verify_run(run.path, losses=1).findings if f.kind == "link"}
    assert f"is a link to {outside}, outside the run" in notes[name]
    repairs = repair_run(run.path)
    told = [r.message for r in repairs if not r.done]
    if name == "optimizer":
        assert any("are nowhere else" in text or "outside" in text for text in told)
    else:
        assert any(f"is a link to {outside}, outside" in text for text in told)

    want = np.stack([run.step_weights(s)["unembed.W_U"] for s in run.steps if s not in (100, 150)])
    if name != "steps":
        np.testing.assert_array_equal(run.weights("W_U")[[0, 1, 4]], want)
    if name == "measures":
        with pytest.warns(UserWarning, match="are not kept for the next call: .*is a link to"):
            measure(run, ["losses"])
    elif name != "steps":
        measure(run, ["losses"])

    if name in ("steps", "optimizer"):
        with pytest.raises(OSError, match=rf"{name} is a link to {outside}, outside .* Put a folder in its"):
            resume(run.path)
        with pytest.raises(OSError, match="is a link to"):
            save_checkpoint(run, 200, run.step_weights(0), {})
    else:
        assert resume(run.path).record.status == "complete"
    assert state_of(outside) == before


def test_a_run_behind_a_link_is_a_run_like_any_other(tiny_run_copy, tmp_path):
    (tmp_path / "link").symlink_to(tiny_run_copy.path)
    damaged_everywhere(tiny_run_copy)
    half_done(tiny_run_copy, 200)
    repairs = repair_run(tmp_path / "link")
    assert [r.where for r in repairs if not r.done] == ["optimizer/0000000100.safetensors"]
    assert resume(tmp_path / "link").record.status == "complete"
    assert (tmp_path / "link").is_symlink()


def test_a_folder_that_is_a_link_to_another_place_in_the_run_may_be_written(tiny_run_copy):
    path = tiny_run_copy.path
    (path / "steps").rename(path / "real")
    (path / "steps").symlink_to("real")
    save_checkpoint(tiny_run_copy, 300, tiny_run_copy.step_weights(0))
    assert (path / "real" / "0000000300.safetensors").is_file()


@pytest.mark.parametrize("name", ["history.parquet", "latest.safetensors", "index.json", "run.json"])
def test_a_file_that_is_a_link_is_replaced_and_what_it_points_to_stays(tiny_run_copy, tmp_path, name):
    half_done(tiny_run_copy, 200)
    outside = tmp_path / name
    shutil.move(tiny_run_copy.path / name, outside)
    (tiny_run_copy.path / name).symlink_to(outside)
    before = outside.read_bytes()
    resume(tiny_run_copy.path)
    assert outside.read_bytes() == before
    assert not (tiny_run_copy.path / name).is_symlink()


@pytest.mark.parametrize("folder", [".", "measures", "packed"])
def test_a_lock_that_is_a_link_empties_nothing(tiny_run_copy, tmp_path, folder):
    (tmp_path / "precious").write_text("mine")
    (tiny_run_copy.path / folder).mkdir(exist_ok=True)
    (tiny_run_copy.path / folder / "lock").symlink_to(tmp_path / "precious")
    verify_run(tiny_run_copy.path, losses=0)
    if folder == ".":
        for action in (repair_run, resume):
            with pytest.raises(OSError, match="lock is a link, and a lock is a file of the run"):
                action(tiny_run_copy.path)
    tiny_run_copy.weights("W_E")
    if folder == "measures":
        with pytest.warns(UserWarning, match="not kept"):
            measure(tiny_run_copy, ["losses"])
    assert (tmp_path / "precious").read_text() == "mine"


def test_what_lies_within(tmp_path):
    root = tmp_path / "run"
    (root / "inside").mkdir(parents=True)
    (root / "out").symlink_to(tmp_path)
    (root / "in").symlink_to("inside")
    for name in ("new", "inside/new", "in/new", "not there yet/new"):
        assert within(root, root / name) == root / name
    for name in ("out/new", "out/deeper/new", "../new"):
        with pytest.raises(OSError, match="where nothing is written or deleted"):
            within(root, root / name)
    assert os.listdir(tmp_path) == ["run"]
