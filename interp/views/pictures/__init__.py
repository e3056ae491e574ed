"""Figures by their names: `interp figure RUN NAME`, and `named(NAME)` in Python.

A picture knows which tables it needs, how it is drawn, and what its caption says. Those of one panel lie here, a
subject a file, under the name of the function of `interp.figures` that draws them; those of several panels are the
figures of `interp.analyses`. A new one is a value in a file's `PICTURES`; a new file has its line below.
"""

from interp.views.pictures import losses
from interp.views.pictures.picture import Picture

PICTURES: dict[str, Picture] = {
    **losses.PICTURES,
}


def named(name: str) -> Picture:
    """The picture of this name.

    Raises:
        ValueError: if there is none; those whose names are close are listed, or all.
    """
    from difflib import get_close_matches

    if name not in PICTURES:
        near = get_close_matches(name, PICTURES)
        there = f"Close to it: {', '.join(near)}." if near else f"There are: {', '.join(PICTURES)}."
        raise ValueError(f"There is no figure {name!r}. {there} `interp figure --list` says what each shows.")
    return PICTURES[name]
