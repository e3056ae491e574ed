"""Why did it switch? What the evidence on one run supports, contradicts or leaves open.

One page (explain.html and explain.pdf): what happened on the run, what was changed in arms that were trained from its
checkpoints and what came of it, the scoreboard of theories, what is open and the command that would settle it, and how
it was made. The arms are those of a trial folder (`interp predict RUN`, `interp battery RUN`): the committed evidence
of the run where there is some, else trials/<run>. Without one the page rests on the checkpoints alone, and says so.

References: Platt 1964, "Strong inference"; Nosek et al. 2018, "The preregistration revolution".
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from interp.analyses import of_sweep
from interp.ground.provenance import versions
from interp.report import pictures
from interp.report.account import Account, account
from interp.report.page import page
from interp.report.paper import paper
from interp.report.trial import (
    OBSERVED,
    check_run,
    holds_trial,
    lock_in,
    no_trial,
    read_observed,
    read_trial,
    runs_of,
    texts_of,
)
from interp.tables.folder import Tables, write_tables
from interp.theories import ALL

EVIDENCE = Path(__file__).parents[2] / "analyses" / "evidence"
BUNDLED_RUNS = Path(__file__).parents[2] / "checkpoints"
TRIALS = Path("trials")


def compute(run, device: str, trial: Path | None = None, sweeps: Sequence[str] = ()) -> Tables:
    """The tables that predictions need: of the run itself, and of the trial.

    What the trial holds of the run, to its last checkpoint, is taken as it is. The rest is measured, slow probes only
    where they were measured before, and kept in the trial folder: the page can be drawn from it alone from then on.

    Args:
        trial: its folder; None for the run's own, if it has one.
        sweeps: that say something of the run's recipe or others, as `interp.sweeps.gathered.gathered` takes them.

    Raises:
        ValueError: if the folder holds no trial, an edited lock, or one of another run; if the sweeps say nothing.
    """
    folder = trial_folder(run.name, trial)
    if (
        folder is not None
        and folder == EVIDENCE / run.name
        and trial is None
        and not _is_of(read_trial(folder), run)
    ):
        # Someone's own run has the name of ours.
        folder = trial_folder(run.name, trial, with_evidence=False)
    tables = no_trial() if folder is None else read_trial(folder)
    if folder is not None:
        check_run(runs_of(tables), run.name, "the run")
        _check_config(tables, run)
    known, about = (folder and read_observed(folder)) or ({}, {})
    if about.get("step", run.steps[-1]) != run.steps[-1]:
        # The run has gone on since.
        known = {}
    new = measured(run, device, set(known))
    if sweeps:
        from interp.sweeps.gathered import gathered

        # What another sweep said before is not mixed with it.
        known = {name: x for name, x in known.items() if name != of_sweep.TABLE}
        new[of_sweep.TABLE] = of_sweep.sweep_runs(gathered(sweeps[0], sweeps[1:]), run.config)
    observed = {**new, **known}
    if folder is not None and set(new) - set(known):
        from interp.measurement.answers import with_answers

        observed = with_answers(run, observed, device)
        of_run = {"run": run.name, "step": run.steps[-1], "unit": run.unit, "versions": versions()}
        write_tables(folder / OBSERVED, observed, of_run)
    return {**observed, **tables}


def trial_folder(name: str | None, trial: Path | None, *, with_evidence: bool = True) -> Path | None:
    """Where the trial of a run of this name lies, None if there is none; with the committed evidence, that first."""
    if trial is not None or name is None:
        return trial
    if with_evidence and holds_trial(EVIDENCE / name):
        return EVIDENCE / name
    return TRIALS / name if (TRIALS / name).is_dir() else None


def probes_needed() -> list[str]:
    """The probes that predictions about checkpoints name in their commands, each once."""
    # Of a sweep nothing is measured here.
    commands = [
        p.command for theory in ALL for p in theory.predictions if not p.arms and "--probes" in p.command
    ]
    named = [re.search(r"--probes (\S+)", command) for command in commands]
    return list(dict.fromkeys(name for match in named if match for name in match[1].split(",")))


def measured(run, device: str, known: set[str]) -> Tables:
    """The tables of these probes that are not known yet."""
    from functools import partial

    from interp.measurement.measure import measure
    from interp.measurement.standard import SLOW
    from interp.probes import progress_measures
    from interp.tables.key_frequencies import followed_frequencies

    names = [name for name in probes_needed() if name not in known]
    quick = [name for name in names if name not in SLOW and name != "progress_measures"]
    # The key set of the progress measures is read off the first two.
    wanted = dict.fromkeys([*quick, *(["logit_spectrum", "losses"] if "progress_measures" in names else [])])
    tables = measure(run, list(wanted), device=device)
    if "progress_measures" in names and len(tables.get("logit_spectrum", ())):
        frequencies, _ = followed_frequencies(tables)
        probe = partial(progress_measures, frequencies=frequencies)
        tables |= measure(run, {"progress_measures": probe}, device=device)
    for name in names:
        if name in SLOW and (steps := kept_steps(run, name, device)):
            tables |= measure(run, [name], steps, device=device)
    return tables


def kept_steps(run, name: str, device: str) -> list[int]:
    """The steps at which a probe was measured before."""
    from interp import probes
    from interp.measurement.cache import CacheKey, Kept

    kept = Kept(run, run.steps, CacheKey.of(run, name, probes.named(name), device))
    return [step for step in run.steps if not kept.lacks(step)]


def found(path: Path | None, trial: Path | None = None) -> tuple[Tables, dict[str, Any]] | None:
    """The tables of a trial folder that holds those of its run too, and what they are of; without torch.

    None where there is no such folder. The committed evidence is that of a bundled run: without torch the config of
    another run of that name cannot be compared.

    Args:
        path: of the run; None for whatever the trial is of.

    Raises:
        ValueError: as `read_trial`, or if the trial is of a run of another name.
    """
    name = None if path is None else path.name
    folder = trial_folder(name, trial, with_evidence=path is not None and path.parent == BUNDLED_RUNS)
    if folder is None:
        return None
    tables = read_trial(folder)
    check_run(runs_of(tables), name, "the run that is named")
    observed = read_observed(folder)
    if observed is None:
        if trial is not None:
            raise ValueError(
                f"{folder} holds no tables of the run itself ({OBSERVED}/). Leave out --draw-only, so that they are "
                "measured."
            )
        return None
    return {**observed[0], **tables}, observed[1]


def _check_config(tables: Tables, run) -> None:
    """Refuse a trial of another run that has the same name.

    Raises:
        ValueError: if the lock was written for another config.
    """
    if not _is_of(tables, run):
        raise ValueError(
            f"A report needs tables of one run: the lock was written for a run {run.name!r} of another config than "
            f"that of {run.path}. Name that run, or the folder of its own trial (--trial)."
        )


def _is_of(tables: Tables, run) -> bool:
    """Whether a trial is of a run of this config, as far as its lock says."""
    from interp.runs.belonging import belonging

    lock = lock_in(texts_of(tables), "the trial")
    parents = () if lock is None else lock.run.get("parents", (lock.run,))
    decides = [parent.get("decides") for parent in parents if parent.get("name") == run.name]
    return not decides or None in decides or belonging("run.json", run.config)["run"] in decides


def draw(tables: Tables) -> Figure:
    """The scoreboard."""
    return pictures.scoreboard(account(tables, {}))


def summarize(tables: Tables) -> dict[str, Any]:
    return summary_of(account(tables, {}))


def summary_of(told: Account) -> dict[str, Any]:
    """The lock, and a record a prediction and kind of pairs."""
    return {
        "lock": None if told.lock is None else {"hash": told.lock.hash, "time": told.lock.time},
        "n_trained": told.n_trained,
        "theories": [row.row for row in told.rows],
    }


def pages(tables: Tables, about: Mapping[str, Any]) -> tuple[Iterator[tuple[str, bytes]], dict[str, Any]]:
    """The files of the page by their endings, and the summary: all from one account."""
    told = account(tables, about)
    return _files(told), summary_of(told)


def _files(told: Account) -> Iterator[tuple[str, bytes]]:
    """The page first: someone waits for it, and the text of the PDF takes as long as all the rest."""
    drawn = pictures.main_pictures(told)
    yield ".html", page(told, drawn).encode()
    image = BytesIO()
    drawn["scoreboard"].savefig(image, format="png", dpi=200, metadata={"Software": None})
    yield ".png", image.getvalue()
    yield ".pdf", paper(told, drawn)
