"""Arms of training: norms, logit scale, losses, gradients, noise, penalties, freezing, data; each with its sham."""

from collections.abc import Iterable, Sequence
from dataclasses import replace

import torch

from interp.interventions.norms import ScaleNorms
from interp.networks.answers import answer_logits
from interp.networks.objective import loss
from interp.runs.run import Run
from interp.tasks.data_edits import Corrupt, Exchange, Shrink
from interp.training.arms import Arm, Until
from interp.training.rules import (
    AntitheticNoise,
    AnyRule,
    ForgetMoments,
    Freeze,
    HoldDirections,
    MatchMargin,
    Noise,
    Perpendicular,
    RandomPenalty,
    ReplayNorms,
    ReplayTurning,
    ScaleUpdates,
    SlowGradients,
    SpectralEntropy,
    ZeroSum,
)
from interp.training.rules.bounds import chosen
from interp.training.rules.penalties import spectral_entropy
from interp.trials.facts import Facts
from interp.trials.planned_arm import Planned, after, control_at, matched

DOSES = (0.85, 1.15)
# Below it Adam divides by the gradient's own size on a plateau too (docs/log.md).
SMALL_EPS = 1e-25
# Size of the noise of a step as a share of that of an update.
NOISE_DOSES = (0.3, 1.0, 3.0)
# Of the control's turning speed.
SPEEDS = (0.5, 2.0)
# Of the critical size of the train set.
SHRUNK = (0.5, 1.5)
# Of the gradient of the loss where arms branch: as large is the penalty's there. That of the loss shrinks along the
# plateau and the penalty's does not: from a tenth on it may undo memorization (docs/log.md).
PENALTY_SHARE = 0.03


def norm_arms(run: Run, facts: Facts, seed: int) -> list[Planned]:
    """The norm as such, and what of it goes through the scale of the logits."""
    return [
        after("control", Arm(name=name, dose=dose, rules=(ReplayNorms(factor=dose), *more)))
        for dose in DOSES
        for name, more in (("norm-at-margin", (MatchMargin(),)), ("norm", ()))
    ]


def turning_arms(run: Run, facts: Facts, seed: int) -> list[Planned]:
    """Turning speed held where norms differ, and changed where they do not."""
    held = [("norm-turning", dose, ReplayTurning(factor=dose)) for dose in DOSES]
    changed = [("turning", dose, ReplayTurning(speed=dose)) for dose in SPEEDS]
    return [
        after("control", Arm(name=name, dose=dose, rules=(turning, MatchMargin())))
        for name, dose, turning in (*held, *changed)
    ]


def norm_rate_arms(run: Run, facts: Facts, seed: int) -> list[Planned]:
    """The same with updates scaled like the norm: more nearly as large an angle at each step."""
    return [
        after(
            "control",
            Arm(
                name="norm-rate",
                dose=dose,
                rules=(ScaleUpdates(factor=dose), ReplayNorms(factor=dose), MatchMargin()),
            ),
        )
        for dose in DOSES
    ]


def small_eps_arms(run: Run, facts: Facts, seed: int) -> list[Planned]:
    """The norm at one margin where no entry stands still for Adam's eps."""
    small, of = {"optimizer.eps": SMALL_EPS}, "control-eps"
    return [
        Planned(arm=Arm(name=of, settings=small), until=None),
        *(
            after(of, Arm(name="norm-at-margin-eps", dose=dose, rules=matched(of, dose), settings=small))
            for dose in DOSES
        ),
    ]


def squared_error_arms(run: Run, facts: Facts, seed: int) -> list[Planned]:
    """The same under squared error, where the scale of the logits has nothing to saturate.

    Cross-entropy leaves logits of tens, and squared error from there unlearns the train rows on its way down to one:
    the unembedding starts at the scale at which squared error is least, where every answer is what it was.
    """
    settings, of, dose = {"optimizer.loss": "squared-error"}, "control-squared", max(DOSES)
    scaled = chosen(("unembedding",), tuple(run.step_weights(facts.at)))
    if not scaled:
        # Tied to the embedding, it cannot be scaled without what is read.
        return []
    scale = ScaleNorms(factor=least_squares_scale(run, facts.at), tensors=scaled)
    held, margin = ReplayNorms(of=of, factor=dose), MatchMargin(of=of)
    rules: dict[str, tuple[AnyRule, ...]] = {
        of: (),
        "norm-squared": (held,),
        "norm-at-margin-squared": (held, margin),
    }
    return [
        Planned(arm=Arm(name=of, edits=(scale,), settings=settings), until=None)
        if name == of
        else after(of, Arm(name=name, dose=dose, edits=(scale,), rules=acting, settings=settings))
        for name, acting in rules.items()
    ]


def least_squares_scale(run: Run, at: int) -> float:
    """The factor of all train logits at which their squared error is least, in closed form."""
    assert run.config.model is not None
    asked = run.task.of_split("train")
    logits = answer_logits(run.config.model, asked)(run.step_weights(at)).double()
    return float(logits.gather(-1, asked.labels[:, None]).mean() / logits.square().sum(-1).mean())


def perpendicular_arms(run: Run, facts: Facts, seed: int) -> list[Planned]:
    """Numerics: the gradient without its part along the weights, and a plain one on the norms that this leads to."""
    first = Arm(name="perpendicular", reference="control", rules=(Perpendicular(),))
    norm = Arm(name="perpendicular-norm", reference="control", rules=(ReplayNorms(of="perpendicular"),))
    return [
        Planned(arm=first, until=Until(times=2.0)),
        Planned(arm=norm, follows=("perpendicular",)),
    ]


def read_out_arms(run: Run, facts: Facts, seed: int) -> list[Planned]:
    """Lazy to rich: features frozen for half the plateau, then released; the same release without a freeze."""
    if facts.grokked is None:
        return []
    stretch = max((facts.grokked - facts.memorized) // 2, 1)
    names = tuple(run.step_weights(facts.at))
    features = tuple(part for part in ("embedding", "attention", "mlp_in") if chosen((part,), names))
    found = [
        Arm(name="readout-first", reference="control", rules=(Freeze(parts=features, until=stretch),)),
        Arm(
            name="readout-first-reset",
            reference="control",
            rules=(ForgetMoments(parts=features, at=stretch),),
        ),
        Arm(
            name="readout-first-radial",
            reference="control",
            rules=(HoldDirections(parts=features, until=stretch), ReplayNorms()),
        ),
    ]
    # What takes twice as long has lost more than the stretch: longer there is nothing to learn.
    return [
        control_at("memorization", 2.0),
        *(
            Planned(
                arm=arm,
                point="memorization",
                budget=2.0,
                follows=("control",) if arm.name.endswith("radial") else (),
            )
            for arm in found
        ),
    ]


def slow_gradient_arms(run: Run, facts: Facts, seed: int) -> list[Planned]:
    """Slow gradients amplified, subtracted, shuffled, and plain ones that turn the weights as fast."""
    slow = Arm(name="slow-gradient", reference="control", rules=(SlowGradients(),))
    rate = Arm(name="slow-gradient-rate", reference="control", rules=(ReplayTurning(of="slow-gradient"),))
    shams = {
        "slow-gradient-shuffled": SlowGradients(how="shuffled", seed=seed),
        "slow-gradient-subtracted": SlowGradients(how="subtracted", amplitude=0.5),
    }
    # That of the primary row first: the shams may take their whole budgets.
    return [
        Planned(arm=slow, until=Until(times=2.0)),
        Planned(arm=rate, follows=("slow-gradient",)),
        *(Planned(arm=Arm(name=name, reference="control", rules=(rule,))) for name, rule in shams.items()),
    ]


def noise_arms(run: Run, facts: Facts, seed: int) -> list[Planned]:
    """Diffusion at three temperatures, and noise as large that adds up to nothing."""
    recipe = run.config.recipe()
    weights = run.step_weights(facts.at)
    n = sum(w.numel() for w in weights.values())
    # On a plateau the update is weight decay against the gradient: about lr * decay * |w| each.
    norm = float(torch.stack([w.double().square().sum() for w in weights.values()]).sum().sqrt())
    update = recipe.optimizer.lr * max(recipe.optimizer.weight_decay, 0.01) * norm / n**0.5
    return [
        after(
            "control", Arm(name=name, dose=dose, rules=(kind(size=dose * update, seed=seed), ReplayNorms()))
        )
        for dose in NOISE_DOSES
        for name, kind in (("noise", Noise), ("antithetic-noise", AntitheticNoise))
    ]


def entropy_arms(run: Run, facts: Facts, seed: int) -> list[Planned]:
    """Compression driven by a penalty, and a penalty of equal gradient in a random direction."""
    strength = PENALTY_SHARE * _penalty_strength(run, facts)
    found: dict[str, AnyRule] = {
        "entropy-penalty": SpectralEntropy(strength=strength),
        "random-penalty": RandomPenalty(strength=strength, seed=seed),
    }
    return [after("control", Arm(name=name, rules=(rule, *matched()))) for name, rule in found.items()]


def _penalty_strength(run: Run, facts: Facts) -> float:
    """The strength at which the entropy penalty has as large a gradient as the train loss, at the branch."""
    from interp.networks.layers import as_matrix

    assert run.config.model is not None
    weights = {name: w.clone().requires_grad_() for name, w in run.step_weights(facts.at).items()}
    asked = run.task.of_split("train")
    loss(answer_logits(run.config.model, asked)(weights), asked.labels, torch.float64).backward()
    of_loss = _gradient_norm(weights.values())
    matrices = [as_matrix(name, w) for name, w in weights.items() if w.ndim > 1]
    for w in weights.values():
        w.grad = None
    torch.stack([spectral_entropy(m) for m in matrices]).sum().backward()
    return of_loss / _gradient_norm(weights.values())


def _gradient_norm(weights: Iterable[torch.Tensor]) -> float:
    squares = [w.grad.double().square().sum() for w in weights if w.grad is not None]
    return float(torch.stack(squares).sum().sqrt())


def random_label_arms(run: Run, facts: Facts, seed: int) -> list[Planned]:
    """Local complexity: the same norms from the start, and nothing to understand in the labels."""
    if facts.grokked is None or 0 not in run.index:
        return []
    arm = Arm(name="random-labels", data=(Corrupt(fraction=1.0),), rules=(ReplayNorms(),))
    return [
        control_at("start", 1.5),
        replace(after("control", arm), point="start", budget=1.5, until=None),
    ]


def arithmetic_arms(run: Run, facts: Facts, seed: int) -> list[Planned]:
    """Arithmetic: precision of the loss, StableMax, gradients of the logits that sum to zero; no decay to hide it."""
    settings = {"optimizer.weight_decay": 0.0, "optimizer.eps": SMALL_EPS}
    losses: Sequence[tuple[str, dict[str, object]]] = (
        ("no-decay-float32", {"optimizer.loss_dtype": "float32"}),
        ("no-decay-float64", {"optimizer.loss_dtype": "float64"}),
        ("no-decay-stablemax", {"optimizer.loss": "stablemax"}),
    )
    arms = [Arm(name=name, reference="control", settings={**settings, **more}) for name, more in losses]
    float32 = {"optimizer.loss_dtype": "float32"}
    if run.config.recipe().optimizer.loss_dtype != "float64":
        # Of a loss in float64 already this is the control.
        arms.append(Arm(name="float64", reference="control", settings={"optimizer.loss_dtype": "float64"}))
        arms.append(Arm(name="zero-sum-float32", reference="control", rules=(ZeroSum(),), settings=float32))
    return [Planned(arm=arm) for arm in arms]


def shrunk_arms(run: Run, facts: Facts, seed: int) -> list[Planned]:
    """Circuit efficiency, after grokking: fewer train pairs than the critical size and more, and others instead."""
    if facts.critical_size is None or facts.grokked_with_state is None:
        return []
    n_train = run.task.n_train
    decay = run.config.recipe().optimizer.weight_decay
    arms = [Arm(name="control")]
    for dose in SHRUNK:
        n = round(dose * facts.critical_size)
        if not 0 < n < n_train:
            continue
        cut = (Shrink(n=n, seed=seed),)
        more = {"optimizer.weight_decay": 3 * decay}
        arms += [
            Arm(name="shrink", dose=dose, reference="control", data=cut),
            Arm(name="shrink-decay", dose=dose, reference="control", data=cut, settings=more),
        ]
    n = min(n_train - round(min(SHRUNK) * facts.critical_size), n_train - 1)
    if n > 0:
        arms.append(Arm(name="exchange", reference="control", data=(Exchange(n=n, seed=seed),)))
    return [Planned(arm=arm, point="grokked", until=None, budget=2.0) for arm in arms]
