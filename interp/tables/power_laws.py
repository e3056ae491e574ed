"""How long a run takes to generalise after it memorized, as a power of a field: with censored runs, and with intervals.

ln(delay) is taken as normal around a + b ln(x). A run that had not generalised by its end says that its delay is
longer, one whose evaluations leave a bracket that it lies within: both enter the likelihood as they are
(Tobin 1958; the log-normal model of accelerated failure times). Leaving censored runs out would flatten every law.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import optimize, stats

from interp.tables.shares import LEVEL, groups, is_numeric
from interp.tables.wording import setting_text

# Of the usual width of a bracket, below which the scatter is not told by the runs.
LEAST_SCATTER = 0.25


@dataclass(frozen=True)
class Fit:
    """A regression of ln(time), some of whose times are known by bounds alone.

    Attributes:
        coefficients: (term).
        errors: (term) standard errors, from the curvature of the likelihood.
        scatter: standard deviation of ln(time) around the law.
        log_likelihood: at its largest.
        n, n_censored: runs, and those of them without an upper bound.
    """

    coefficients: np.ndarray
    errors: np.ndarray
    scatter: float
    log_likelihood: float
    n: int
    n_censored: int

    def interval(self, term: int) -> tuple[float, float]:
        """Of a coefficient, at the 95 % level, by Student's t with the runs that have come."""
        freedom = max(self.n - self.n_censored - len(self.coefficients), 1)
        reach = stats.t.ppf((1 + LEVEL) / 2, freedom) * self.errors[term]
        return self.coefficients[term] - reach, self.coefficients[term] + reach


def censored_fit(terms: np.ndarray, low: np.ndarray, high: np.ndarray) -> Fit:
    """The likeliest coefficients of terms @ coefficients for times that are known to lie between low and high.

    Args:
        terms: (run, term), a column of ones among them.
        low, high: (run) logarithms of the bounds; -inf and inf where there is none.

    Raises:
        ValueError: if fewer runs have come than there are terms and one more, the terms are not independent of each
            other among those, or the likelihood does not tell the coefficients: brackets are wide beside the scatter.
    """
    has_come = np.isfinite(high)
    n_terms = terms.shape[1]
    if has_come.sum() < n_terms + 1 or np.linalg.matrix_rank(terms[has_come]) < n_terms:
        raise ValueError(f"A fit of {n_terms} terms needs more runs that have come, got {has_come.sum()}.")
    middle = np.where(np.isfinite(low) & has_come, (low + np.where(has_come, high, 0)) / 2, low)
    middle = np.where(np.isfinite(middle), middle, high)
    start = np.linalg.lstsq(terms, middle, rcond=None)[0]
    sd = max(float(np.std(middle - terms @ start)), 0.05)

    def cost(parameters: np.ndarray) -> float:
        return -_log_likelihood(terms, low, high, parameters[:-1], np.exp(parameters[-1]))

    found = optimize.minimize(cost, np.append(start, np.log(sd)), method="BFGS")
    widths = (high - low)[has_come & np.isfinite(low)]
    if len(widths) and np.exp(found.x[-1]) < LEAST_SCATTER * np.median(widths):
        raise ValueError(
            "A fit needs times that are known more closely than they scatter: a law runs through nearly all brackets."
        )
    errors = _errors(cost, found.x)
    # The likeliest scatter is that of n times; what is left for it to show is fewer.
    errors *= np.sqrt(has_come.sum() / (has_come.sum() - n_terms))
    return Fit(
        found.x[:-1],
        errors[:-1],
        float(np.exp(found.x[-1])),
        -float(found.fun),
        len(terms),
        int((~has_come).sum()),
    )


def _errors(cost: Callable[[np.ndarray], float], x: np.ndarray) -> np.ndarray:
    """Standard errors from the curvature of the likelihood.

    Raises:
        ValueError: if it is not curved in all directions.
    """
    curvature = _hessian(cost, x)
    spread = np.linalg.eigvalsh(curvature)
    if not np.isfinite(curvature).all() or spread[0] <= 1e-9 * spread[-1]:
        raise ValueError(
            "A fit needs runs that tell its coefficients apart, and the likelihood of these is flat."
        )
    return np.sqrt(np.diag(np.linalg.inv(curvature)))


def _log_likelihood(
    terms: np.ndarray, low: np.ndarray, high: np.ndarray, coefficients: np.ndarray, sd: float
) -> float:
    centre = terms @ coefficients
    below, above = (low - centre) / sd, (high - centre) / sd
    # In the tail where both are small, so that nothing cancels.
    is_upper = below > 0
    one = np.where(is_upper, -above, below)
    two = np.where(is_upper, -below, above)
    log_one, log_two = stats.norm.logcdf(one), stats.norm.logcdf(two)
    is_exact = low == high
    with np.errstate(divide="ignore", invalid="ignore"):
        between = log_two + np.log1p(-np.exp(np.minimum(log_one - log_two, 0)))
    exact = stats.norm.logpdf(np.where(np.isfinite(below), below, 0.0)) - np.log(sd)
    total = np.where(is_exact, exact, between).sum()
    return float(total) if np.isfinite(total) else -1e300


def _hessian(cost: Callable[[np.ndarray], float], x: np.ndarray) -> np.ndarray:
    """Second derivatives by central differences: the likelihood has no kinks, and its digits suffice for errors."""
    h = 1e-3 * np.maximum(np.abs(x), 1.0)
    n = len(x)
    second = np.empty((n, n))
    for i in range(n):
        for j in range(n):
            a, b = np.eye(n)[i] * h, np.eye(n)[j] * h
            ends = cost(x + a + b) - cost(x + a - b) - cost(x - a + b) + cost(x - a - b)
            second[i, j] = ends / (4 * h[i] * h[j])
    return second


def delay_bounds(runs: pd.DataFrame) -> pd.DataFrame:
    """Those of the runs that memorized, with ln of the bounds of their delay in `low` and `high`.

    A delay that may be none at all has no lower bound; one that has not come has no upper one. Runs that generalise
    before they memorize, or with it, take at most as long as lies between two evaluations.
    """
    known = runs[runs["memorization_step"].notna() & runs["delay_low"].notna()]
    low = known["delay_low"].to_numpy(float)
    high = known["delay_high"].astype("float64").fillna(np.inf).to_numpy()
    high = np.maximum(high, 1.0)
    return known.assign(
        low=np.log(np.where(low > 0, low, 1.0)) + np.where(low > 0, 0.0, -np.inf), high=np.log(high)
    )


def power_laws(runs: pd.DataFrame, fields: Sequence[str]) -> pd.DataFrame:
    """ln(delay) = a + exponent ln(field), all else equal; and of all fields together.

    Args:
        runs: as `interp.tables.shares`; the fields that hold positive numbers are fitted.

    Columns: field, setting (of the other fields; "all settings" where the exponents of all are fitted together, each
    setting of fields without a logarithm with a level of its own), exponent, low, high (95 %), at (value at which the
    law says `delay` steps), delay, scatter (sd of ln delay), n, n_censored, n_values (of the field, with runs that have
    come), p_curvature (of a likelihood-ratio test against a law with a squared logarithm: small where it is no power
    law).

    What cannot be fitted, as few runs have come, has no row. Runs count as independent: those of one seed share their
    initialization and split, so that intervals are rather too narrow.
    """
    known = delay_bounds(runs)
    numeric = [field for field in fields if is_numeric(runs, field)]
    rows = []
    for field in numeric:
        for values, part in groups(known, [name for name in fields if name != field]):
            rows += _one_law(part, field, setting_text(values))
    if len(numeric) > 1:
        rows += _all_laws(known, numeric, [name for name in fields if name not in numeric])
    columns = [
        "field", "setting", "exponent", "low", "high", "at", "delay", "scatter", "n", "n_censored", "n_values",
        "p_curvature",
    ]  # fmt: skip
    return pd.DataFrame(rows, columns=columns)


def _one_law(part: pd.DataFrame, field: str, setting: str) -> list[dict]:
    x = np.log(part[field].to_numpy(float))
    low, high = part["low"].to_numpy(), part["high"].to_numpy()
    n_values = len(np.unique(x[np.isfinite(high)]))
    if n_values < 2:
        return []
    centre = float(x.mean())
    terms = np.stack([np.ones_like(x), x - centre], axis=1)
    try:
        fit = censored_fit(terms, low, high)
    except ValueError:
        return []
    law = _law(fit, 1, field, setting, n_values) | {
        "at": float(np.exp(centre)),
        "delay": float(np.exp(fit.coefficients[0])),
    }
    if n_values > 2:
        curved = np.column_stack([terms, (x - centre) ** 2])
        try:
            gain = 2 * (censored_fit(curved, low, high).log_likelihood - fit.log_likelihood)
            law["p_curvature"] = float(stats.chi2.sf(max(gain, 0.0), 1))
        except ValueError:
            pass
    return [law]


def _all_laws(known: pd.DataFrame, fields: Sequence[str], others: Sequence[str]) -> list[dict]:
    """The exponents of all fields together; settings of fields that have no logarithm have a level each."""
    varying = [field for field in fields if known[field].nunique() > 1]
    x = np.log(known[varying].to_numpy(float)) if len(known) else np.empty((0, len(varying)))
    low, high = known["low"].to_numpy(), known["high"].to_numpy()
    if not len(x) or not varying:
        return []
    of = [repr(key) for key in known[list(others)].itertuples(index=False, name=None)]
    levels = pd.get_dummies(pd.Series(of), drop_first=True, dtype=float).to_numpy()
    try:
        fit = censored_fit(np.column_stack([np.ones(len(x)), x - x.mean(0), levels]), low, high)
    except ValueError:
        return []
    come = known[np.isfinite(high)]
    return [_law(fit, i + 1, field, "all settings", come[field].nunique()) for i, field in enumerate(varying)]


def _law(fit: Fit, term: int, field: str, setting: str, n_values: int) -> dict:
    ends = fit.interval(term)
    return {
        "field": field, "setting": setting, "exponent": fit.coefficients[term], "low": ends[0], "high": ends[1],
        "at": np.nan, "delay": np.nan, "scatter": fit.scatter, "n": fit.n, "n_censored": fit.n_censored,
        "n_values": n_values, "p_curvature": np.nan,
    }  # fmt: skip
