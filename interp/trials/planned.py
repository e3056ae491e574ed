"""The arms of the battery: what each theory wants to see trained, with control, sham and rival.

Rows are in the order in which they decide: those first that most theories share, then what is cheapest for what it
tells. A theory names arms by their names alone; here they become values for one run.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import torch

from interp.interventions.bench import Bench, loss_of_test_rows
from interp.interventions.frequencies import GraftFrequencies, ScaleFrequencies, frequency_norms
from interp.interventions.matching import others_back
from interp.interventions.neurons import KeepNeurons, largest, neuron_norms
from interp.interventions.parts import Place
from interp.interventions.shams import other_neurons
from interp.networks.answers import answer_logits
from interp.networks.objective import loss
from interp.runs.run import Run
from interp.tasks.data_edits import Exchange, Shrink
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
    ScaleUpdates,
    SlowGradients,
    SpectralEntropy,
    ZeroSum,
)
from interp.training.rules.penalties import spectral_entropy
from interp.trials.facts import Facts

Point = Literal["plateau", "later", "memorization", "start", "grokked"]

DOSES = (0.85, 1.15)
# Below it Adam divides by the gradient's own size on a plateau too (docs/log.md).
SMALL_EPS = 1e-25
# Size of the noise of a step as a share of that of an update.
NOISE_DOSES = (0.1, 0.3, 1.0)
UNTIL = Until()
PLACES: tuple[Place, ...] = ("W_E", "W_L")
# The losing frequency is raised a little above the leader.
RAISED = 1.2
# Of the critical size of the train set.
SHRUNK = (0.5, 1.5)
# Of the gradient of the loss: as large is the penalty's where arms branch.
PENALTY_SHARE = 1.0


@dataclass(frozen=True, kw_only=True)
class Planned:
    """An arm, where it leaves the parent, and how long it is trained.

    Attributes:
        follows: labels of the arms of its pair whose recorded path its rules follow.
        budget: steps at most, in units of what the parent takes from there to test accuracy 0.95.
        until: None where the whole budget is trained, as of a control whose path others follow.
    """

    arm: Arm
    point: Point = "plateau"
    follows: tuple[str, ...] = ()
    budget: float = 4.0
    until: Until | None = UNTIL

    @property
    def key(self) -> str:
        """Its folder within a pair: arms of two branch points have the same names."""
        return self.arm.label if self.point == "plateau" else f"{self.arm.label}@{self.point}"


def planned_arms(
    run: Run, facts: Facts, *, seed: int = 0, names: Iterable[str] | None = None
) -> list[Planned]:
    """Every arm that makes sense on this run.

    Args:
        seed: of what shams draw at random.
        names: only groups with an arm of these names, and of those all: what is compared stands together.

    Raises:
        ValueError: if a sham cannot be made as large as what it stands for.
    """
    wanted = None if names is None else {*names}
    found: list[Planned] = []
    for of_group, make in GROUPS.items():
        if wanted is None or wanted & {*of_group}:
            found += make(run, facts, seed)
    return found


def _controls(run: Run, facts: Facts, seed: int) -> list[Planned]:
    """The control, whose path most others follow, and the sham of following it."""
    return [
        Planned(arm=Arm(name="control"), until=None),
        _after("control", Arm(name="replay", rules=(ReplayNorms(),))),
    ]


def _after(control: str, arm: Arm) -> Planned:
    """An arm that is compared with a control and follows its path."""
    return Planned(arm=replace(arm, reference=control), follows=(control,))


def _matched(of: str = "control", factor: float = 1.0) -> tuple[AnyRule, ...]:
    """Norm and logit scale of another arm: what is left to differ is the direction."""
    return ReplayNorms(of=of, factor=factor), MatchMargin(of=of)


def _frequencies(run: Run, facts: Facts, seed: int) -> list[Planned]:
    """Hidden progress, at two points: is more lost where there was more?"""
    found = _frequencies_at(run, facts, facts.at, "plateau", seed)
    if found and facts.later is not None:
        found.append(Planned(arm=Arm(name="control"), point="later", until=None))
        found += _frequencies_at(run, facts, facts.later, "later", seed)
    return found


def _frequencies_at(run: Run, facts: Facts, at: int, point: Point, seed: int) -> list[Planned]:
    """Key frequencies set back to memorization, others instead, key ones ahead."""
    if not facts.keys:
        return []
    back = GraftFrequencies(frequencies=facts.keys, where=PLACES, donor="memorization")
    donors = {"memorization": facts.memorized}
    weights = run.step_weights(at)
    assert run.config.model is not None
    bench = Bench(
        config=run.config.model, task=run.task, donors={"memorization": run.step_weights(facts.memorized)}
    )
    sham = others_back(back, weights, bench, loss_of_test_rows(bench), seed=seed)
    found = [
        Arm(name="others-back", reference="control", edits=(sham,), donors=donors, rules=_matched()),
        Arm(name="keys-back", reference="others-back", edits=(back,), donors=donors, rules=_matched()),
    ]
    if facts.ahead is not None and point == "plateau":
        ahead = GraftFrequencies(frequencies=facts.keys, where=PLACES, donor="ahead")
        found.append(
            Arm(
                name="keys-ahead",
                reference="control",
                edits=(ahead,),
                donors={"ahead": facts.ahead},
                rules=_matched(),
            )
        )
    return [Planned(arm=arm, point=point, follows=("control",)) for arm in found]


def _norms(run: Run, facts: Facts, seed: int) -> list[Planned]:
    """The norm as such, and what of it goes through the scale of the logits."""
    out = []
    for dose in DOSES:
        held = ReplayNorms(factor=dose)
        out += [
            _after("control", Arm(name="norm-at-margin", dose=dose, rules=(held, MatchMargin()))),
            _after("control", Arm(name="norm", dose=dose, rules=(held,))),
        ]
    for dose in DOSES:
        rules = (ScaleUpdates(factor=dose), ReplayNorms(factor=dose), MatchMargin())
        out.append(_after("control", Arm(name="norm-rate", dose=dose, rules=rules)))
    small = {"optimizer.eps": SMALL_EPS}
    out.append(Planned(arm=Arm(name="control-eps", settings=small), until=None))
    for dose in DOSES:
        arm = Arm(name="norm-at-margin-eps", dose=dose, rules=_matched("control-eps", dose), settings=small)
        out.append(_after("control-eps", arm))
    return out


def _squared(run: Run, facts: Facts, seed: int) -> list[Planned]:
    """The same under squared error, where the scale of the logits has nothing to saturate."""
    settings, of, dose = {"optimizer.loss": "squared-error"}, "control-squared", max(DOSES)
    held = ReplayNorms(of=of, factor=dose)
    return [
        Planned(arm=Arm(name=of, settings=settings), until=None),
        _after(of, Arm(name="norm-squared", dose=dose, rules=(held,), settings=settings)),
        _after(
            of,
            Arm(
                name="norm-at-margin-squared", dose=dose, rules=(held, MatchMargin(of=of)), settings=settings
            ),
        ),
    ]


def _perpendicular(run: Run, facts: Facts, seed: int) -> list[Planned]:
    """Numerics: the gradient without its part along the weights, and a plain one on the norms that this leads to."""
    first = Arm(name="perpendicular", reference="control", rules=(Perpendicular(),))
    norm = Arm(name="perpendicular-norm", reference="control", rules=(ReplayNorms(of="perpendicular"),))
    return [
        Planned(arm=first, until=Until(times=2.0)),
        Planned(arm=norm, follows=("perpendicular",)),
    ]


def _read_out(run: Run, facts: Facts, seed: int) -> list[Planned]:
    """Lazy to rich: features frozen for half the plateau, then released; the same release without a freeze."""
    if facts.grokked is None:
        return []
    stretch = max((facts.grokked - facts.memorized) // 2, 1)
    features = ("embedding", "attention", "mlp_in")
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
    return [
        Planned(arm=Arm(name="control"), point="memorization", until=None),
        *(
            Planned(
                arm=arm, point="memorization", follows=("control",) if arm.name.endswith("radial") else ()
            )
            for arm in found
        ),
    ]


def _neurons(run: Run, facts: Facts, seed: int) -> list[Planned]:
    """Sparse subnetwork: the neurons of the final one, those of the key frequencies now, random ones."""
    model = run.config.model
    if model is None or not model.d_mlp or facts.grokked is None:
        return []
    bench = Bench(config=model, task=run.task, donors={})
    now = run.step_weights(facts.at)
    final = final_subnetwork(run, bench)
    if not 0 < len(final) <= model.d_mlp // 2:
        return []
    keep = KeepNeurons(neurons=final)
    random = other_neurons(keep, now, bench, seed)
    chosen = {"keep-subnetwork": keep, "keep-random-neurons": random}
    if facts.keys:
        chosen["keep-key-neurons"] = KeepNeurons(neurons=key_neurons(run, facts, len(final)))
    return [
        _after("control", Arm(name=name, edits=(edit,), rules=(MatchMargin(),)))
        for name, edit in chosen.items()
    ]


def final_subnetwork(run: Run, bench: Bench, accuracy: float = 0.99) -> tuple[int, ...]:
    """The fewest neurons of the last checkpoint, largest norm first, with which test accuracy is still so high.

    References: Merrill et al. 2023, "A tale of two circuits" (effective sparsity).
    """
    weights = run.step_weights(run.steps[-1])
    asked = run.task.of_split("test")
    logits = answer_logits(bench.config, asked)
    norms = neuron_norms(weights, bench, bench.config.n_layers - 1)

    def right(n: int) -> bool:
        kept = KeepNeurons(neurons=largest(norms, n), layer=bench.config.n_layers - 1).edit(weights, bench)
        with torch.no_grad():
            return bool((logits(kept).argmax(-1) == asked.labels).double().mean() >= accuracy)

    low, high = 0, bench.config.d_mlp
    if not right(high):
        return ()
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if right(middle) else (middle, high)
    return largest(norms, high)


def key_neurons(run: Run, facts: Facts, n: int) -> tuple[int, ...]:
    """The n neurons that have the largest share of the key frequencies in what they write, at the branch."""
    from interp.mathematics import fourier
    from interp.snapshots.residues import Residues
    from interp.snapshots.snapshot import Snapshot

    view = Residues(Snapshot.of(run, facts.at))
    power = fourier.power(view.neuron_logit_map.double())
    # Without the constant, which is no frequency.
    return largest(power[list(facts.keys)].sum(0) / power[1:].sum(0).clamp(min=1e-30), n)


def _slow_gradients(run: Run, facts: Facts, seed: int) -> list[Planned]:
    """Slow gradients amplified, subtracted, shuffled, and plain ones with steps as large."""
    found = {
        "slow-gradient": SlowGradients(),
        "slow-gradient-shuffled": SlowGradients(how="shuffled", seed=seed),
        "slow-gradient-subtracted": SlowGradients(how="subtracted", amplitude=0.5),
    }
    arms = [Arm(name=name, reference="control", rules=(rule,)) for name, rule in found.items()]
    rate = Arm(
        name="slow-gradient-rate",
        reference="control",
        rules=(ScaleUpdates(of="slow-gradient"), ReplayNorms(of="slow-gradient")),
    )
    return [
        *(Planned(arm=arm, until=Until(times=2.0 if arm.name == "slow-gradient" else 1.0)) for arm in arms),
        Planned(arm=rate, follows=("slow-gradient",)),
    ]


def _noise(run: Run, facts: Facts, seed: int) -> list[Planned]:
    """Diffusion at three temperatures, and noise as large that adds up to nothing."""
    recipe = run.config.recipe()
    weights = run.step_weights(facts.at)
    n = sum(w.numel() for w in weights.values())
    # On a plateau the update is weight decay against the gradient: about lr * decay * |w| each.
    norm = float(torch.stack([w.double().square().sum() for w in weights.values()]).sum().sqrt())
    update = recipe.optimizer.lr * max(recipe.optimizer.weight_decay, 0.01) * norm / n**0.5
    return [
        _after(
            "control", Arm(name=name, dose=dose, rules=(kind(size=dose * update, seed=seed), ReplayNorms()))
        )
        for dose in NOISE_DOSES
        for name, kind in (("noise", Noise), ("antithetic-noise", AntitheticNoise))
    ]


def _entropy(run: Run, facts: Facts, seed: int) -> list[Planned]:
    """Compression driven by a penalty, and a penalty of equal gradient in a random direction."""
    strength = PENALTY_SHARE * _penalty_strength(run, facts)
    found: dict[str, AnyRule] = {
        "entropy-penalty": SpectralEntropy(strength=strength),
        "random-penalty": RandomPenalty(strength=strength, seed=seed),
    }
    return [_after("control", Arm(name=name, rules=(rule, *_matched()))) for name, rule in found.items()]


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


def _lottery(run: Run, facts: Facts, seed: int) -> list[Planned]:
    """The losing frequency that starts with most amplitude raised to the leader, and another by the same norm.

    Both in W_E and W_L before anything is learned, at the first checkpoint.
    """
    model = run.config.model
    if model is None or not facts.keys or facts.grokked is None or 0 not in run.index:
        return []
    bench = Bench(config=model, task=run.task, donors={})
    weights = run.step_weights(0)
    sizes = torch.stack([frequency_norms(weights, bench, place) for place in PLACES])
    amplitude = sizes.square().sum(0).sqrt()
    losers = [k for k in range(1, len(amplitude) + 1) if k not in facts.keys]
    if len(losers) < 2:
        return []
    runner_up = max(losers, key=lambda k: float(amplitude[k - 1]))
    generator = torch.Generator().manual_seed(seed)
    rest = [k for k in losers if k != runner_up]
    other = rest[int(torch.randint(len(rest), (), generator=generator))]
    leader = RAISED * float(amplitude.max())
    added = leader - float(amplitude[runner_up - 1])
    arms = []
    for name, k in (("frequency-raised", runner_up), ("frequency-raised-sham", other)):
        edit = ScaleFrequencies(frequencies=(k,), where=PLACES, factor=1 + added / float(amplitude[k - 1]))
        arms.append(Arm(name=name, reference="control", edits=(edit,)))
    control = Planned(arm=Arm(name="control"), point="start", until=None, budget=1.5)
    return [control, *(Planned(arm=arm, point="start", until=None, budget=1.5) for arm in arms)]


def _shrunk(run: Run, facts: Facts, seed: int) -> list[Planned]:
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


def _arithmetic(run: Run, facts: Facts, seed: int) -> list[Planned]:
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


# By the names of the arms that each makes, those first that decide most.
GROUPS: dict[tuple[str, ...], Callable[[Run, Facts, int], list[Planned]]] = {
    ("control", "replay"): _controls,
    ("others-back", "keys-back", "keys-ahead"): _frequencies,
    ("norm-at-margin", "norm", "norm-rate", "control-eps", "norm-at-margin-eps"): _norms,
    ("control-squared", "norm-squared", "norm-at-margin-squared"): _squared,
    ("perpendicular", "perpendicular-norm"): _perpendicular,
    ("keep-subnetwork", "keep-random-neurons", "keep-key-neurons"): _neurons,
    ("readout-first", "readout-first-reset", "readout-first-radial"): _read_out,
    (
        "slow-gradient",
        "slow-gradient-shuffled",
        "slow-gradient-subtracted",
        "slow-gradient-rate",
    ): _slow_gradients,
    ("noise", "antithetic-noise"): _noise,
    ("entropy-penalty", "random-penalty"): _entropy,
    ("frequency-raised", "frequency-raised-sham"): _lottery,
    ("shrink", "shrink-decay", "exchange"): _shrunk,
    (
        "no-decay-float32",
        "no-decay-float64",
        "no-decay-stablemax",
        "float64",
        "zero-sum-float32",
    ): _arithmetic,
}
