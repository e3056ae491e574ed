"""Branch points by name, where pairs are runs of several seeds and leave at steps of their own."""

import pandas as pd

# What a table calls the point at which most arms leave.
MAIN_POINT = "main"


def aligned_steps(rows: pd.DataFrame, point: pd.Series) -> pd.Series:
    """The branch step of each row, the same in all pairs for one point: that of the point's first row.

    Where another point has that number already it is the next one: it tells points apart, and no time is counted from
    it.

    Raises:
        ValueError: if a pair leaves at two steps at one point.
    """
    steps = rows.assign(point=point).groupby(["pair", "point"])["branch_step"].nunique()
    if (steps > 1).any():
        pair, name = steps[steps > 1].index[0]
        raise ValueError(
            f"An arms table needs one branch step a pair and point, got {steps.max()} of pair {pair!r} at point "
            f"{name!r}. Give points of different steps different names."
        )
    found: dict[str, int] = {}
    for name in dict.fromkeys(point):
        step = int(rows.loc[(point == name).to_numpy(), "branch_step"].iloc[0])
        while step in found.values():
            step += 1
        found[name] = step
    return point.map(found)
