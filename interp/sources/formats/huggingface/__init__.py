"""Series of Hugging Face checkpoints: folders of a Trainer, revisions on disk, the hub's cache, the hub itself.

    checkpoint-500/, checkpoint-1000/, ...       a folder a step, each with config.json and weights
    models--org--name/ with refs/ and snapshots/ the hub's cache: refs/step1000 names the snapshot of that revision
    hf://org/name@step0,step1000                 revisions on the hub, each downloaded on use; without @ all

Weights keep the names and the dtype of Hugging Face. A checkpoint in one safetensors file is linked, not copied, where
the file system can: a series of any size costs its index only, and a source that is changed or moved later is found
out by its checksums. Shards and .bin files are rewritten as safetensors, one checkpoint in memory at a time.

A run of it is of another kind: no `ModelConfig` describes the network, so that the source is opened as a whole.
"""

from collections.abc import Mapping
from typing import Any

from interp.sources.files.reading import SourceError
from interp.sources.formats.format import Format, Found, WholeSource
from interp.sources.formats.huggingface.folders import find_series, read_weights
from interp.sources.formats.huggingface.hub import fetched
from interp.sources.formats.huggingface.hub_run import open_on_hub
from interp.sources.formats.huggingface.opened_series import open_series
from interp.sources.formats.huggingface.saved_series import save_series
from interp.sources.formats.network import Network


def _never(found: Found) -> bool:
    return False


def _refused(found: Found, stated: Mapping[str, Any]) -> Network:
    """Refuse: a state dict by itself does not say of which architecture it is."""
    raise SourceError(
        f"{found.where} lies beside no config.json with a model_type, which format 'huggingface' needs."
    )


HUGGINGFACE = Format(
    name="huggingface",
    recognized_by="config.json with a model_type: folders checkpoint-<step>, the hub's cache, or hf://org/name@step0",
    recognizes=_never,
    network=_refused,
    whole_source=WholeSource(
        fetched=fetched,
        remote=open_on_hub,
        series=find_series,
        weights=read_weights,
        opened=open_series,
        save=save_series,
    ),
)
