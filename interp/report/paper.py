"""The page on paper: the same sentences, figures and predictions as a PDF, every line within its page."""

import textwrap
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO

from matplotlib.backends.backend_pdf import FigureCanvasPdf, PdfPages
from matplotlib.figure import Figure

from interp.figures import style
from interp.figures.scoreboard import VERDICTS
from interp.ground.plain_text import visible
from interp.report import pictures
from interp.report.account import Account
from interp.report.changes import changed
from interp.report.made import made, tried_as
from interp.report.meanings import MEANINGS
from interp.report.open_questions import called, left_open
from interp.report.page import SECTIONS, check_rows
from interp.report.sentences import Sentence, answer, happened, number, rival_said, spanned, within
from interp.theories.statistic import described
from interp.theories.verdict import Verdict

WIDTH, HEIGHT, MARGIN = 8.27, 11.69, 0.75  # inches: A4
SPACING = 1.38
# Of the mean width of a letter of the font, over its size, in wide words.
LETTER = 0.56


@dataclass(frozen=True)
class Line:
    """One line of text: size in points, what is above it in lines, and how far it is moved in, in inches."""

    text: str
    size: float = 8.0
    above: float = 0.0
    inset: float = 0.0
    weight: str = "normal"
    colour: str = "0.1"


def paper(account: Account, drawn: Mapping[str, Figure] | None = None) -> bytes:
    """The bytes of the PDF; equal accounts give equal bytes.

    Args:
        drawn: of `interp.report.pictures.main_pictures`, where they are drawn already.
    """
    drawn = pictures.main_pictures(account) if drawn is None else drawn
    buffer, title = BytesIO(), f"Why did it switch? {account.title}"
    with PdfPages(buffer, metadata={"CreationDate": None, "Title": title}) as file:
        for part in _parts(account, drawn):
            for sheet in [part] if isinstance(part, Figure) else sheets(part):
                # Straight to the canvas: savefig would draw everything twice.
                FigureCanvasPdf(sheet).print_pdf(file)
    return buffer.getvalue()


def _parts(account: Account, drawn: Mapping[str, Figure]) -> Iterator[Figure | list[Line]]:
    """Text and figures in their order; a figure has a page of its own size."""
    title = paragraph(f"Why did it switch? {account.title}", size=14.0, weight="bold")
    yield [*title, *_section("answer", answer(account)), *_section("happened", happened(account))]
    yield drawn["timeline"]
    changes = _section("changed", changed(account))
    if len(account.checks):
        changes += _checks(account)
    yield changes
    if "arms" in drawn:
        yield drawn["arms"]
    if "turning" in drawn:
        yield drawn["turning"]
    yield drawn["scoreboard"]
    yield [
        *_heading("scoreboard"),
        *[line for row in account.rows if row.found is not None for line in _row(row)],
    ]
    yield from (figure for row in account.rows if (figure := _branches(row, account)) is not None)
    yield [*_heading("open"), *_open(account), *_section("made", tried_as(account)), *_facts(made(account)),
           *paragraph("What the words mean", size=9.5, above=1.0, weight="bold"), *_facts(MEANINGS)]  # fmt: skip


def _branches(row: Verdict, account: Account) -> Figure | None:
    """The curves of a primary prediction that has a number, with its name."""
    if not row.prediction.primary or row.found is None:
        return None
    found = pictures.curves_of(row, account)
    if found is None:
        return None
    return pictures.branches(found, f"{called(row)}: {row.verdict}. {row.why}")


def _heading(key: str) -> list[Line]:
    number_of_it = list(SECTIONS).index(key) + 1
    return paragraph(f"{number_of_it}. {SECTIONS[key]}", size=11.0, above=1.2, weight="bold")


def _section(key: str, sentences: Iterable[Sentence]) -> list[Line]:
    return [
        *_heading(key),
        *[line for s in sentences for line in paragraph(f"{_sign(s)}{s.text} [{s.status}]", above=0.35)],
    ]


def _sign(sentence: Sentence) -> str:
    return "" if sentence.verdict is None else f"{VERDICTS[sentence.verdict][2]} {sentence.verdict}. "


def _facts(facts: dict[str, str]) -> list[Line]:
    return [line for name, value in facts.items() for line in paragraph(f"{name}: {value}", above=0.2)]


def _checks(account: Account) -> list[Line]:
    rows = list(check_rows(account.checks).itertuples(index=False, name=None))
    failed = [row for row in rows if row[5] != "yes"]
    told = f"Manipulation checks: {len(rows)}, of which {len(failed)} failed."
    found = paragraph(told, above=0.6, weight="bold")
    for arm, check, pairs, worst, allowed, holds in failed:
        text = f"{arm}: {check}: found {number(worst)}, allowed {number(allowed)}; holds: {holds} ({pairs} pairs)"
        found += paragraph(text, inset=0.2)
    return found


def _row(row: Verdict) -> list[Line]:
    of = row.prediction
    primary = ", primary" if of.primary else ""
    value = f": {spanned(row)}" if row.found is not None else ""
    guards = "; ".join(guard.says for guard in of.guards)
    rest = [
        of.statement,
        f"Measured as {described(of.statistic)}; requires {within(of.required)}. "
        f"Rival: {of.rival}; it {rival_said(of)}.",
        row.why,
        *([f"Guards: {guards}."] if guards else []),
        f"Does not show: {of.does_not_show}",
        *([f"By other events: {'; '.join(other.said for other in row.elsewhere)}."] if row.elsewhere else []),
        f"What would change it: {row.would_change}",
    ]
    title = f"{VERDICTS[row.verdict][2]} {called(row)}: {row.verdict}{value} [{row.status}{primary}]"
    return [
        *paragraph(title, size=8.5, above=0.8, weight="bold"),
        *[line for text in rest for line in paragraph(text, size=7.5, inset=0.2)],
    ]


def _open(account: Account) -> list[Line]:
    found = []
    for item in left_open(account):
        found += paragraph(
            f"{item.why}{f': {item.command}' if item.command else '.'}", above=0.6, weight="bold"
        )
        for row in item.rows:
            found += paragraph(f"{called(row)} ({row.verdict}) [{row.status}]", size=7.5, inset=0.2)
    return found or paragraph("Nothing is open: every prediction has a verdict.")


def paragraph(
    text: str, *, size: float = 8.0, above: float = 0.0, inset: float = 0.0, weight: str = "normal"
) -> list[Line]:
    """A text as lines that fit the width of a page, whatever letters are in it."""
    letters = int(
        (WIDTH - 2 * MARGIN - inset) * 72 / (size * (LETTER if weight == "normal" else 1.12 * LETTER))
    )
    lines = textwrap.wrap(visible(text), letters) or [""]
    return [Line(line, size, above if i == 0 else 0.0, inset, weight) for i, line in enumerate(lines)]


def sheets(lines: Sequence[Line]) -> Iterator[Figure]:
    """The lines on as many pages as they take."""
    sheet, y = _sheet(), HEIGHT - MARGIN
    for line in lines:
        step = line.size / 72 * SPACING
        if y - step * (1 + line.above) < MARGIN:
            yield sheet
            sheet, y = _sheet(), HEIGHT - MARGIN
        y -= step * (1 + line.above)
        sheet.text(
            (MARGIN + line.inset) / WIDTH, y / HEIGHT, line.text, fontsize=line.size, fontweight=line.weight,
            color=line.colour, parse_math=False,
        )  # fmt: skip
    yield sheet


def _sheet() -> Figure:
    figure, axes = style.new_figure(width=WIDTH, height=HEIGHT)
    figure.delaxes(axes[0, 0])
    figure.set_layout_engine("none")
    return figure
