"""Data in, one HTML file out: styles, uPlot, the scripts and the data in it, nothing from elsewhere.

The text of a run's story stands in the HTML, so that it is painted before anything is decoded. Tables and arrays follow
at the end of the body, each in a script element that no browser runs.
"""

import re
from collections.abc import Iterator, Mapping
from html import escape
from pathlib import Path
from typing import Any

from interp.ground.plain_text import visible
from interp.report.explorer.encoded import array_text, deflated, json_text

HERE = Path(__file__).parent
STYLES = ("uPlot.min.css", "page.css", "what_if.css")
SCRIPTS = (
    "uPlot.iife.min.js", "core.js", "chart.js", "map.js", "controls.js", "pictures.js", "panels.js", "tables.js",
    "what_if.js", "start.js",
)  # fmt: skip
# What a run holds that is decoded after the first paint.
LATER = ("tables", "arrays", "trial")


def page(data: Mapping[str, Any]) -> str:
    """The whole page.

    Args:
        data: title; colours; runs, each with
            name; source: what `interp.open_run` takes; opens: the Python that opens it; steps;
            story: sentences, each of texts, of {"text", "step"}, which become buttons that move the slider, and of
                {"text", "table", "rows"}, which lead to the first row of that table whose columns have these values;
            tables: {name: DataFrame}; arrays: {name: of `interp.report.explorer.encoded.quantised`}; trial or None;
            unit: what steps count; and whatever else the panels read, as JSON holds it.
    """
    runs = [
        {
            **{name: value for name, value in run.items() if name not in LATER},
            "arrays": {name: array_text(array)[0] for name, array in run.get("arrays", {}).items()},
        }
        for run in data["runs"]
    ]
    parts = {
        "title": _text(data["title"]),
        "styles": "\n".join(_assets(STYLES)),
        "stories": "\n".join(_story(i, run) for i, run in enumerate(data["runs"])),
        "data": json_text({**data, "runs": runs}),
        "blobs": "\n".join(_blobs(data["runs"])),
        "scripts": "\n".join(f"<script>\n{script}\n</script>" for script in _assets(SCRIPTS)),
    }
    html = (HERE / "page.html").read_text("utf-8")
    return re.sub(r"\{\{(\w+)\}\}", lambda found: parts[found[1]], html)


def _assets(names: tuple[str, ...]) -> Iterator[str]:
    for name in names:
        if (HERE / name).exists():
            yield (HERE / name).read_text("utf-8")


def _blobs(runs: list[Mapping[str, Any]]) -> Iterator[str]:
    for i, run in enumerate(runs):
        for name in ("tables", "trial"):
            if run.get(name):
                yield _blob(f"{name}-{i}", deflated(json_text(run[name]).encode("utf-8")))
        for name, array in run.get("arrays", {}).items():
            yield _blob(f"array-{i}-{name}", array_text(array)[1])


def _blob(name: str, text: str) -> str:
    return f'<script type="application/octet-stream" id="blob-{name}">{text}</script>'


def _story(i: int, run: Mapping[str, Any]) -> str:
    sentences = " ".join("".join(_part(part, i) for part in sentence) for sentence in run["story"])
    notes = "".join(f"<li>{_text(note)}</li>" for note in run.get("notes", []))
    listed = f'<ul class="notes">{notes}</ul>' if notes else ""
    return (
        f'<section class="story" data-run="{i}" aria-labelledby="story-{i}">'
        f'<h2 id="story-{i}">{_text(run["name"])}</h2><p class="what">{_text(run.get("what", ""))}</p>'
        f"<p>{sentences}</p>{listed}</section>"
    )


def _part(part: str | Mapping[str, Any], run: int) -> str:
    if isinstance(part, str):
        return _text(part)
    if "table" in part:
        rows = escape(json_text(part["rows"]))
        return (
            f'<a class="row" href="#tables" data-run="{run}" data-table="{_text(part["table"])}" data-rows="{rows}">'
            f"{_text(part['text'])}</a>"
        )
    return f'<button type="button" class="to-step" data-step="{int(part["step"])}">{_text(part["text"])}</button>'


def _text(value: object) -> str:
    return escape(visible(str(value)))
