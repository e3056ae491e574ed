"""Networks on residues in the language of frequencies."""

from interp.probes.fourier.algorithm import algorithm
from interp.probes.fourier.algorithm_by_frequency import algorithm_by_frequency
from interp.probes.fourier.answer_map import answer_map
from interp.probes.fourier.embedding_planes import embedding_planes
from interp.probes.fourier.embedding_spectrum import embedding_spectrum
from interp.probes.fourier.fourier_sparsity import fourier_sparsity
from interp.probes.fourier.frequency_phases import frequency_phases
from interp.probes.fourier.key_frequencies import key_frequencies
from interp.probes.fourier.logit_cells import logit_cells
from interp.probes.fourier.logit_components import logit_components
from interp.probes.fourier.logit_spectrum import logit_spectrum
from interp.probes.fourier.neuron_frequencies import neuron_frequencies
from interp.probes.fourier.neuron_logit_spectrum import neuron_logit_spectrum
from interp.probes.fourier.neuron_maps import neuron_maps
from interp.probes.fourier.progress_measures import progress_measures
from interp.probes.fourier.representation_quality import representation_quality
