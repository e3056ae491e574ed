"""An adapter to start from, for tensors that no format knows or whose shapes leave several readings: code to copy.

What is known is filled in; `...` stands where only the user knows. Names come from a stranger's file: they are written
as literals, never as code.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from interp.ground.plain_text import shown

_MOST = 40
# A name is written twice in its line of code.
_LONGEST = 120

_HEAD = """\
import interp
from interp.networks.config import transformer_config
from interp.sources.files.reading import kind_of, read
from interp.sources.files.steps import from_name
from interp.sources.files.wrapping import states_of


def adapter(path):
    states = states_of(read(path), path) if kind_of(path) else []
    if len(states) != 1:
        return None
    state, position = states[0].tensors, states[0].position or from_name(path.stem)
"""

_TAIL = """\
    return position.step if position else 0, weights, config


run = interp.import_run({source}, "runs/mine", adapter=adapter, task={{"operation": ...}})
"""

_NEEDED = ("p", "n_ctx", "d_vocab", "n_layers", "d_model", "n_heads", "d_mlp", "act_fn")
# What transformer_config takes where nothing is said.
_USUAL: dict[str, Any] = {
    "attention_dir": "causal", "attention_rate": 1.0, "normalization_type": None, "norm_placement": "pre",
    "tied_unembed": False, "attention_bias": False, "mlp_bias": True, "unembed_bias": False, "one_hot_embed": False,
    "summed_embed": False,
}  # fmt: skip


def listed(tensors: Mapping[str, Tensor]) -> str:
    """Every tensor with its shape, a line each; the first of very many."""
    lines = [f"    {name!r:.80} {shown(tuple(t.shape))}" for name, t in list(tensors.items())[:_MOST]]
    more = len(tensors) - _MOST
    return "\n".join([*lines, *([f"    and {more} more"] if more > 0 else [])])


def drafted(
    tensors: Mapping[str, Tensor],
    where: str,
    fields: Mapping[str, Any] | None = None,
    weights: Mapping[str, str] | None = None,
) -> str:
    """The code of an adapter, or a comment in its place where a name is too long to be read in code.

    Args:
        where: the file that holds them, as errors name it.
        fields: of `transformer_config`, as far as known; the obligatory ones are `...` where they are not.
        weights: code for each parameter of the config, as `state['fc1.weight'].T`; without, every tensor is listed.
    """
    if any(len(repr(name)) > _LONGEST for name in tensors):
        return f"# No code for names of more than {_LONGEST} signs: give the tensors shorter ones first.\n"
    said = {name: value for name, value in (fields or {}).items() if _USUAL.get(name, ...) != value}
    arguments = {name: said.get(name, ...) for name in _NEEDED} | said
    listed_arguments = ", ".join(f"{k}={'...' if v is ... else repr(v)}" for k, v in arguments.items())
    if weights:
        entries = [f"        {name!r}: {code}," for name, code in weights.items()]
    else:
        entries = [
            "        # In place of each '?' the name of interp.networks.config.parameter_shapes(config)."
        ]
        first = list(tensors.items())[:_MOST]
        entries += [f"        {_guess(n)!r}: state[{n!r}],  # {shown(tuple(t.shape))}" for n, t in first]
    lines = [f"    config = transformer_config({listed_arguments})", "    weights = {", *entries, "    }", ""]
    head = "import torch\n\n" * any("torch." in entry for entry in entries) + _HEAD
    return head + "\n".join(lines) + _TAIL.format(source=repr(where) if Path(where).exists() else "...")


def _guess(name: str) -> str:
    """What a tensor of this name may be here, or a text that stands for what only the user knows."""
    if re.search(r"pos", name, re.IGNORECASE):
        return "pos_embed.W_pos"
    return "embed.W_E" if re.search(r"(?<!un)emb|tok", name, re.IGNORECASE) else f"? {name}"
