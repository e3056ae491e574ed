"""Sparse parity as in Merrill et al. 2023."""

from interp.networks.feature_mlps import features_mlp
from interp.runs.config import Recipe
from interp.runs.presets.optimizers import SGD
from interp.runs.schedule import fitted_schedule, make_schedule
from interp.tasks.families import family

# 300 epochs of 32 mini-batches.
PARITY_STEPS = 9600
# Of five seeds test accuracy is at 0.95 by 2950 to 3800 (docs/parity.md).
PARITY_SAVE = ("0-5000:100", "5200-9600:400")


def parity(n_steps: int = PARITY_STEPS) -> Recipe:
    """(40, 3)-parity of 1000 rows: one hidden layer of 1000 ReLUs, hinge loss, SGD in mini-batches of 32.

    Theirs has one output f(x), of weights u; here f(x) is the difference of two, u the difference of their weights, so
    that u learns twice as fast as with one and starts sqrt(2) times as large. Matrices start with the standard
    deviation of torch's Linear layers, 1/sqrt(3 fan-in), as theirs, but normal; biases start at zero, theirs do not.

    References: Merrill et al. 2023, section 2 (learning rate 0.1, weight decay 0.01, no output bias); their released
    code (parity-nn): 300 epochs.
    """
    own = make_schedule(PARITY_STEPS, PARITY_SAVE, ["2000", "4000"])
    return Recipe(
        task=family("parity").example(),
        model=features_mlp(n_features=40, n_outputs=2, d_mlp=1000, unembed_bias=False, init_scale=3**-0.5),
        optimizer=SGD,
        n_steps=n_steps,
        schedule=own if n_steps == PARITY_STEPS else fitted_schedule(n_steps),
        seed=0,
        evaluation_interval=50,
    )
