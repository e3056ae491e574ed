"""What a series of language models takes of disk and memory, streamed from a hub that is played in a folder.

    disk      bytes of weights in the hub's cache at most, with --drop-downloads and without
    memory    peak of the process over 20 checkpoints / over 2, each in a process of its own
    seconds   of measuring all 20 with the probes of `interp analyse language_model`, and again from what was kept

Example: python benchmarks/language_model.py --d-model 128 --steps 20

The checkpoints are random networks of GPT-NeoX's architecture; the hub answers at once, so that seconds are of reading
and measuring alone. Nothing else should run meanwhile.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from functools import partial
from pathlib import Path

import numpy as np
import torch

from interp.sources.opening import open_run
from tests.fake_hub import FakeHub

ON_TEXT = ("text_losses", "in_context_score", "ngram_scores", "residual_dimensions")
WITHOUT = ("induction_scores", "repetition_losses", "weight_norms", "weight_spectra")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--steps", type=int, default=20, help="checkpoints of the series")
    parser.add_argument("--d-model", type=int, default=128)
    parser.add_argument("--layers", type=int, default=4)
    parser.add_argument("--vocabulary", type=int, default=8192)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--child", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        print(json.dumps(measured(json.loads(options.child), options.threads)))
        return
    with tempfile.TemporaryDirectory() as place:
        n_bytes = make_series(Path(place) / "there", options)
        print(f"a checkpoint     {n_bytes / 1e6:.1f} MB")
        for n, drops in ((2, True), (options.steps, True), (options.steps, False)):
            asked = {
                "place": place,
                "n": n,
                "drops": drops,
                "again": n > 2 and drops,
                "vocabulary": options.vocabulary,
            }
            found = child(asked)
            kind = "dropped" if drops else "kept"
            print(
                f"{n:3d} steps, {kind:8} disk {found['disk'] / 1e6:7.1f} MB at most, memory {found['memory']:6.0f} MB, "
                f"{found['seconds']:.1f} s"
                + (f", again {found['again']:.1f} s" if found["again"] is not None else "")
            )


def child(asked: dict) -> dict:
    """What a process of its own says: its peak of memory is not that of what ran before."""
    command = [sys.executable, __file__, "--child", json.dumps(asked)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return json.loads(done.stdout.strip().splitlines()[-1])


def make_series(place: Path, options: argparse.Namespace) -> int:
    """Folders of random networks; the bytes of one."""
    import transformers

    transformers.utils.logging.disable_progress_bar()
    config = transformers.GPTNeoXConfig(
        vocab_size=options.vocabulary, hidden_size=options.d_model, num_hidden_layers=options.layers,
        num_attention_heads=8, intermediate_size=4 * options.d_model, max_position_embeddings=128,
    )  # fmt: skip
    folder = place
    for step in range(options.steps):
        torch.manual_seed(step)
        folder = place / f"step{step}"
        transformers.GPTNeoXForCausalLM(config).save_pretrained(folder)
    return (folder / "model.safetensors").stat().st_size


def measured(asked: dict, threads: int) -> dict:
    """Disk, memory and seconds of measuring a series from its hub."""
    import huggingface_hub
    from huggingface_hub import constants

    from interp import probes
    from interp.measurement.measure import measure

    torch.set_num_threads(threads)
    there = Path(asked["place"]) / "there"
    cache = Path(tempfile.mkdtemp(dir=asked["place"]))
    os.environ["XDG_CACHE_HOME"] = str(cache / "tables")
    hub = FakeHub({f"step{i}": there / f"step{i}" for i in range(asked["n"])}, cache)
    huggingface_hub.list_repo_refs, huggingface_hub.snapshot_download = hub.refs, hub.download
    constants.HF_HUB_CACHE = str(cache)
    run = open_run("hf://org/tiny", drop_downloads=asked["drops"])
    windows = np.random.default_rng(0).integers(0, asked["vocabulary"], (8, 128))
    chosen = {name: name for name in WITHOUT}
    chosen |= {name: partial(probes.named(name), windows=windows) for name in ON_TEXT}
    began = time.monotonic()
    measure(run, chosen, progress=False)
    seconds = time.monotonic() - began
    # On Linux in kilobytes, on a Mac in bytes.
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1e6 if sys.platform == "darwin" else 1e3)
    again = None
    if asked["again"]:
        began = time.monotonic()
        measure(open_run("hf://org/tiny", drop_downloads=True), chosen, progress=False)
        again = time.monotonic() - began
    return {"disk": hub.largest, "memory": memory, "seconds": seconds, "again": again}


if __name__ == "__main__":
    main()
