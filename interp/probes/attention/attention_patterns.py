"""Where the answered position looks, on average and how variably."""

import pandas as pd
import torch
from jaxtyping import Float
from torch import Tensor

from interp.snapshots.snapshot import Snapshot

VERSION = 1


def attention_patterns(snapshot: Snapshot) -> pd.DataFrame:
    """Mean attention of the answered position to every position, with its spread and entropy, for each head.

    A mean hides what a head does: a head that looks at a or b depending on both has mean 0.5 on each, as one that never
    looks has. The spread tells them apart, `attention_periodicity` says what it depends on.

    Columns:
        layer, head, position: one row each; position 0 is a, 1 is b, 2 is "=" where there is one.
        attention: mean over all pairs. The rows of a head sum to 1, unless a constant is mixed into the pattern
            (attention_rate below 1).
        attention_sd: standard deviation over all pairs.
        entropy, entropy_sd: mean and standard deviation over all pairs of the entropy of the pattern divided by its
            sum, in nats; from 0 to the logarithm of the number of positions. The same in all rows of a head.

    Raises:
        NotApplicable: if the network has no attention or the run no known task.

    References: Nanda et al. 2023, section 4.1 and appendix A.1 (little attention to "=").
    """
    pattern = snapshot.pattern.cpu().double()
    share = pattern / pattern.sum(-1, keepdim=True)
    _, n_layers, n_heads, n_pos = pattern.shape
    attention, attention_sd = _mean_and_sd(pattern)
    entropy, entropy_sd = (
        x.expand_as(attention) for x in _mean_and_sd(torch.special.entr(share).sum(-1, keepdim=True))
    )
    layer, head, position = torch.meshgrid(*map(torch.arange, (n_layers, n_heads, n_pos)), indexing="ij")
    return pd.DataFrame(
        {
            "layer": layer.reshape(-1).numpy(),
            "head": head.reshape(-1).numpy(),
            "position": position.reshape(-1).numpy(),
            "attention": attention.reshape(-1).numpy(),
            "attention_sd": attention_sd.reshape(-1).numpy(),
            "entropy": entropy.reshape(-1).numpy(),
            "entropy_sd": entropy_sd.reshape(-1).numpy(),
        }
    )


def _mean_and_sd(
    x: Float[Tensor, " question *rest"],
) -> tuple[Float[Tensor, " *rest"], Float[Tensor, " *rest"]]:
    mean = x.mean(0)
    # Several times as fast as torch's std along the first axis.
    return mean, (x - mean).square().mean(0).sqrt()
