"""Probes of weights alone."""

from interp.probes.weights.weight_distances import weight_distances
from interp.probes.weights.weight_entropy import weight_entropy
from interp.probes.weights.weight_norms import weight_norms
from interp.probes.weights.weight_spectra import weight_spectra
