"""Trial folders without training: arms tables of worlds, with curves, checks and tables of the parent made by hand."""

import math
from pathlib import Path

import numpy as np
import pandas as pd

from interp.tables.folder import write_tables
from interp.theories import ALL
from interp.theories.lock import Lock, write_lock
from tests.theories import worlds

RUN = "made"
IDENTITY = ["arm", "dose", "pair", "kind", "reference", "reference_dose", "branch_step"]
MEMORIZED, GROKKED = 120, 5740
STEPS = np.array([0, 50, 100, 150, *range(200, 8001, 200)])


def make_trial(
    folder: Path,
    world=worlds.circuit_progress_world,
    *,
    n_pairs: int = 6,
    sd: float = 0.08,
    seed: int = 1,
    kind: str = "jitter",
    run: str = RUN,
    is_locked: bool = True,
    arms: pd.DataFrame | None = None,
    others: tuple[str, ...] = (),
) -> Path:
    """A trial folder of a world; `arms` instead of those of the world; `others` of its recipe beside the run."""
    folder.mkdir(parents=True, exist_ok=True)
    table = world(n_pairs, sd, seed, kind) if arms is None else arms
    lock = make_lock(folder / "predictions.json", run, n_pairs, others) if is_locked else None
    about = {"run": ", ".join((run, *others)), "n_pairs": n_pairs, "versions": {"grokscope": "0.1.0"}}
    if lock is not None:
        about["lock"] = {"hash": lock.hash, "time": lock.time}
    tables = {
        "arms": table,
        "levels": levels_of(table),
        "checks": checks_of(table),
        "curves": curves_of(table),
    }
    write_tables(folder, tables, about)
    write_tables(folder / "observed", observed_tables(run), {"run": run})
    return folder


def make_lock(path: Path, run: str = RUN, n_pairs: int = 6, others: tuple[str, ...] = ()) -> Lock:
    parents = [{"name": name, "decides": "none"} for name in (run, *others)]
    names = dict.fromkeys(name for there in worlds.ARMS.values() for name, _ in there)
    return write_lock(
        path,
        run={"name": ", ".join((run, *others)), "parents": parents},
        branch_steps=[worlds.MAIN, worlds.LATER, worlds.MEMORIZATION],
        arms=[{"arm": {"name": name}} for name in names],
        n_pairs=n_pairs,
        thresholds={"test_accuracy": [0.9, 0.95, 0.99], "test_loss": [1.0]},
        predictions=[prediction for theory in ALL for prediction in theory.predictions],
    )


def levels_of(arms: pd.DataFrame) -> pd.DataFrame:
    rows = arms[IDENTITY].drop_duplicates()
    return rows.assign(quantity="norm_at_event", value=40.0, valid=True, why_not="")


def checks_of(arms: pd.DataFrame) -> pd.DataFrame:
    rows = arms[[*IDENTITY, "valid", "why_not"]].drop_duplicates(IDENTITY)
    finite = rows.assign(check="finite loss", found=1.0, allowed=1.0, holds=True)
    eps = rows.assign(check="entries below eps, more than in the control", allowed=0.05, holds=rows["valid"])
    eps["found"] = np.where(rows["valid"], 0.01, 0.95)
    return pd.concat([finite, eps])[[*IDENTITY, "check", "found", "allowed", "holds"]]


def curves_of(arms: pd.DataFrame) -> pd.DataFrame:
    """A jump at each event of 0.95, and a norm that falls."""
    rows = arms[(arms["event"] == "test_accuracy") & (arms["threshold"] == 0.95)]
    found = []
    for row in rows.to_dict("records"):
        d = row["step"] if not math.isnan(row["step"]) else 3 * row["budget"]
        end = min(row["budget"], 1.3 * d)
        since = np.unique(np.linspace(0, end, 60).astype(int))
        jump = 1 / (1 + np.exp(-(since - 0.93 * d) / (0.02 * d + 1)))
        found.append(
            pd.DataFrame(
                {
                    **{name: row[name] for name in ("arm", "dose", "pair", "kind", "branch_step")},
                    "since": since,
                    "train_loss": 1e-4,
                    "test_loss": 3 * (1 - jump) + 1e-3,
                    "train_accuracy": 1.0,
                    "test_accuracy": 0.3 + 0.7 * jump,
                    "margin": 8 + 4 * jump,
                    "norm": 60 - 20 * since / max(d, 1),
                }
            )
        )
    return pd.concat(found, ignore_index=True)


def observed_tables(run: str = RUN) -> dict[str, pd.DataFrame]:
    """A parent that memorizes between 100 and 150 and generalises between 5600 and 5800."""
    jump = 1 / (1 + np.exp(-(STEPS - 5500) / 80))
    fit = 1 / (1 + np.exp(-(STEPS - 110) / 8))
    history = pd.DataFrame(
        {
            "step": STEPS,
            "train_loss": 4 * (1 - fit) + 1e-4,
            "test_loss": np.where(STEPS < 100, 4.7, 12 * (1 - jump) + 1e-3),
            "train_accuracy": fit,
            "test_accuracy": 0.2 + 0.8 * jump,
        }
    )
    losses = [
        pd.DataFrame({"step": STEPS, "split": s, "loss": history[f"{s}_loss"], "accuracy": history[f"{s}_accuracy"],
                      "margin_mean": 20 * history[f"{s}_accuracy"] - 10, "n": 100})
        for s in ("train", "test")
    ]  # fmt: skip
    restricted = 4.7 * (1 - 1 / (1 + np.exp(-(STEPS - 2600) / 300))) + 1e-3
    excluded = 1e-2 + 6 / (1 + np.exp(-(STEPS - 3200) / 250))
    measures = [
        pd.DataFrame({"step": STEPS, "measure": m, "selection": x, "split": s, "loss": loss,
                      "loss_min": loss, "loss_max": loss + 1})
        for m, s, loss in (("restricted_loss", "all", restricted), ("excluded_loss", "train", excluded))
        for x in ("key", "causal", "random")
    ]  # fmt: skip
    l2 = 60 - 25 / (1 + np.exp(-(STEPS - 5600) / 300))
    norms = pd.DataFrame({"step": STEPS, "matrix": "total", "l2": l2, "sum_of_squares": l2**2, "share": 1.0})
    tables = {
        "history": history,
        "losses": pd.concat(losses, ignore_index=True),
        "progress_measures": pd.concat(measures, ignore_index=True),
        "weight_norms": norms,
    }
    return {name: t if name == "history" else t.assign(run=run) for name, t in tables.items()}
