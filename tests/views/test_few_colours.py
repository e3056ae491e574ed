"""A picture in few colours shows the same colours, to the eye."""

from io import BytesIO

import numpy as np
from PIL import Image

from interp.figures import style
from interp.views.few_colours import few_colours


def test_no_colour_of_a_picture_is_another_afterwards():
    figure, axes = style.new_figure(1, 2, height=2.0)
    rng = np.random.default_rng(0)
    axes[0, 0].pcolormesh(rng.uniform(size=(40, 40)) ** 4, cmap="cividis")
    axes[0, 1].axvspan(0.0, 0.3, color="0.85", lw=0)
    axes[0, 1].axvspan(0.4, 0.5, color=style.BLUE, alpha=0.15, lw=0)
    for i, colour in enumerate(style.PALETTE):
        axes[0, 1].plot([0, 1], [0, i], color=colour)
    drawn = BytesIO()
    figure.savefig(drawn, format="png", dpi=144)
    picture = Image.open(drawn).convert("RGB")
    few = few_colours(picture)
    assert few.mode == "P" and len(few.getcolors(1000)) <= 256
    off = np.abs(np.asarray(few.convert("RGB")).astype(int) - np.asarray(picture)).max(-1)
    # Of 255. The edges of lines, which are mixtures, may be off by what the eye does not see in a line.
    assert off.max() <= 40 and (off > 8).mean() < 0.02
