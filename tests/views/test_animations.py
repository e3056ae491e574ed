"""Films of a tiny run: a frame a step, what is drawn are the numbers of the table, equal runs give equal files."""

import io
import itertools

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from typer.testing import CliRunner

from interp.commands.cli import app
from interp.figures import style
from interp.networks.config import initial_weights
from interp.runs.config import RunConfig
from interp.runs.record import RunRecord
from interp.runs.saving import create_run, save_checkpoint
from interp.views import animations, film_files
from tests import hand_built

STEPS = [0, 10, 100]


@pytest.fixture(scope="module")
def tables():
    rng = np.random.default_rng(0)
    spectrum = [
        pd.DataFrame(
            {"step": step, "frequency": range(1, 7), "fraction": rng.dirichlet(np.ones(6)), "null": 0.4}
        )
        for step in STEPS
    ]
    history = pd.DataFrame({"step": STEPS, "train_loss": [2.0, 0.1, 0.01], "test_loss": [2.0, 3.0, 0.1]})
    losses = pd.DataFrame({"step": STEPS, "split": "train", "loss": 1.0, "accuracy": [0.1, 1.0, 1.0]})
    return {"embedding_spectrum": pd.concat(spectrum), "history": history, "losses": losses}


def gif(tables):
    frames = animations.drawn_frames(animations.named("spectrum"), tables, STEPS)
    return film_files.as_gif(frames, 8)


def test_a_gif_has_a_frame_a_step_and_the_same_bytes_twice(tables):
    data = gif(tables)
    film = Image.open(io.BytesIO(data))
    frames = []
    for i in range(film.n_frames):
        film.seek(i)
        frames.append(np.asarray(film.convert("RGB")))
    assert len(frames) == 3 and all((a != b).any() for a, b in itertools.pairwise(frames))
    assert gif(tables) == data


def test_bars_are_the_shares_of_the_step(tables):
    figure = style.blank_figure(2.0)
    band = figure.subfigures()
    update = animations.named("spectrum").setup(tables, band)
    update(10)
    table = tables["embedding_spectrum"]
    heights = [bar.get_height() for bar in band.axes[0].patches]
    assert heights == table[table["step"] == 10]["fraction"].tolist()


def test_what_there_is_not_is_told(tmp_path):
    with pytest.raises(ValueError, match="no animation 'dance'. There are: embedding_circles"):
        animations.named("dance")
    with pytest.raises(ValueError, match=r"ends in .gif or .mp4, got 'x.avi'"):
        animations.animate(None, "spectrum", tmp_path / "x.avi", steps=[0])


def test_without_ffmpeg_it_is_said_how_to_get_it(monkeypatch):
    monkeypatch.setattr(film_files.shutil, "which", lambda name: None)
    monkeypatch.setitem(__import__("sys").modules, "imageio_ffmpeg", None)
    with pytest.raises(ValueError, match=r"needs ffmpeg, and none was found. Install it, or `pip install"):
        film_files.ffmpeg()


def frames_of(data):
    film = Image.open(io.BytesIO(data))
    found = []
    for i in range(film.n_frames):
        film.seek(i)
        found.append(np.asarray(film.convert("RGB")))
    return found


@pytest.mark.parametrize("name", animations.ANIMATIONS)
def test_each_film_of_a_run_moves_above_its_losses(name, tiny_run):
    animation = animations.named(name)
    steps = [0, 300]
    tables = {**animation.compute(tiny_run, steps, "cpu"), "history": tiny_run.history()}
    tables["losses"] = animations._measured(tiny_run, steps, "cpu", losses="losses")["losses"]
    first, last = (np.asarray(frame) for frame in animations.drawn_frames(animation, tables, steps, "epoch"))
    above = int(first.shape[0] * 2 / 3.15)
    # Beside the words on top, of which every step has its own.
    assert (first[40:above] != last[40:above]).any() and (first[above:] != last[above:]).any()


def test_a_map_of_a_film_has_the_numbers_of_its_step(tiny_run):
    tables = animations.named("logits").compute(tiny_run, [0, 300], "cpu")
    band = style.blank_figure(2.0).subfigures()
    animations.named("logits").setup(tables, band)(300)
    rows = tables["answer_map"][tables["answer_map"]["step"] == 300]
    logit, probability = (ax.collections[0] for ax in band.axes[:2])
    for image, column in ((logit, "logit"), (probability, "probability")):
        grid = rows.pivot(index="first", columns="second", values=column).to_numpy()
        np.testing.assert_array_equal(image.get_array().reshape(grid.shape), grid)
    everywhere = tables["answer_map"]["logit"]
    assert logit.get_clim() == (everywhere.min(), everywhere.max()) and probability.get_clim() == (0, 1)
    assert [ax.get_ylabel() for ax in band.axes[2:]] == [
        "logit of the right answer (nats)",
        "its probability",
    ]


def test_heads_of_a_film_are_in_their_order_and_not_in_that_of_letters():
    heads = {f"L0H{i}": [0.0, float(i in (2, 10))] for i in range(11)}
    patterns = pd.DataFrame({"step": 0, "first": [0, 1], "second": 0, **heads})
    band = style.blank_figure(2.0).subfigures()
    axes = pd.DataFrame({"label": ["a", "b"]})
    animations.named("attention").setup({"patterns": patterns, "pattern_axes": axes}, band)
    names = [ax.get_title() for ax in band.axes]
    assert names.index("L0H2") < names.index("L0H10")
    assert band.axes[-1].get_ylabel() == "attention to $a$"


def test_a_film_of_rows_that_are_no_pairs_is_of_their_tokens():
    patterns = pd.DataFrame({"step": 0, "first": [0, 1], "second": 0, "L0H0": [0.0, 1.0]})
    band = style.blank_figure(2.0).subfigures()
    axes = pd.DataFrame({"label": ["first token", "second token"]})
    animations.named("attention").setup({"patterns": patterns, "pattern_axes": axes}, band)
    assert band.axes[-1].get_ylabel() == "attention to the first token"


def test_the_command_writes_some_of_many_checkpoints_and_one_of_one(tiny_run, tmp_path):
    for options, n, said in (
        (["--frames", "2"], 2, "2 of 7 checkpoints are shown"),
        (["--steps", "300"], 1, "1 frame,"),
    ):
        out = tmp_path / f"{n}.gif"
        done = CliRunner().invoke(
            app, ["animate", str(tiny_run.path), "spectrum", "--out", str(out), *options]
        )
        assert done.exit_code == 0 and said in done.output, done.output
        assert len(frames_of(out.read_bytes())) == n


def test_frames_become_a_video_with_even_sides(tmp_path):
    try:
        encoder = film_files.ffmpeg()
    except ValueError:
        pytest.skip("no ffmpeg here, and no imageio-ffmpeg")
    frames = [Image.new("RGB", (65, 47), colour) for colour in ("white", "black", "red")]
    data = film_files.as_mp4(iter(frames), 4, encoder)
    assert data[4:8] == b"ftyp" and b"avc1" in data
    # The size of the track, in whole points of 16.16 numbers.
    assert (64 << 16).to_bytes(4, "big") + (46 << 16).to_bytes(4, "big") in data


def made(path, network, task, steps):
    """A run of untrained weights."""
    config = RunConfig(
        task=None if task is None else task.config, model=network, optimizer=None, n_steps=None, schedule=None,
        seed=None, evaluation_interval=None,
    )  # fmt: skip
    run = create_run(path, config, RunRecord(status="complete", unit="epoch"), task)
    for step in steps:
        save_checkpoint(run, step, initial_weights(network, step))
    return run


def test_what_a_run_has_not_is_told_with_the_reason(tmp_path):
    task = hand_built.composition("S3")
    without = made(tmp_path / "mlp", hand_built.group_mlp(task, d_model=8, d_mlp=8), task, [0, 5])
    addition = hand_built.addition()
    network = hand_built.config_for(addition, d_model=8, n_heads=2, d_mlp=8)
    unknown = made(tmp_path / "unknown", network, None, [0, 5])
    for run, name, reason in (
        (without, "attention", "attention shows nothing of run 'mlp': .*attention"),
        (unknown, "spectrum", "spectrum shows nothing of run 'unknown': .*no task that grokscope knows"),
    ):
        with pytest.raises(ValueError, match=reason):
            animations.animate(run, name, tmp_path / "film.gif", steps=[0, 5])
    assert not (tmp_path / "film.gif").exists()


def test_a_film_that_is_interrupted_leaves_what_was_there(tiny_run, tmp_path, monkeypatch):
    file = tmp_path / "film.gif"
    file.write_bytes(b"former")

    def interrupted(*arguments):
        yield Image.new("RGB", (8, 8))
        raise KeyboardInterrupt

    monkeypatch.setattr(animations, "drawn_frames", interrupted)
    with pytest.raises(KeyboardInterrupt):
        animations.animate(tiny_run, "spectrum", file, steps=[0, 300])
    assert [path.name for path in tmp_path.iterdir()] == ["film.gif"] and file.read_bytes() == b"former"
