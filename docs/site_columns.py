"""Docstrings as the reference shows them: sections of ours that the Google style does not know."""

import re

import griffe

# A table's columns are named like attributes, and stand as a list of names in the reference.
KNOWN = {"Columns": "Attributes: Columns", "Records": "Attributes: Records"}


class Sections(griffe.Extension):
    """`Columns:` and `Records:` as lists of names, `Example:` as an ordinary paragraph."""

    def on_object(self, *, obj, **_):
        if obj.docstring:
            obj.docstring.value = re.sub(
                rf"^({'|'.join(KNOWN)}):$", lambda found: KNOWN[found[1]], obj.docstring.value, flags=re.MULTILINE
            )
