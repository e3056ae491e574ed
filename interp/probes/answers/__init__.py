"""How well a network answers."""

from interp.probes.answers.activation_sparsity import activation_sparsity
from interp.probes.answers.losses import losses
from interp.probes.answers.neuron_activity import neuron_activity
