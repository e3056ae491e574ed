"""Formats of checkpoints, one a file: each states in a fixed order what it is recognised by and what its tensors are.

A new one is one file and one line here; docs/adding.md shows it.
"""

from interp.sources.formats.hooked_transformer import HOOKED_TRANSFORMER
from interp.sources.formats.huggingface import HUGGINGFACE
from interp.sources.formats.left_facing import LEFT_FACING
from interp.sources.formats.native_model import NATIVE_MODEL
from interp.sources.formats.openai_grok import OPENAI_GROK
from interp.sources.formats.pizza import PIZZA
from interp.sources.formats.plain_mlp import PLAIN_MLP
from interp.sources.formats.rep_theory import REP_THEORY
from interp.sources.formats.torch_transformer import TORCH_TRANSFORMER
from interp.sources.formats.transformer_bridge import TRANSFORMER_BRIDGE

# In this order each is asked whether a state dict is its own: what lies beside it tells one from the next.
FORMATS = (
    REP_THEORY,
    HOOKED_TRANSFORMER,
    TRANSFORMER_BRIDGE,
    NATIVE_MODEL,
    PIZZA,
    LEFT_FACING,
    HUGGINGFACE,
    OPENAI_GROK,
    TORCH_TRANSFORMER,
    PLAIN_MLP,
)
