"""Docstrings as the reference shows them: sections and examples of ours that the Google style does not know."""

import re

import griffe

# A table's columns are named like attributes, and stand as a list of names in the reference.
KNOWN = {"Columns": "Attributes: Columns", "Records": "Attributes: Records"}
SECTION = re.compile(rf"^({'|'.join(KNOWN)}):$", re.MULTILINE)
# Prompts and what they print, up to an empty line: as a block of code, and not as quotations with links in them.
DOCTEST = re.compile(r"^( *)>>> .*(?:\n *\S.*)*", re.MULTILINE)


class Sections(griffe.Extension):
    """`Columns:` and `Records:` as lists of names, doctests as code."""

    def on_object(self, *, obj, **_):
        if obj.docstring:
            text = SECTION.sub(lambda found: KNOWN[found[1]], obj.docstring.value)
            obj.docstring.value = DOCTEST.sub(_as_code, text)


def _as_code(found):
    margin = found[1]
    lines = [re.sub(r"\s*# doctest:.*", "", line) for line in found[0].splitlines()]
    return "\n".join([f"{margin}```pycon", *lines, f"{margin}```"])
