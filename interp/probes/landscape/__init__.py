"""The loss around the weights: gradients, curvature, kernels."""

from interp.probes.landscape.compressibility import compressibility
from interp.probes.landscape.gradient_statistics import gradient_statistics
from interp.probes.landscape.kernel_distance import kernel_distance
from interp.probes.landscape.learning_coefficient import learning_coefficient
from interp.probes.landscape.local_circuit_complexity import local_circuit_complexity
from interp.probes.landscape.local_complexity import local_complexity
from interp.probes.landscape.norm_slice import norm_slice
from interp.probes.landscape.sharpness import sharpness
