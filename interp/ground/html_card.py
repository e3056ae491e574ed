"""Cards for notebooks: a title, labels with their texts and small tables, as HTML that inherits the page's colours.

Names and messages come out of strangers' files: every text is escaped here, and nowhere else. No script, no colour of
our own, so that a card reads in light and dark themes and in what a repository's page shows of a notebook.
"""

import html
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from interp.ground.plain_text import sentence

_CELL = "text-align:left;vertical-align:top;padding:.1em .8em .1em 0;background:none;border:0"
# Some pages give tables a colour and a size of their own.
_TABLE = "border-collapse:collapse;margin:0;border:0;color:inherit;font:inherit"
_MOST_ROWS = 60


def text(value: object) -> str:
    """A value as escaped text of bounded length; what a terminal or a browser would obey is shown as its escape.

    >>> text("<script>x</script>")
    '&lt;script&gt;x&lt;/script&gt;'
    """
    return html.escape(sentence(str(value)))


def lines(labelled: Mapping[str, object]) -> str:
    """Labels in one column, texts in the next."""
    rows = "".join(
        f'<tr style="background:none"><th style="{_CELL};font-weight:600;white-space:nowrap">{text(label)}</th>'
        f'<td style="{_CELL}">{text(value)}</td></tr>'
        for label, value in labelled.items()
    )
    return f'<table style="{_TABLE}"><tbody>{rows}</tbody></table>'


def grid(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """A table; of a long one the first rows, and how many more there are."""
    head = "".join(f'<th style="{_CELL};font-weight:600">{text(name)}</th>' for name in columns)
    body = "".join(
        '<tr style="background:none">'
        + "".join(f'<td style="{_CELL}">{text(value)}</td>' for value in row)
        + "</tr>"
        for row in rows[:_MOST_ROWS]
    )
    more = f"<div>... and {len(rows) - _MOST_ROWS} more</div>" if len(rows) > _MOST_ROWS else ""
    return f'<table style="{_TABLE}"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>{more}'


def folded(summary: object, inside: str) -> str:
    """What is shown on a click."""
    return f"<details><summary>{text(summary)}</summary>{inside}</details>"


def card(title: object, *parts: str) -> str:
    """The whole: a title in bold and its parts, each made by a function of this module."""
    return f'<div style="margin:.3em 0"><div><b>{text(title)}</b></div>{"".join(parts)}</div>'


def shown_anyway(title: object, make: Callable[[], Iterable[str]]) -> str:
    """The card of these parts; where they cannot be made, one that says why: what displays never raises."""
    try:
        return card(title, *make())
    except Exception as error:
        return card(title, lines({"cannot be shown": f"{type(error).__name__}: {error}"}))


def number(value: Any) -> str:
    """A number as a card shows it, three digits; what is not known is a dash.

    >>> number(0.12345), number(float("nan")), number(None), number(12)
    ('0.123', '-', '-', '12')
    """
    if value is None or (isinstance(value, float) and value != value):
        return "-"
    return f"{value:.3g}" if isinstance(value, float) else str(value)
