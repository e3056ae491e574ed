"""Networks that are asked at many positions of a row, and what their heads do for one another."""

from interp.probes.sequences.head_ablations import head_ablations
from interp.probes.sequences.head_composition import head_composition
from interp.probes.sequences.in_context_learning import in_context_learning
from interp.probes.sequences.part_losses import part_losses
from interp.probes.sequences.position_losses import position_losses
