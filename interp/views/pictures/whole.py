"""The figures of several panels that `interp.analyses` draw, as pictures: loaded one at a time."""

import re

from interp import analyses
from interp.analyses import own_options
from interp.tables.folder import Tables
from interp.tables.outcome import outcome
from interp.views.pictures.picture import Picture

# Its answer is a page; its figure is the picture `verdict_grid`.
A_PAGE = "explain"
# Nor is one that takes more than a run, as a text: its own command draws it.
NAMES = tuple(name for name in analyses.__all__ if name != A_PAGE and not own_options.of(name))


def of_analysis(name: str) -> Picture:
    """The figure of an analysis; its caption is what the analysis says of its panels, and how the run ended."""
    module = analyses.named(name)
    subject = getattr(module, "subject", None)

    def caption(tables: Tables) -> str:
        ended = module.summarize(tables).get("said", []) if subject is not None else [outcome(tables).said]
        return " ".join([panels_said(module.__doc__ or ""), *(line.strip() for line in ended)])

    return Picture(
        shows=(module.__doc__ or "").partition("\n")[0],
        compute=module.compute,
        draw=module.draw,
        caption=caption,
        subject=subject,
    )


def panels_said(doc: str) -> str:
    """What the docstring of an analysis says of its panels, its second paragraph, without references to code.

    >>> panels_said("What?\\n\\n(a) Losses\\n(`interp.tables`), `x`.\\n\\nReference: none.")
    '(a) Losses, x.'
    """
    paragraphs = doc.split("\n\n")
    if len(paragraphs) < 2:
        return ""
    plain = re.sub(r"\s*\(`[^`)]*`[^)]*\)", "", paragraphs[1])
    return re.sub(r"\s+", " ", plain).replace("`", "").strip()
