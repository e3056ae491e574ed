"""The page: one HTML file that stands by itself, without network, script or other files. All text in it is escaped."""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from html import escape
from io import BytesIO
from itertools import groupby

import pandas as pd
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

from interp.figures.scoreboard import VERDICTS
from interp.ground.plain_text import number_of, visible
from interp.report import pictures
from interp.report.account import Account
from interp.report.changes import changed
from interp.report.looks import SHEET
from interp.report.made import made, tried_as
from interp.report.meanings import MEANINGS
from interp.report.open_questions import Open, called, left_open
from interp.report.sentences import Sentence, answer, happened, number, plain, rival_said, spanned, within
from interp.report.small_curves import small_curves
from interp.theories import ALL
from interp.theories.arms_table import named
from interp.theories.prediction import OF_SWEEP
from interp.theories.statistic import THRESHOLD, described
from interp.theories.verdict import Verdict

SECTIONS = {
    "answer": "What the evidence says",
    "happened": "What happened",
    "changed": "What was changed, and what came of it",
    "scoreboard": "The scoreboard",
    "open": "What is open",
    "made": "How this was made",
}


TURNING = (
    "Steps from the branch to the event, beside the sum of the angles by which the updates turned the weights (all of "
    "them, as one vector) until then. Rings: pairs; bars: their median. Where arms differ in steps and not in the "
    "angle, what was changed is how fast weights turn."
)


def page(account: Account, drawn: Mapping[str, Figure] | None = None) -> str:
    """The whole page.

    Args:
        drawn: of `interp.report.pictures.main_pictures`, where they are drawn already.
    """
    drawn = pictures.main_pictures(account) if drawn is None else drawn
    title = f"Why did it switch? {account.title}"
    writers: Mapping[str, Callable[[Account, Mapping[str, Figure]], str]] = {
        "answer": _answer,
        "happened": _happened,
        "changed": _changed,
        "scoreboard": _scoreboard,
        "open": _open,
        "made": _made,
    }
    links = " ".join(f'<a href="#{key}">{_text(heading)}</a>' for key, heading in SECTIONS.items())
    body = "\n".join(
        f'<section id="{key}" aria-labelledby="{key}-title"><h2 id="{key}-title">{i}. {_text(SECTIONS[key])}</h2>\n'
        f"{write(account, drawn)}</section>"
        for i, (key, write) in enumerate(writers.items(), 1)
    )
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{_text(title)}</title>\n<style>{SHEET}</style>\n</head>\n<body>\n<header><h1>{_text(title)}</h1>\n"
        '<p class="soft">Theories of grokking, each tested on this run in the same way. The mark behind a sentence '
        f'says what it rests on.</p>\n<nav aria-label="Sections">{links}</nav></header>\n<main>\n{body}\n</main>\n'
        "</body>\n</html>\n"
    )


def _text(value: object) -> str:
    return escape(visible(str(value)))


def _said(sentences: Iterable[Sentence]) -> str:
    """Paragraphs; sentences that tell a verdict as a list of them."""
    found: list[str] = []
    for is_list, group in groupby(sentences, key=lambda s: s.verdict is not None):
        tag = "li" if is_list else "p"
        lines = [
            f"<{tag}>{_badge(s.verdict) if s.verdict else ''}{_text(s.text)} {_status(s.status)}</{tag}>"
            for s in group
        ]
        found += ['<ul class="verdicts">', *lines, "</ul>"] if is_list else lines
    return "\n".join(found)


def _status(status: str) -> str:
    return f'<span class="status">{_text(status)}</span>'


def _badge(verdict: str) -> str:
    sign = VERDICTS[verdict][2]
    return f'<span class="verdict {verdict.replace(" ", "-")}">{sign} {_text(verdict)}</span>'


def _figure(shown: str, what: str) -> str:
    """A drawing within the page; it scrolls where the screen is narrower than it can be read."""
    return (
        f'<figure><div class="wide" tabindex="0" role="group" aria-label="{_text(what)}">{shown}</div>'
        f"<figcaption>{_text(what)}</figcaption></figure>"
    )


def svg(figure: Figure, what: str) -> str:
    buffer = BytesIO()
    # Straight to the canvas: savefig would draw everything twice.
    FigureCanvasSVG(figure).print_svg(buffer, metadata={"Date": None, "Creator": None})
    drawn = buffer.getvalue().decode()
    drawn = drawn[drawn.index("<svg") :]
    return drawn.replace("<svg", f'<svg role="img" aria-label="{_text(what)}"', 1)


def _table(
    columns: Sequence[str], rows: Iterable[Sequence[object]], is_marked: Callable[[int], bool] | None = None
) -> str:
    """Rows of texts and numbers; numbers to the right."""
    head = "".join(f'<th scope="col">{_text(name)}</th>' for name in columns)
    body = []
    for i, row in enumerate(rows):
        cells = "".join(
            f'<td class="number">{_text(number(x))}</td>' if isinstance(x, float) else f"<td>{_text(x)}</td>"
            for x in row
        )
        mark = ' class="failed"' if is_marked and is_marked(i) else ""
        body.append(f"<tr{mark}>{cells}</tr>")
    return (
        f'<div class="wide" tabindex="0"><table><thead><tr>{head}</tr></thead>'
        f"<tbody>{''.join(body)}</tbody></table></div>"
    )


def _answer(account: Account, _: Mapping[str, Figure]) -> str:
    return _said(answer(account))


def _happened(account: Account, drawn: Mapping[str, Figure]) -> str:
    what = (
        "Losses, progress measures and norm of the run itself; bands are the brackets in which each phase begins. "
        "Below: the bracket in which each thing began, the earliest on top."
    )
    return _said(happened(account)) + _figure(svg(drawn["timeline"], what), what)


def _changed(account: Account, drawn: Mapping[str, Figure]) -> str:
    said = _said(changed(account))
    if not len(account.effects):
        return said
    what = (
        "Steps from the branch until test accuracy reaches 0.95, over those of the arm's reference in the same pair: "
        "median and 95 % interval. Grey: ratios that count as equal."
    )
    shown = _figure(svg(drawn["arms"], what), what)
    if "turning" in drawn:
        shown += _figure(svg(drawn["turning"], TURNING), TURNING)
    return said + shown + _effects(account) + _checks(account.checks)


def _effects(account: Account) -> str:
    columns = (
        "arm over its reference",
        "verdict",
        "ratio",
        "low",
        "high",
        "pairs",
        "censored",
        "sign test p",
        "why",
    )
    names = ["label", "verdict", "ratio", "low", "high", "n_pairs", "n_censored", "sign_p", "why"]
    rows = account.effects[names].itertuples(index=False)
    shown = _table(columns, rows)
    return f"<details><summary>All effects as a table ({len(account.effects)})</summary><div>{shown}</div></details>"


def _checks(checks: pd.DataFrame) -> str:
    """The manipulation checks by arm, those that failed first and in sight."""
    if not len(checks):
        return "<p>No manipulation check was recorded.</p>"
    told = check_rows(checks)
    rows = list(told.itertuples(index=False, name=None))
    failed = [row for row in rows if row[5] != "yes"]
    columns = ("arm", "check", "pairs", "worst found", "allowed", "holds")
    said = (
        f"{number_of(len(failed), 'check')} failed: what such an arm did counts for nothing."
        if failed
        else "No manipulation check failed."
    )
    shown = _table(columns, failed, lambda _: True) if failed else ""
    return (
        f"<h3>Did the arms do what they say?</h3><p>{_text(said)}</p>{shown}<details><summary>All manipulation checks "
        f"({len(rows)})</summary><div>{_table(columns, rows, lambda i: rows[i][5] != 'yes')}</div></details>"
    )


def check_rows(checks: pd.DataFrame) -> pd.DataFrame:
    """A row an arm, dose and check; its index is the place of the worst of its rows among the checks.

    Columns:
        label: of the arm at its dose.
        check, pairs: its name; over how many pairs, as text.
        found, allowed: the worst value, and what is allowed.
        holds: "yes", or in how many it does not.
    """
    checks = checks.reset_index(drop=True)
    found, places = [], []
    for (arm, dose, check), part in checks.groupby(["arm", "dose", "check"], dropna=False, sort=False):
        holds = part["holds"].astype(str).str.lower() == "true"
        # What is not a number is as far off as can be.
        gaps = (part["found"] - part["allowed"]).abs().fillna(math.inf)
        # Of those that fail the furthest from what is allowed, else the nearest to it: a bound may be on either side.
        worst = gaps[~holds].idxmax() if not holds.all() else gaps.idxmin()
        said = "yes" if holds.all() else f"no, in {int((~holds).sum())} of {len(part)}"
        found.append(
            (
                named(arm, dose),
                str(check),
                str(part["pair"].nunique()),
                float(part.loc[worst, "found"]),
                float(part.loc[worst, "allowed"]),
                said,
            )
        )
        places.append(worst)
    return pd.DataFrame(found, places, ["label", "check", "pairs", "found", "allowed", "holds"])


def _scoreboard(account: Account, drawn: Mapping[str, Figure]) -> str:
    what = (
        "A row a theory, a column the arm that a prediction is about; a sign a prediction. What each sign means stands "
        "below it, each prediction below that."
    )
    by_theory: dict[str, list[Verdict]] = {}
    for row in account.rows:
        by_theory.setdefault(row.prediction.theory, []).append(row)
    known = {theory.name: theory for theory in ALL}
    parts = []
    for name, rows in by_theory.items():
        about = (
            f'<p class="soft">{_text(known[name].statement)} ({_text(known[name].source)})</p>'
            if name in known
            else ""
        )
        parts.append(
            f"<h3>{_text(plain(name).capitalize())}</h3>{about}{''.join(_row(row, account) for row in rows)}"
        )
    intro = (
        "<p>No score adds the verdicts up: each stands by itself. Every prediction opens, with the mouse or with "
        "Tab and Enter.</p>"
    )
    return _figure(svg(drawn["scoreboard"], what), what) + intro + "".join(parts)


def _row(row: Verdict, account: Account) -> str:
    """One prediction, that opens what it rests on."""
    of = row.prediction
    marks = ' <span class="primary">primary</span>' if of.primary else ""
    value = f" {_text(spanned(row))}" if row.found is not None else ""
    found = pictures.curves_of(row, account)
    what = f"{plain(of.name)}: arms and control since the branch; every pair thin, their median thick."
    curves = f"<p>{_text(_no_curves(row))}</p>"
    if found is not None:
        drawn = small_curves(found.table, found.quantities, found.lines, what, across=THRESHOLD)
        curves = _figure(drawn, what)
    return (
        f"<details><summary>{_badge(row.verdict)}{_text(plain(of.name))}{value}{marks} {_status(row.status)}</summary>"
        f"<div>{curves}{_facts(row, account)}</div></details>"
    )


def _no_curves(row: Verdict) -> str:
    if row.prediction.arms:
        return "Its arms were not trained, or left no curves."
    what = "the runs of sweeps" if row.prediction.command == OF_SWEEP else "checkpoints of the run"
    return f"It rests on {what}: there are no arms to draw."


def _facts(row: Verdict, account: Account) -> str:
    of = row.prediction
    guards = [f"{guard.says} ({described(guard.statistic)}: {within(guard.region)})" for guard in of.guards]
    facts = {
        "Verdict": f"{row.verdict}. {row.why}",
        "Statement": of.statement,
        "Source": of.source,
        "Measured as": described(of.statistic),
        "Requires": f"{within(of.required)}; forbids {within(of.forbidden)}",
        "Rival": f"{of.rival}: {rival_said(of)}",
        "Guards": "; ".join(guards) or ("the manipulation checks of its arms" if of.arms else "none"),
        "Identified by": of.identification,
        "Assumes": of.assumptions,
        "Stress test": of.stress_test,
        "Does not show": of.does_not_show,
        "By other events": "; ".join(other.said for other in row.elsewhere) or "there are none",
        "What would change it": account.command(row.would_change),
    }
    return (
        f"<dl>{''.join(f'<dt>{_text(name)}</dt><dd>{_text(text)}</dd>' for name, text in facts.items())}</dl>"
    )


def _open(account: Account, _: Mapping[str, Figure]) -> str:
    found = left_open(account)
    if not found:
        return "<p>Nothing is open: every prediction has a verdict.</p>"
    return "".join(map(_open_item, found))


def _open_item(item: Open) -> str:
    command = f"<p><code>{_text(item.command)}</code></p>" if item.command else ""
    rows = "".join(
        f"<li>{_text(called(row))} ({_text(row.verdict)}{', primary' if row.prediction.primary else ''}): "
        f"{_text(row.would_change if row.verdict == 'undecided' else row.why)} {_status(row.status)}</li>"
        for row in item.rows
    )
    counted = number_of(len(item.rows), "prediction")
    return (
        f"<h3>{_text(item.why)}</h3>{command}<details><summary>{counted}: "
        f"{_text(', '.join(dict.fromkeys(plain(r.prediction.theory) for r in item.rows)))}</summary>"
        f"<div><ul>{rows}</ul></div></details>"
    )


def _made(account: Account, _: Mapping[str, Figure]) -> str:
    facts = "".join(f"<dt>{_text(name)}</dt><dd>{_text(value)}</dd>" for name, value in made(account).items())
    words = "".join(f"<dt>{_text(name)}</dt><dd>{_text(value)}</dd>" for name, value in MEANINGS.items())
    return f"{_said(tried_as(account))}<dl>{facts}</dl><h3>What the words mean</h3><dl>{words}</dl>"
