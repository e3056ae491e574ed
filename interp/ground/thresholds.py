"""Thresholds that more than one place applies, each stated once."""

# Share of the centred logits' variance above which a frequency or representation matters (after Chughtai et al. 2023).
LOGIT_FRACTION = 0.005
# Share of a neuron's variance at its frequency from which the neuron is counted to it (as in Nanda et al. 2023).
NEURON_FRACTION = 0.85
# Accuracy from which a run has memorized (train) and generalised (test), and a checkpoint has a say in the key set of
# its run. As in Omnigrok; others take 0.9, 0.99 or 1.
ACCURACY = 0.95


def stands_out(share, null):
    """Whether a frequency or representation is key: more of the logits than LOGIT_FRACTION, and than its null.

    Args:
        share: of the centred logits' variance; a number, an array or a column.
        null: what the strongest one has after random names (`interp.mathematics.relabelling`).

    >>> stands_out(0.02, 0.001), stands_out(0.02, 0.03), stands_out(0.002, 0.001)
    (True, False, False)
    """
    return (share > LOGIT_FRACTION) & (share > null)
