"""How the evidence of a page was made: lock, arms, pairs, budgets, thresholds, versions."""

from interp.ground.plain_text import listed, number_of
from interp.report.account import Account
from interp.report.sentences import OBSERVED, Sentence
from interp.theories.arms_table import BRANCH, named
from interp.theories.lock import Lock
from interp.theories.verdict import EXPLORATORY


def made(account: Account) -> dict[str, str]:
    """What was done, a line a fact; only what is known."""
    lock, arms = account.lock, account.arms
    found = {"Run": ", ".join((account.run, *account.others))}
    if lock is not None:
        found |= {
            "Lock": f"{lock.hash}",
            "Locked": f"{lock.time}, grokscope {lock.code}, commit {lock.commit or 'not known'}",
            "Predicted": f"{number_of(len(lock.predictions), 'prediction')}, {len(lock.primary)} of them primary",
            "Locked branch steps": ", ".join(map(str, lock.branch_steps)) + _not_half_formed(lock),
            "Events": "; ".join(f"{k} {', '.join(f'{x:g}' for x in v)}" for k, v in lock.thresholds.items()),
        }
    else:
        found["Lock"] = "none"
    if len(arms):
        names = dict.fromkeys(named(arm, dose) for arm, dose in zip(arms["arm"], arms["dose"], strict=True))
        pairs = [
            f"{number_of(part['pair'].nunique(), 'pair')} ({kind})" for kind, part in arms.groupby("kind")
        ]
        found |= {
            "Trained": f"{account.n_trained} branches of {number_of(len(names), 'arm')}: {', '.join(names)}",
            "Branched at": ", ".join(map(str, sorted(set(arms["branch_step"].astype(int))))),
            "Pairs": ", ".join(pairs),
            "Budget": f"up to {arms['budget'].max():g} steps since the branch, {_steps(account):.0f} in all",
        }
    versions = account.trial.get("versions") or account.versions
    if versions:
        found["Versions"] = ", ".join(f"{name} {version}" for name, version in versions.items())
    found["Again"] = account.command("interp predict RUN; interp battery RUN; interp report RUN")
    return found


def _not_half_formed(lock: Lock) -> str:
    """Of which runs the arms leave elsewhere than was meant, in words."""
    names = lock.not_half_formed
    return f"; the circuit is not half formed there in {', '.join(names)}" if names else ""


def _steps(account: Account) -> float:
    """Steps that were trained: each branch to its budget."""
    return account.arms.groupby(BRANCH, dropna=False)["budget"].max().sum()


def tried_as(account: Account) -> list[Sentence]:
    """How far what was trained is what was locked."""
    if not account.n_trained:
        return [Sentence("Nothing was trained.", OBSERVED)]
    if account.lock is None:
        return [Sentence("There is no lock: everything that was trained is exploratory.", EXPLORATORY)]
    found = []
    n_pairs = int(account.arms[account.arms["kind"] == "jitter"]["pair"].nunique())
    if n_pairs > account.lock.n_pairs:
        found.append(
            Sentence(
                f"The lock says {number_of(account.lock.n_pairs, 'pair')}, and {n_pairs} were trained: locked verdicts "
                "rest on the former, and what all of them say stands beside them.",
                EXPLORATORY,
            )
        )
    if others := beside_the_lock(account):
        found.append(Sentence(f"Trained beside the lock: {listed(others)}.", EXPLORATORY))
    return found


def locked_names(lock: Lock) -> set[str]:
    """The names of the arms of a lock; none where it does not say in a way that is known."""
    arms = [entry.get("arm") for entry in lock.arms if isinstance(entry, dict)]
    return {str(arm.get("name")) for arm in arms if isinstance(arm, dict)}


def beside_the_lock(account: Account) -> list[str]:
    """The arms that were trained and are not in the lock; none where the lock does not say in a way that is known."""
    assert account.lock is not None
    locked = locked_names(account.lock)
    return [name for name in dict.fromkeys(account.arms["arm"]) if locked and name not in locked]
