"""Frames as a GIF, or as an MP4 where there is an ffmpeg."""

import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image

from interp.ground.evenly import spread
from interp.views.few_colours import few_colours


def as_gif(frames: Iterator[Image.Image], fps: int) -> bytes:
    """Frames with one palette, without dithering, so that what stands still is stored once."""
    images = list(frames)
    montage = np.concatenate([np.asarray(image) for image in spread(images, 6)])
    palette = few_colours(Image.fromarray(montage))
    small = [image.quantize(palette=palette, dither=Image.Dither.NONE) for image in images]
    durations = [round(1000 / fps)] * (len(small) - 1) + [2000]
    buffer = BytesIO()
    small[0].save(
        buffer,
        "GIF",
        save_all=True,
        append_images=small[1:],
        duration=durations,
        loop=0,
        optimize=False,
        disposal=1,
    )
    return buffer.getvalue()


def ffmpeg() -> str:
    """The path of an ffmpeg: the system's, or that of imageio-ffmpeg.

    Raises:
        ValueError: if there is none.
    """
    if found := shutil.which("ffmpeg"):
        return found
    try:
        from imageio_ffmpeg import get_ffmpeg_exe

        return get_ffmpeg_exe()
    except (ImportError, RuntimeError) as error:
        raise ValueError(
            "An .mp4 needs ffmpeg, and none was found. Install it, or `pip install grokscope[video]`, or write a .gif."
        ) from error


def as_mp4(frames: Iterator[Image.Image], fps: int, encoder: str) -> bytes:
    """H.264 with even sides, as players need."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "film.mp4"
        for i, frame in enumerate(frames):
            width, height = (side // 2 * 2 for side in frame.size)
            frame.crop((0, 0, width, height)).save(Path(folder) / f"{i:05d}.png", compress_level=1)
        command = [
            encoder, "-loglevel", "error", "-framerate", str(fps), "-i", f"{folder}/%05d.png", "-c:v", "libx264",
            "-pix_fmt", "yuv420p", "-crf", "18", "-movflags", "+faststart", str(file),
        ]  # fmt: skip
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            lines = done.stderr.strip().splitlines() or ["no reason given"]
            raise ValueError(f"ffmpeg needs a codec libx264 and said: {lines[-1]}. Write a .gif instead.")
        return file.read_bytes()
