"""The folder that a Lightning trainer leaves: named at its root, at a session of it, or at its checkpoints."""

import pytest

import interp
from interp.checks.of_source import verify_source
from interp.sources import SourceError, import_run
from tests import foreign

pytestmark = pytest.mark.filterwarnings("ignore::interp.sources.files.reading.SourceWarning")


def write_session(run, root, version, *, steps=None, loss=0.5, logger="lightning_logs"):
    """One session: its log, its options, and a checkpoint a step."""
    folder = root / logger / f"version_{version}"
    (folder / "checkpoints").mkdir(parents=True)
    for step in run.steps if steps is None else steps:
        file = folder / "checkpoints" / f"epoch={step // 10}-step={step}.ckpt"
        foreign.write_lightning(
            file, run.step_weights(step), step, step // 10, {"lr": 0.001}, prefix="model."
        )
    lines = [f"{step // 10},{step},{loss},0.75" for step in run.steps]
    (folder / "metrics.csv").write_text("\n".join(["epoch,step,train_loss,val_loss", *lines]) + "\n")
    (folder / "hparams.yaml").write_text("lr: 0.001\n")
    return folder


@pytest.mark.parametrize("below", ["", "lightning_logs", "lightning_logs/version_0"])
def test_every_folder_above_the_checkpoints_opens(tiny_run, tmp_path, below):
    root = tmp_path / "root"
    write_session(tiny_run, root, 0)
    opened = interp.open_run(root / below)
    assert opened.steps == tiny_run.steps and opened.unit == "step"
    assert opened.history()["train_loss"].tolist() == [0.5] * len(tiny_run.steps)
    assert verify_source(root / below, losses=0).n_steps == len(tiny_run.steps)
    assert import_run(root / below, tmp_path / "run").config.task == tiny_run.config.task


@pytest.mark.parametrize("logger", ["lightning_logs", "mine"])
@pytest.mark.parametrize("below", [False, True])
def test_several_sessions_with_checkpoints_are_named(tiny_run, tmp_path, logger, below):
    for version in (0, 2):
        write_session(tiny_run, tmp_path, version, steps=[50], logger=logger)
    prefix = "" if below else f"{logger}/"
    with pytest.raises(
        SourceError, match=rf"of 2 sessions \({prefix}version_0, {prefix}version_2\), .*Name one of"
    ):
        interp.open_run(tmp_path / logger if below else tmp_path)
    assert interp.open_run(tmp_path / logger / "version_2").steps == [50]


def test_the_one_session_that_has_checkpoints_is_taken_with_its_own_log(tiny_run, tmp_path):
    write_session(tiny_run, tmp_path, 0, steps=[], loss=9.0)
    write_session(tiny_run, tmp_path, 1, loss=0.25)
    write_session(tiny_run, tmp_path, 2, steps=[], loss=8.0)
    opened = interp.open_run(tmp_path)
    assert opened.steps == tiny_run.steps and set(opened.history()["train_loss"]) == {0.25}
    assert opened.record.source["logs"] == ["lightning_logs/version_1/metrics.csv"]


def test_sessions_are_no_steps_of_one_run(tiny_run, tmp_path):
    for version in (0, 1):
        folder = tmp_path / f"version_{version}"
        folder.mkdir()
        foreign.write_lightning(folder / "last.ckpt", tiny_run.step_weights(50), 50, 5, {})
    with pytest.raises(SourceError, match=r"of 2 sessions \(version_0, version_1\)"):
        interp.open_run(tmp_path)


def test_sessions_without_any_checkpoint(tiny_run, tmp_path):
    write_session(tiny_run, tmp_path, 0, steps=[])
    with pytest.raises(SourceError, match="holds no run and no checkpoints"):
        interp.open_run(tmp_path)
