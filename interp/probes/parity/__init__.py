"""Networks that find the few features which count: Fourier gaps, neurons that decide, weights on the right bits."""

from interp.probes.parity.effective_sparsity import effective_sparsity
from interp.probes.parity.feature_coordinates import feature_coordinates
from interp.probes.parity.fourier_gap import fourier_gap
from interp.probes.parity.subnetworks import subnetworks
