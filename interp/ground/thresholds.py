"""Thresholds that more than one place applies, each stated once."""

# Share of the centred logits' variance above which a frequency or representation is key (after Chughtai et al. 2023).
LOGIT_FRACTION = 0.005
# Test accuracy above which a checkpoint generalises, and has a say in the key set of its run.
GENERALISED = 0.99
