"""Which probes the command line means by "standard", and by "all" (standard and slow)."""

# One forward pass over all inputs answers these together.
STANDARD = (
    "losses",
    "embedding_spectrum",
    "neuron_logit_spectrum",
    "logit_spectrum",
    "logit_cells",
    "neuron_frequencies",
    "key_frequencies",
    "frequency_phases",
    "fourier_sparsity",
    "progress_measures",
    "attention_patterns",
    "attention_periodicity",
    "attention_circuits",
    "induction_scores",
    "weight_norms",
    "weight_distances",
    "weight_spectra",
    "neuron_activity",
    "algorithm",
    "algorithm_by_frequency",
)
# Of tasks of composition: by name. On residues the Fourier probes above say the same.
GROUPS = (
    "representation_spectrum",
    "character_similarity",
    "representation_losses",
    "coset_concentration",
)
# Thousands of rows a step: by name, for the steps that are looked at.
LARGE = ("logit_components", "answer_map", "neuron_maps", "embedding_planes")
# Hessians, sampling, many passes: seconds to minutes a step, for a chosen subset of steps.
SLOW = (
    "gradient_statistics",
    "sharpness",
    "kernel_distance",
    "local_complexity",
    "compressibility",
    "learning_coefficient",
    "representation_quality",
    "norm_slice",
)
