"""The site builds without a fault and asks no network; what the Markdown says to type exists."""

import ast
import html
import os
import re
import shlex
import subprocess
import sys
import textwrap
import tomllib
from html.parser import HTMLParser
from pathlib import Path

import pytest
import typer.main
import yaml

import interp
from interp import figures, probes
from interp.commands.cli import app
from interp.theories import ALL

ROOT = Path(__file__).parent.parent
PAGES = sorted(
    [
        *ROOT.glob("*.md"),
        *(ROOT / "docs").rglob("*.md"),
        *(ROOT / "analyses" / "evidence").glob("*.md"),
    ]
)
COMMANDS = typer.main.get_command(app).commands


def build(folder, *options, cwd=ROOT):
    # A process of its own: what is checked in tests slows the reading of the package, and warnings are errors here.
    return subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder), *options],
        cwd=cwd,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1", "NO_COLOR": "1"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    folder = tmp_path_factory.mktemp("site")
    done = build(folder)
    assert done.returncode == 0 and "WARNING" not in done.stderr, done.stderr[-3000:]
    return folder


class Loaded(HTMLParser):
    """What a page has a browser load, and the anchors that it has."""

    def __init__(self, text):
        super().__init__()
        self.loaded, self.anchors = [], set()
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        of = dict(attrs)
        self.anchors.add(of.get("id"))
        # A link to click on loads nothing by itself.
        if tag != "a":
            self.loaded += [of[name] for name in ("src", "href", "srcset", "data", "poster") if of.get(name)]


@pytest.mark.slow
def test_no_page_loads_anything_from_elsewhere(site):
    pages = list(site.rglob("*.html"))
    assert len(pages) > 80
    for page in pages:
        for target in Loaded(page.read_text("utf-8")).loaded:
            assert not re.match(r"\w+:|//", target) or target.startswith("data:"), (page.name, target)
            path = html.unescape(target).partition("#")[0].partition("?")[0]
            assert page.name == "404.html" or (page.parent / path).exists(), (page.name, target)
    for sheet in site.rglob("*.css"):
        assert not re.findall(r"url\([\"']?(?:https?:)?//|@import", sheet.read_text("utf-8")), sheet.name


def anchors(site, page):
    return Loaded((site / page).read_text("utf-8")).anchors


@pytest.mark.slow
def test_everything_has_its_place_in_the_reference(site):
    assert {f"interp-{name}" for name in COMMANDS} <= anchors(site, "reference/commands.html")
    called = {f"{interp._HOME[name]}.{name}" for name in interp.__all__}
    assert called <= anchors(site, "reference/index.html")
    drawn = {f"{figure.__module__}.{name}" for name, figure in vars(figures).items() if is_ours(name, figure)}
    assert len(drawn) > 40 and drawn <= anchors(site, "reference/figures.html")
    of_probes = set().union(*(anchors(site, page) for page in (site / "probes").glob("*.html")))
    for name in probes.available():
        probe = probes.named(name)
        assert f"{probe.__module__}.{name}" in of_probes
    for theory in ALL:
        assert {of.name for of in theory.predictions} <= anchors(site, f"theories/{theory.name}.html")


def is_ours(name, value):
    home = getattr(value, "__module__", "")
    return callable(value) and home.startswith("interp.figures.") and not name.startswith("_")


@pytest.mark.slow
def test_docstrings_are_laid_out(site):
    text = (site / "probes" / "weight_norms.html").read_text("utf-8")
    # The docstring's columns are a list of names, and the sentence before it is no list.
    assert re.search(r"Columns</span>.*?<li[^>]*>\s*<b>\s*<code>\s*<span[^>]*>matrix<", text, re.DOTALL)
    listed = text.partition("How it misleads.")[2].partition("Source.")[0]
    assert listed.count("<li>") == 4
    assert "&gt;&gt;&gt; " in (site / "reference" / "mathematics.html").read_text("utf-8")
    assert "<blockquote>" not in (site / "reference" / "mathematics.html").read_text("utf-8")


def test_a_link_to_nothing_fails_the_build(tmp_path):
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "index.md").write_text("# One\n\n[there](two.md#none), [no](gone.md)\n")
    (tmp_path / "docs" / "two.md").write_text("# Two\n")
    config = yaml.load((ROOT / "mkdocs.yml").read_text("utf-8"), Loader=yaml.BaseLoader)
    # Its rules for links alone: the pages that are made take most of the time.
    alone = {"site_name": "x", "nav": ["index.md", "two.md"], "validation": config["validation"]}
    (tmp_path / "mkdocs.yml").write_text(yaml.dump(alone))
    done = build(tmp_path / "site", cwd=tmp_path)
    assert done.returncode == 1
    assert "'gone.md'" in done.stderr and "an anchor '#none'" in done.stderr


def blocks(*languages):
    """Fenced blocks of these languages, as (place, text)."""
    for page in PAGES:
        text = page.read_text("utf-8")
        # All of them, or else the end of one would be taken for the beginning of the next.
        for found in re.finditer(r"^( *)```(\w*)\n(.*?)^\1```", text, re.MULTILINE | re.DOTALL):
            if found[2] in languages:
                line = text[: found.start()].count("\n") + 1
                yield f"{page.relative_to(ROOT)}:{line}", textwrap.dedent(found[3])


def test_python_on_the_pages_parses():
    found = list(blocks("python"))
    assert len(found) > 15
    for place, code in found:
        try:
            ast.parse(code)
        except SyntaxError as error:
            pytest.fail(f"{place}: {error}")


def typed():
    """Commands on the pages: lines of blocks without a language, and what stands between backticks."""
    for place, text in blocks("", "bash"):
        for line in text.replace("\\\n", " ").splitlines():
            yield place, line.strip()
    for page in PAGES:
        prose = re.sub(r"^ *```.*?^ *```", "", page.read_text("utf-8"), flags=re.MULTILINE | re.DOTALL)
        for code in re.findall(r"`([^`\n]+)`", prose):
            yield str(page.relative_to(ROOT)), code
        for line in re.findall(r"^    (\S.*)$", prose, re.MULTILINE):
            yield str(page.relative_to(ROOT)), line


def test_what_the_pages_say_to_type_exists():
    n, faults = 0, []
    for place, line in typed():
        found = re.match(r"(?:\w+= ?)?(?:\.venv/bin/)?(?:python -m )?(interp|make|python) (.*)", line)
        n += bool(found)
        if found and (fault := fault_of(found[1], found[2])):
            faults.append(f"{place}: {line!r}: {fault}")
    assert not faults, "\n".join(faults)
    assert n > 150


def fault_of(program, rest):
    if program == "python":
        script = re.match(r"(?:analyses|benchmarks|docs)/[a-z_]+\.py", rest)
        return bool(script) and not (ROOT / script[0]).exists() and "no such file"
    try:
        words = shlex.split(rest, comments=True)
    except ValueError as error:
        return str(error)
    if program == "make":
        targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
        return words[0] not in targets and not words[0].startswith(("PYTHON=", "ARGS=")) and "no such target"
    return fault_of_interp(words)


def fault_of_interp(words):
    if not words or words[0].startswith("-") or not re.fullmatch("[a-z]+", words[0]):
        return None
    # `interp train | resume` names several.
    names = words[: words.index("|")] if "|" in words else words
    if names[0] not in COMMANDS:
        return f"there is no command {names[0]!r}"
    options = {
        option
        for parameter in COMMANDS[names[0]].params
        for option in (*parameter.opts, *parameter.secondary_opts)
    }
    asked = [word.partition("=")[0].rstrip(".,;)") for word in names if word.startswith("--")]
    unknown = [option for option in asked if option not in options | {"--help"}]
    return f"there is no option {unknown[0]}" if unknown else None


def test_a_wrong_command_is_noticed():
    assert fault_of("interp", "trian runs/x") == "there is no command 'trian'"
    assert fault_of("interp", "train runs/x --pp 3   # so") == "there is no option --pp"
    assert fault_of("make", "fourrier") == "no such target"
    assert fault_of("python", "analyses/furier.py --run x") == "no such file"
    assert not fault_of("interp", "train runs/x --p 3")


def test_the_citation_agrees_with_the_package():
    cited = yaml.safe_load((ROOT / "CITATION.cff").read_text("utf-8"))
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    assert (cited["title"], cited["version"], cited["license"]) == tuple(
        project[name] for name in ("name", "version", "license")
    )
    assert cited["cff-version"] == "1.2.0" and cited["message"] and cited["authors"][0]["name"]


def test_the_first_probe_of_the_newcomer_works(tmp_path):
    text = (ROOT / "CONTRIBUTING.md").read_text("utf-8")
    probe, test = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    probe_name = re.search(r"^def (\w+)", probe, re.MULTILINE)[1]
    place = f"interp.probes.answers.{probe_name}"
    found: dict = {}
    exec(compile(probe, f"{probe_name}.py", "exec"), found)
    assert f"from {place} import {probe_name}\n" in test
    body = test.replace(f"from {place} import {probe_name}\n", "")
    tests = {**found}
    exec(compile(body, f"test_{probe_name}.py", "exec"), tests)
    ran = [test() for name, test in list(tests.items()) if name.startswith("test_")]
    assert len(ran) >= 1


@pytest.mark.slow
@pytest.mark.parametrize("name", ["train", "your_checkpoints"])
def test_a_tutorial_does_what_it_says(name, tmp_path):
    """Blocks in their order, as a reader copies them; what is shown of an answer stands in it."""
    text = (ROOT / "docs" / "tutorials" / f"{name}.md").read_text("utf-8")
    out, n = "", 0
    for language, block in re.findall(r"^```(\w*)\n(.*?)^```", text, re.MULTILINE | re.DOTALL):
        if language == "text":
            plain = out.replace(f"{tmp_path}/", "")
            assert all(line in plain for line in block.splitlines()), (block, plain)
            n += 1
        elif language == "python" and "my_training.py" in text and not n:
            (tmp_path / "my_training.py").write_text(block)
        elif language == "python":
            (tmp_path / "block.py").write_text(block)
            out = typed_in(tmp_path, "python block.py")
        else:
            out = "".join(typed_in(tmp_path, line.partition("#")[0]) for line in block.splitlines())
    assert n > 0


def typed_in(folder, line):
    words = shlex.split(line)
    program = ["-m", *words] if words[0] == "interp" else words[1:]
    path = f"{ROOT}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"
    done = subprocess.run(
        [sys.executable, *program],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, (line, done.stdout, done.stderr)
    return done.stdout
