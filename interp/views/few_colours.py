"""Pictures in 256 colours, so that a page of many, or a film, stays small."""

from PIL import Image

N_COLOURS = 256
# Without it a grey band is drawn in the nearest colour of some curve's edge, which may be pink.
N_MOVES = 4


def few_colours(image: Image.Image) -> Image.Image:
    """The picture with a palette that keeps rare colours, since they are lines, each moved to what it stands for."""
    return image.convert("RGB").quantize(
        N_COLOURS, Image.Quantize.MAXCOVERAGE, kmeans=N_MOVES, dither=Image.Dither.NONE
    )
