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
# Of numbers written in digits: by name.
DIGITS = (
    "digit_losses",
    "digit_attention",
    "digit_spectrum",
    "carry_readout",
    "carry_patching",
)
# Of networks on features of which few count: by name. The two of neurons serve other networks too.
PARITY = (
    "effective_sparsity",
    "subnetworks",
    "feature_coordinates",
    "fourier_gap",
)
# Of tasks that ask at many positions of a row: by name.
SEQUENCES = (
    "part_losses",
    "position_losses",
    "in_context_learning",
    "head_ablations",
    "head_composition",
)
# Of language models: by name, those of a text with functools.partial; `interp analyse language_model` gives them one.
LANGUAGE = (
    "text_losses",
    "in_context_score",
    "ngram_scores",
    "repetition_losses",
    "residual_dimensions",
    "head_changes",
)
# Of tasks in several languages: by name.
LANGUAGES = (
    "language_losses",
    "language_spectra",
    "language_alignment",
    "circuit_removal",
    "language_patching",
    "component_effects",
    "unit_removal",
)
# Golechha's measures of networks on real data: by name.
REAL_DATA = ("activation_sparsity", "weight_entropy", "local_circuit_complexity")
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
