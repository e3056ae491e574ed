"""Films of a tiny run: a frame a step, what is drawn are the numbers of the table, equal runs give equal files."""

import io
import itertools

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from interp.figures import style
from interp.views import animations, film_files

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
