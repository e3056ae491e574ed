"""Which algorithm: clock, pizza, neither or undecided, from the tables of two probes. Reads tables, never weights.

The rules are cautious, because each measure has a state in which it misleads:

- A network that does not generalise has no algorithm for the sum, whatever its numbers: untrained networks have a
  gradient symmetricity of 1, memorizers a distance irrelevance of 1 at every frequency. Below a test accuracy of 0.5
  the verdict is "neither", from there to 0.95 "undecided": this is the jump, where circuits that end as clocks are
  most like a pizza.
- Above it, if neither formula explains half of the logits, "neither"; if none of the frequencies that were measured
  stands out of the logits, "undecided": the network reduced to one of them is noise, which looks like a clock.
- Each key frequency by the distance irrelevance of the network that keeps it alone: below 0.2 and half explained by
  cos(w(a+b-c)) "pizza"; above 0.9, or not defined because the right answer's logit is constant, "clock"; "undecided"
  between. Known pizza networks have 0.02 to 0.04, known clocks 0.97 to 1.
- The network: the frequencies that are clocks (pizzas) must hold 90 % of what all key frequencies explain. A gradient
  symmetricity below 0.98 speaks against a pizza; at 0.98 and above it speaks for nothing, but a clock should be below.
- The run: the verdict of its last checkpoint, if the last three agree. Of a run of fewer checkpoints, as a downloaded
  network, the verdict that all of them share, said to show no stability.

References: Zhong et al. 2023, "The Clock and the Pizza", for 0.98; the other thresholds are the project's own.
"""

from collections.abc import Mapping

import pandas as pd

from interp.ground.thresholds import ACCURACY, stands_out

LEARNS_NOTHING = 0.5  # accuracy on test rows, or on all where there is no split, below which there is none
EXPLAINED = 0.5  # share of the logits that a formula must explain
SYMMETRIC = 0.98
PIZZA_IRRELEVANCE = 0.2
CLOCK_IRRELEVANCE = 0.9
DOMINATES = 0.9  # share of what the key frequencies explain
LASTING = 3  # checkpoints

Tables = Mapping[str, pd.DataFrame]


def frequency_verdicts(tables: Tables) -> pd.DataFrame:
    """One verdict for each frequency at each step.

    Args:
        tables: "algorithm" and "algorithm_by_frequency", as `measure` returns them.

    Columns:
        run, step, frequency, fraction: as in algorithm_by_frequency.
        verdict: "clock", "pizza", "neither" or "undecided".
        why: the number that decided, in words.

    Raises:
        ValueError: if a table is missing, or has no row for a step of the other.
    """
    whole, parts = _tables(tables)
    state = {(row.run, row.step): _state(row) for row in whole.itertuples()}
    if lost := sorted({(r, s) for r, s in zip(parts["run"], parts["step"], strict=True)} - set(state)):
        raise ValueError(
            f"A verdict needs the table 'algorithm' at every step of 'algorithm_by_frequency'; {lost[0]} is missing. "
            "Measure both at the same steps."
        )
    judged = [state[row.run, row.step] or _judge_frequency(row) for row in parts.itertuples()]
    found = parts[["run", "step", "frequency", "fraction"]].copy()
    found["verdict"] = pd.Series([v for v, _ in judged], index=found.index, dtype="str")
    found["why"] = pd.Series([why for _, why in judged], index=found.index, dtype="str")
    return found


def checkpoint_verdicts(tables: Tables) -> pd.DataFrame:
    """One verdict for each step.

    Columns:
        run, step.
        verdict: "clock", "pizza", "neither" or "undecided".
        clock_score, pizza_score: share of what the key frequencies explain that lies in frequencies judged so, in
            [0, 1]; NaN without key frequencies.
        gradient_symmetricity: as measured.
        why: what decided, in words.

    Raises:
        ValueError: as `frequency_verdicts`.
    """
    whole, _ = _tables(tables)
    by_step = dict(list(frequency_verdicts(tables).groupby(["run", "step"])))
    rows = []
    for row in whole.itertuples():
        part = by_step.get((row.run, row.step))
        scores = {"clock": float("nan"), "pizza": float("nan")}
        if part is not None and part["fraction"].sum() > 0:
            scores = {
                name: float(part.loc[part["verdict"] == name, "fraction"].sum() / part["fraction"].sum())
                for name in scores
            }
        verdict, why = _state(row) or _judge_network(scores, row.gradient_symmetricity)
        rows.append(
            {
                "run": row.run,
                "step": row.step,
                "verdict": verdict,
                "clock_score": scores["clock"],
                "pizza_score": scores["pizza"],
                "gradient_symmetricity": row.gradient_symmetricity,
                "why": why,
            }
        )
    return pd.DataFrame(rows)


def run_verdict(verdicts: pd.DataFrame) -> dict[str, object]:
    """The verdict on a whole run: that of its end, if it has lasted, or that of the one or two checkpoints there are.

    Args:
        verdicts: of `checkpoint_verdicts`, one run.

    Returns:
        verdict; since (first step from which it holds to the end, None if undecided); why; is_stable (whether the last
        LASTING checkpoints share it; None where there are fewer).

    Raises:
        ValueError: if there are no steps, or those of several runs.
    """
    if len(verdicts) == 0 or verdicts["run"].nunique() != 1:
        raise ValueError(
            f"The verdict on a run needs the steps of one run, got {len(verdicts)} rows of "
            f"{verdicts['run'].nunique()} runs."
        )
    ordered = verdicts.sort_values("step")
    last = ordered.iloc[-1]
    held = int((ordered["verdict"] == last["verdict"])[::-1].cumprod().sum())
    is_stable = None if len(ordered) < LASTING else held >= LASTING
    if last["verdict"] in ("clock", "pizza") and held < min(LASTING, len(ordered)):
        return {
            "verdict": "undecided",
            "since": None,
            "why": f"{last['verdict']} at the last {held} of {len(ordered)} checkpoints; {LASTING} are needed, because "
            "circuits are rebuilt after the accuracy has jumped",
            "is_stable": False,
        }
    since = None if last["verdict"] == "undecided" else int(ordered["step"].iloc[-held])
    few = "" if is_stable is not None else f". {_count(len(ordered))}: whether it lasts is not known"
    return {"verdict": last["verdict"], "since": since, "why": last["why"] + few, "is_stable": is_stable}


def _count(n: int) -> str:
    return "One checkpoint shows no stability" if n == 1 else f"{n} checkpoints show no stability"


def _tables(tables: Tables) -> tuple[pd.DataFrame, pd.DataFrame]:
    for name in ("algorithm", "algorithm_by_frequency"):
        if name not in tables:
            raise ValueError(
                f"A verdict needs the table {name!r}, got {sorted(tables)}. Measure that probe too."
            )
    return tables["algorithm"], tables["algorithm_by_frequency"]


def _state(row) -> tuple[str, str] | None:
    """The verdict that the network's state forces, if it does."""
    if not row.test_accuracy >= LEARNS_NOTHING:
        return "neither", f"accuracy {row.test_accuracy:.3f}: it does not generalise"
    if row.test_accuracy < ACCURACY:
        return (
            "undecided",
            f"accuracy {row.test_accuracy:.3f}: in the jump, where circuits are in between",
        )
    explained = max(row.clock_fraction, row.pizza_fraction)
    if not explained >= EXPLAINED:
        return "neither", f"the formulas explain {explained:.2f} of the logits"
    return None


def _judge_frequency(row) -> tuple[str, str]:
    if not stands_out(row.fraction, row.null):
        return "undecided", "it does not stand out of the logits"
    irrelevance = row.distance_irrelevance
    if irrelevance != irrelevance:
        if row.clock_fraction >= EXPLAINED:
            return "clock", "the right answer's logit is constant"
        return "undecided", "distance irrelevance is not defined"
    text = f"distance irrelevance {irrelevance:.2f}"
    if irrelevance > CLOCK_IRRELEVANCE:
        return "clock", text
    if irrelevance < PIZZA_IRRELEVANCE:
        if row.clock_fraction >= EXPLAINED:
            return "pizza", text
        return "undecided", f"{text}, but cos(w(a+b-c)) explains only {row.clock_fraction:.2f}"
    return "undecided", text


def _judge_network(scores: dict[str, float], symmetricity: float) -> tuple[str, str]:
    text = (
        f"clock frequencies hold {scores['clock']:.2f}, pizza frequencies {scores['pizza']:.2f} of what is explained; "
        f"gradient symmetricity {symmetricity:.2f}"
    )
    if scores["clock"] >= DOMINATES and symmetricity < SYMMETRIC:
        return "clock", text
    if scores["pizza"] >= DOMINATES and symmetricity >= SYMMETRIC:
        return "pizza", text
    return "undecided", text
