"""Thresholds that more than one place applies, each stated once."""

# Share of the centred logits' variance above which a frequency or representation matters (after Chughtai et al. 2023).
LOGIT_FRACTION = 0.005
# Share of a neuron's variance at its frequency from which the neuron is counted to it (as in Nanda et al. 2023).
NEURON_FRACTION = 0.85
# Accuracy from which a run has memorized (train) and generalised (test), and a checkpoint has a say in the key set of
# its run. As in Omnigrok; others take 0.9, 0.99 or 1.
ACCURACY = 0.95

# Prefix matching from which a head that copies is one of induction, and attention to the token before from which it is
# a previous-token head. A convention: Olsson et al. 2022 ask for prefix matching and copying and name no number, those
# who do take 0.3 to 0.4. Attention that is spread evenly scores about 1/25 on the sequences of the probe.
HEAD_SCORE = 0.3
# Of the eigenvalue score of W_E W_V W_O W_U: a head that raises what it attends to is above it (Elhage et al. 2021). No
# more than the sign, since the layers between, which the score leaves out, make it smaller.
COPYING = 0.0


def stands_out(share, null):
    """Whether a frequency or representation is key: more of the logits than LOGIT_FRACTION, and than its null.

    Args:
        share: of the centred logits' variance; a number, an array or a column.
        null: what the strongest one has after random names (`interp.mathematics.relabelling`).

    >>> stands_out(0.02, 0.001), stands_out(0.02, 0.03), stands_out(0.002, 0.001)
    (True, False, False)
    """
    return (share > LOGIT_FRACTION) & (share > null)
