"""What the recipes of papers share, once: each preset states what it has instead."""

from interp.runs.config import OptimizerConfig

# Of Nanda et al. 2023, section 3.
ADAMW = OptimizerConfig(
    name="adamw",
    lr=1e-3,
    weight_decay=1.0,
    betas=(0.9, 0.98),
    eps=1e-8,
    momentum=0.0,
    warmup_steps=10,
    batch_size=None,
    batch_seed=0,
    loss_dtype="float64",
)
# Of Merrill et al. 2023, section 2.
SGD = OptimizerConfig(
    name="sgd",
    lr=0.1,
    weight_decay=0.01,
    betas=(0.9, 0.98),
    eps=1e-8,
    momentum=0.0,
    warmup_steps=0,
    batch_size=32,
    batch_seed=0,
    loss_dtype="float64",
    loss="hinge",
)
