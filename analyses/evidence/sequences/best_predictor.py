"""What the best predictor there is says of repeated subsequences: the floor of each part's loss, `floors.csv`.

    python analyses/evidence/sequences/best_predictor.py

It knows how rows are made and nothing of where copies stand. Of every placement of the copies it keeps those that the
row so far agrees with, each weighted by how likely it made the row, and bets on what they say. Exact for each row; the
mean is over rows that are drawn, with its standard error.
"""

import itertools
from pathlib import Path

import numpy as np
import pandas as pd

from interp.runs.presets import sequences
from interp.tasks.sequences import SequencesConfig

N_ROWS = 4000


def placements(config: SequencesConfig) -> list[tuple[int, ...]]:
    """Where the copies begin, in order and without overlap."""
    m, n = config.repeated_length, config.n_copies
    n_items = config.length - n * (m - 1)
    return [
        tuple(item + copy * (m - 1) for copy, item in enumerate(chosen))
        for chosen in itertools.combinations(range(n_items), n)
    ]


def best_probabilities(tokens: np.ndarray, config: SequencesConfig) -> np.ndarray:
    """P(next token | row so far) of rows (row, position), for all tokens but the first: (row, position - 1, token)."""
    n_rows, length = tokens.shape
    found = np.zeros((n_rows, length - 1, config.vocabulary))
    total = np.zeros((n_rows, length - 1, 1))
    rows = np.arange(n_rows)
    for starts in placements(config):
        # The place in the first copy that each token repeats; -1 of a token that is free.
        source = np.full(length, -1)
        for start in starts[1:]:
            source[start : start + config.repeated_length] = np.arange(config.repeated_length) + starts[0]
        weight = np.ones(n_rows)
        for i in range(length - 1):
            if source[i] >= 0:
                # A token that is no free one is certain instead of one of the vocabulary.
                weight = weight * config.vocabulary * (tokens[:, i] == tokens[:, source[i]])
            if source[i + 1] >= 0:
                found[rows, i, tokens[:, source[i + 1]]] += weight
            else:
                found[:, i] += weight[:, None] / config.vocabulary
            total[:, i, 0] += weight
    return found / total


def floors(config: SequencesConfig, n_rows: int) -> pd.DataFrame:
    """Loss and accuracy of the best predictor by part; standard errors over rows."""
    task = SequencesConfig(**{**vars(config), "n_train": n_rows - 1, "n_test": 1}).task()
    best = best_probabilities(task.tokens.numpy(), config)
    example, position = task.example.numpy(), task.position.numpy()
    asked = best[example, position]
    loss = -np.log(asked[np.arange(len(asked)), task.labels.numpy()])
    is_right = asked.argmax(1) == task.labels.numpy()
    out = []
    for part, of_part in {"all": np.ones(len(loss), bool), **task.parts}.items():
        rows = pd.DataFrame({"row": example, "loss": loss, "accuracy": is_right})[np.asarray(of_part)]
        means = rows.groupby("row").mean()
        errors = means.std(ddof=1) / len(means) ** 0.5
        out.append(
            {
                "part": part, "n": len(rows), "loss": rows["loss"].mean(), "loss_error": errors["loss"],
                "accuracy": rows["accuracy"].mean(), "accuracy_error": errors["accuracy"],
            }
        )  # fmt: skip
    return pd.DataFrame(out)


if __name__ == "__main__":
    recipe = sequences()
    table = floors(recipe.task, N_ROWS)  # type: ignore[arg-type]
    table.to_csv(Path(__file__).parent / "floors.csv", index=False, float_format="%.6g")
