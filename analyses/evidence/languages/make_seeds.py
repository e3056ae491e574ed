"""What seeds decide: `seeds.csv`, a row a run of the preset, when it crosses over and whether it is one circuit.

    interp train runs/languages-0 --preset languages --steps 5000 --threads 1 --seed 0 --split-seed 0
    python analyses/evidence/languages/make_seeds.py runs/languages-0 runs/languages-1 ...

Each run once, with its seed as split seed; what was measured before is not measured again.
"""

import argparse
from itertools import product
from pathlib import Path
from typing import Any

import pandas as pd
import torch

import interp
from interp.networks import plain
from interp.snapshots.snapshot import Snapshot
from interp.tables.crossings import (
    answers_along,
    carried,
    crossing,
    one_or_two,
    reads_alike,
    removal_shares,
    shared_components,
    units_needed,
)
from interp.tables.outcome import outcome


def asked(run: Any) -> dict[str, float]:
    """Accuracy on all pairs by the languages of both numbers and of the answer: facts, sentences, a word of each."""
    snapshot: Any = Snapshot.of(run, run.steps[-1])
    config, s = snapshot.task.config, snapshot.task.structure
    pairs = torch.cartesian_prod(torch.arange(config.p), torch.arange(config.p))
    found = {}
    for first, second, answered in product((0, 1), repeat=3):
        words = s.number_tokens[first][pairs[:, 0]], s.number_tokens[second][pairs[:, 1]]
        rows = torch.stack([*words, s.equals_tokens[answered].expand(len(pairs))], 1)
        with torch.no_grad():
            said = plain.forward(snapshot.config, snapshot.weights, rows)[:, -1].argmax(1)
        right = s.answers[answered][s.tables[0][pairs[:, 0], pairs[:, 1]]]
        found[f"asked_{s.names[first]}{s.names[second]}_in_{s.names[answered]}"] = (
            (said == right).double().mean().item()
        )
    return found


def row(path: Path) -> dict[str, Any]:
    run: Any = interp.open_run(path)
    losses = interp.measure(run, ["language_losses"])["language_losses"]
    names = ["circuit_removal", "unit_removal", "language_patching", "component_effects", "language_spectra"]
    at_end = interp.measure(run, names, steps=[run.steps[-1]])
    memorized: Any = outcome({"history": run.history()}).memorization
    came, unseen = crossing(losses, "B"), answers_along(losses, "fact", "B", "B")
    history = run.history().set_index("step")
    shares = removal_shares(at_end["circuit_removal"])
    of_facts = shares.set_index(["where", "circuit", "tested"])
    patches = at_end["language_patching"]
    found: dict[str, Any] = {
        "seed": run.config.seed,
        "split_seed": run.config.task.split_seed,
        "n_steps": run.steps[-1],
        "memorization_before": memorized.before,
        "memorization": memorized.step,
        "crossing_before": came.before,
        "crossing": came.step,
        # All test rows are unseen facts of B.
        **{
            f"unseen_accuracy_at_{step}": history.loc[step, "test_accuracy"]
            for step in (1000, 2000, 3000, 4000)
        },
        "train_loss": history["train_loss"].iloc[-1],
        "unseen_accuracy": unseen["accuracy"].iloc[-1],
        "unseen_loss": unseen["loss"].iloc[-1],
    }
    for where in ("embedding", "neurons"):
        found[f"circuits_{where}"] = one_or_two(shares, where, "A", "B")
        for circuit, tested in ("AA", "AB", "BA", "BB"):
            values = of_facts.loc[(where, circuit, tested)]
            found[f"{where}_{circuit}_removed_{tested}"] = values["accuracy"]
            found[f"{where}_{circuit}_others_removed_{tested}"] = values["random_accuracy"]
    for site in ("heads", "neurons"):
        found[f"reads_alike_after_{site}"] = reads_alike(patches, site, "A", "B")
        for donor, receiver in ("AB", "BA", "AA", "BB"):
            whole: Any = carried(patches, receiver, donor, site)
            exchanged: Any = carried(patches, receiver, donor, site, "receiver")
            found[f"{site}_{donor}_into_{receiver}"] = whole["number_in_its_language"]
            if donor != receiver:
                found[f"{site}_{donor}_into_{receiver}_in_any_language"] = whole["number"]
                found[f"{site}_{donor}_into_{receiver}_means_exchanged"] = exchanged["number_in_its_language"]
    for component, values in shared_components(at_end["component_effects"], "A", "B").items():
        found[f"{component}_variance_rank_correlation"] = values["variance_rank_correlation"]
    for where, values in units_needed(at_end["unit_removal"], "A", "B").items():
        both = len(values["both"])
        found |= {f"{where}_needed_by_{one}": both + len(values[f"{one} only"]) for one in "AB"}
        found |= {f"{where}_needed_by_both": both, f"{where}_by_chance": values["both_by_chance"]}
        found[f"{where}_circuits_by_units"] = values["circuits"]
    of_units = removal_shares(at_end["unit_removal"]).set_index(["where", "circuit", "tested"])
    for where, circuit, tested in of_units.index:
        values = of_units.loc[(where, circuit, tested)]
        found[f"{where}_needed_by_{circuit}_removed_{tested}"] = values["accuracy"]
        found[f"{where}_needed_by_{circuit}_as_many_removed_{tested}"] = values["random_accuracy"]
    keys = at_end["circuit_removal"].query("selection == 'key' and where == 'embedding'")
    for circuit, frequencies in keys.groupby("circuit")["frequencies"]:
        found[f"key_frequencies_{circuit}"] = frequencies.iloc[0]
    turns = at_end["language_spectra"].query("language == 'B'").set_index(["part", "frequency"])
    for part in ("embedding", "unembedding"):
        for value in ("turn_cosine", "turn_sine"):
            of_key = [turns.loc[(part, int(k)), value] for k in found["key_frequencies_A"].split()]
            found[f"{part}_{value}"] = " ".join(f"{x:.2f}" for x in of_key)
    found |= asked(run)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("runs", type=Path, nargs="+")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "seeds.csv")
    options = parser.parse_args()
    table = pd.DataFrame([row(path) for path in options.runs]).sort_values("seed")
    table.to_csv(options.out, index=False, float_format="%.4g")


if __name__ == "__main__":
    main()
