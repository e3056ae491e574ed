"""Arms of features: frequencies set back, ahead or raised, neurons kept; each with its sham."""

import torch

from interp.interventions.bench import Bench, loss_of_test_rows
from interp.interventions.frequencies import GraftFrequencies, ScaleFrequencies, frequency_norms
from interp.interventions.matching import others_back
from interp.interventions.neurons import KeepNeurons, largest, neuron_norms
from interp.interventions.parts import Place
from interp.interventions.shams import other_neurons
from interp.runs.run import Run
from interp.training.arms import Arm
from interp.training.rules import MatchMargin
from interp.trials.facts import Facts
from interp.trials.levels import accuracy
from interp.trials.planned_arm import Planned, Point, after, control_at, matched

PLACES: tuple[Place, ...] = ("W_E", "W_L")
# The losing frequency is raised a little above the leader.
RAISED = 1.2


def frequency_arms(run: Run, facts: Facts, seed: int) -> list[Planned]:
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
        Arm(name="others-back", reference="control", edits=(sham,), donors=donors, rules=matched()),
        Arm(name="keys-back", reference="others-back", edits=(back,), donors=donors, rules=matched()),
    ]
    if facts.ahead is not None and point == "plateau":
        ahead = GraftFrequencies(frequencies=facts.keys, where=PLACES, donor="ahead")
        found.append(
            Arm(
                name="keys-ahead",
                reference="control",
                edits=(ahead,),
                donors={"ahead": facts.ahead},
                rules=matched(),
            )
        )
    return [Planned(arm=arm, point=point, follows=("control",)) for arm in found]


def neuron_arms(run: Run, facts: Facts, seed: int) -> list[Planned]:
    """Sparse subnetwork: the neurons of the final one, those of the key frequencies now, random ones."""
    model = run.config.model
    if model is None or not model.d_mlp or facts.grokked is None:
        return []
    bench = Bench(config=model, task=run.task, donors={})
    now = run.step_weights(facts.at)
    final = final_subnetwork(run, bench)
    if not 0 < len(final) <= model.d_mlp // 2:
        return []
    last = model.n_layers - 1
    keep = KeepNeurons(neurons=final, layer=last)
    random = other_neurons(keep, now, bench, seed)
    chosen = {"keep-subnetwork": keep, "keep-random-neurons": random}
    if facts.keys:
        chosen["keep-key-neurons"] = KeepNeurons(neurons=key_neurons(run, facts, len(final)), layer=last)
    return [
        after("control", Arm(name=name, edits=(edit,), rules=(MatchMargin(),)))
        for name, edit in chosen.items()
    ]


def final_subnetwork(run: Run, bench: Bench, least: float = 0.99) -> tuple[int, ...]:
    """The fewest neurons of the last checkpoint, largest norm first, with which test accuracy is still so high.

    References: Merrill et al. 2023, "A tale of two circuits" (effective sparsity).
    """
    weights = run.step_weights(run.steps[-1])
    asked = run.task.of_split("test")
    norms = neuron_norms(weights, bench, bench.config.n_layers - 1)

    def right(n: int) -> bool:
        kept = KeepNeurons(neurons=largest(norms, n), layer=bench.config.n_layers - 1).edit(weights, bench)
        return accuracy(bench.config, kept, asked) >= least

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


def lottery_arms(run: Run, facts: Facts, seed: int) -> list[Planned]:
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
    return [
        control_at("start", 1.5),
        *(Planned(arm=arm, point="start", until=None, budget=1.5) for arm in arms),
    ]
