"""Thresholds that more than one place applies, each stated once."""

# Share of the centred logits' variance above which a frequency or representation is key (after Chughtai et al. 2023).
LOGIT_FRACTION = 0.005
# Share of a neuron's variance at its frequency from which the neuron is counted to it (as in Nanda et al. 2023).
NEURON_FRACTION = 0.85
# Test accuracy above which a checkpoint generalises, and has a say in the key set of its run.
GENERALISED = 0.99
# Accuracy from which a run has memorized (train) and grokked (test). As in Omnigrok; others take 0.9, 0.99 or 1.
ACCURACY = 0.95
