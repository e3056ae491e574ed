"""What the site adds to the Markdown of this folder: pages made at build time, and links that hold on it.

Pages stay readable where they lie: links are those of the repository. On the site a link to a file that has a page
leads there; one to any other file becomes its name, since the site has no copy of it.
"""

import ast
import posixpath
import re
import sys
from importlib import import_module
from pathlib import Path

from mkdocs.structure.files import File

ROOT = Path(__file__).resolve().parent.parent
# The package of this repository, and not one that is installed: its commands, probes and theories are listed.
sys.path.insert(0, str(ROOT))

# Pages that lie elsewhere in the repository.
ELSEWHERE = {
    "README.md": "index.md",
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
    "analyses/evidence/README.md": "evidence.md",
}
SOURCE_OF = {page: source for source, page in ELSEWHERE.items()}

# What a user calls, by page: a module stands with its public names in the order of its file. "folder/" is all of it.
REFERENCE = {
    "runs": (
        "A run and what is in it",
        [
            "runs.run",
            "runs.config",
            "runs.record",
            "runs.presets/",
            "runs.schedule",
            "tasks.task",
            "tasks.structure",
        ],
    ),
    "networks": (
        "Networks and snapshots",
        [
            "networks.config",
            "networks.hooked",
            "networks.plain",
            "networks.objective",
            "networks.bridge",
            "networks.texts",
            "snapshots.snapshot",
            "snapshots.residues",
            "snapshots.elements",
            "snapshots.places",
            "snapshots.of_module",
        ],
    ),
    "interventions": ("Interventions", ["interventions/"]),
    "training": ("Rules and branches", ["training.rules", "training.branches", "training.data"]),
    "tables": ("Tables: when something happened", ["tables/"]),
    "figures": ("Figures", ["figures/"]),
    "views": (
        "Views: figures by name, animations, the explorer",
        ["views.pictures", "views.pictures.making", "views.animations", "views.explored"],
    ),
    "trials": (
        "Theories, arms and verdicts",
        [
            "theories.prediction",
            "theories.statistic",
            "theories.reading",
            "theories.lock",
            "theories.scoreboard",
            "theories.verdict",
            "theories.arms_table",
            "theories.effects",
            "theories.doses",
            "theories.judging",
            "theories.forecast",
            "theories.clock_or_pizza",
        ],
    ),
    "mathematics": ("Mathematics", ["mathematics/"]),
}


def on_config(config):
    """The navigation: a folder stands for its pages, and a page that no section names stands under How-to."""
    named = set(re.findall(r"[\w/]+\.md", str(config.nav)))
    others = sorted(page.name for page in (ROOT / "docs").glob("*.md") if page.name not in named)
    for section in config.nav:
        ((title, pages),) = section.items()
        if title == "Probes":
            pages.extend(f"probes/{path.name}" for path in sorted((ROOT / "docs" / "probes").glob("*.md")))
        if title == "Theories":
            pages.extend(f"theories/{theory.name}.md" for theory in _theories())
        if title == "How-to":
            pages.extend(others)
    return config


def on_files(files, config):
    """The pages that are made."""
    for source, page in ELSEWHERE.items():
        files.append(File.generated(config, page, content=(ROOT / source).read_text("utf-8")))
    made = {
        "probes/index.md": _probe_list(),
        "reference/commands.md": _commands(),
        "reference/index.md": _top(),
        **{f"theories/{theory.name}.md": _theory_page(theory) for theory in _theories()},
        **{f"reference/{name}.md": _modules(*what) for name, what in REFERENCE.items()},
    }
    for page, text in made.items():
        files.append(File.generated(config, page, content=text))
    return files


def on_page_markdown(markdown, page, config, files):
    """Links as the site has them; a probe's page ends with its reference, the table of theories leads to theirs."""
    here = page.file.src_uri
    if here == "theories.md":
        names = "|".join(theory.name for theory in _theories())
        markdown = re.sub(rf"^\| `({names})` \|", r"| [`\1`](theories/\1.md) |", markdown, flags=re.MULTILINE)
    if here.startswith("probes/") and here != "probes/index.md":
        title = markdown.partition("\n")[0]
        told = [where for name, where in _probes().items() if name in title.split()]
        options = "    options:\n      heading_level: 3\n"
        markdown += "\n## Reference\n\n" + "\n".join(f"::: {where}\n{options}" for where in told)
    return _outside_fences(markdown, lambda text: _relinked(_spaced_lists(text), here, files))


def _outside_fences(markdown, change):
    parts = re.split(r"(^```.*?^```)", markdown, flags=re.MULTILINE | re.DOTALL)
    return "".join(part if part.startswith("```") else change(part) for part in parts)


def _spaced_lists(text):
    """An empty line before a list that follows a paragraph, which the builder needs and GitHub does not."""
    return re.sub(r"^(?![-|#> ]|\* |\d+\. )\S.*\n(?=(?:-|\*|1\.) )", r"\g<0>\n", text, flags=re.MULTILINE)


def _relinked(text, here, files):
    """Links, images too, that lead from where the page's source lies to where the site has what they name."""
    folder = posixpath.dirname(SOURCE_OF.get(here, f"docs/{here}"))

    def one(found):
        label, target = found["label"], found["target"]
        if re.match(r"[a-z]+:|#", target):
            return found[0]
        path, _, anchor = target.partition("#")
        path = posixpath.normpath(posixpath.join(folder, path))
        uri = ELSEWHERE.get(path, path.removeprefix("docs/"))
        uri = f"{uri}/index.md" if files.get_file_from_path(f"{uri}/index.md") else uri
        if files.get_file_from_path(uri):
            to = posixpath.relpath(uri, posixpath.dirname(here) or ".")
            return f"{label}({to}{'#' + anchor if anchor else ''})"
        if (ROOT / path).exists() and not label.startswith("!"):
            return label[1:-1] if "`" in label else f"`{path}`"
        # Not there at all: left as it is, for the builder to complain about.
        return found[0]

    return re.sub(r"(?P<label>!?\[[^\[\]]*\])\((?P<target>[^()\s]+)\)", one, text)


def _probes():
    """Where each probe is defined, by name."""
    found = {}
    for path in sorted((ROOT / "interp" / "probes").glob("*/[!_]*.py")):
        exports = (path.parent / "__init__.py").read_text("utf-8")
        if f".{path.stem} import {path.stem}\n" in exports:
            found[path.stem] = f"{_dotted(path)}.{path.stem}"
    return dict(sorted(found.items()))


def _theories():
    return sorted(import_module("interp.theories").ALL, key=lambda theory: theory.name)


def _dotted(path):
    return ".".join(path.relative_to(ROOT).with_suffix("").parts)


def _first_line(path):
    return ast.get_docstring(ast.parse(path.read_text("utf-8"))).partition("\n\n")[0].replace("\n", " ")


def _page_of(probe):
    """Its page, named like it or after its neighbour in one."""
    pages = sorted((ROOT / "docs" / "probes").glob("*.md"))
    titles = {page.name: page.read_text("utf-8").partition("\n")[0] for page in pages}
    found = [name for name, title in titles.items() if probe in title.split()]
    if not found:
        raise ValueError(
            f"The probe {probe} needs a page docs/probes/{probe}.md, got none. Its reference stands there. Write it: "
            "question, formula, columns, what known networks show, how it misleads, source."
        )
    return found[0]


def _probe_list():
    about = (
        "A probe is a function of a snapshot that gives a table. Each page says what it asks, by which formula, what "
        "it shows on networks whose answer is known, and how it misleads. Every Fourier number has its null beside it: "
        "[how](../nulls.md)."
    )
    lines = ["# Probes", "", about]
    folder = ""
    for name, where in sorted(_probes().items(), key=lambda item: item[1]):
        path = ROOT / (where.rpartition(".")[0].replace(".", "/") + ".py")
        if path.parent.name != folder:
            folder = path.parent.name
            lines += ["", f"## {folder.capitalize()}", ""]
        lines.append(f"- [`{name}`]({_page_of(name)}): {_first_line(path)}")
    return "\n".join([*lines, ""])


def _top():
    interp = import_module("interp")
    found = "\n\n".join(f"::: {interp._HOME[name]}.{name}" for name in interp.__all__)
    return f"# `import interp`\n\nAll that a notebook needs; torch is loaded on first use.\n\n{found}\n"


def _modules(title, modules):
    found = []
    for module in modules:
        # A name that ends in a slash is a folder: all of its modules that say what they are.
        paths = (ROOT / "interp" / module).glob("[!_]*.py") if module.endswith("/") else []
        found += [
            _dotted(path) for path in sorted(paths) if ast.get_docstring(ast.parse(path.read_text("utf-8")))
        ]
        found += [] if module.endswith("/") else [f"interp.{module}"]
    options = "\n    options:\n      show_root_full_path: true\n"
    return f"# {title}\n\n" + "\n".join(f"::: {module}{options}" for module in found)


def _commands():
    from typer.testing import CliRunner

    app = import_module("interp.commands.cli").app
    # As on a terminal of the usual width; `interp` and not the name of the program that builds the site.
    wide = {"COLUMNS": "88", "TERMINAL_WIDTH": "88", "NO_COLOR": "1"}

    def help_of(*names):
        done = CliRunner().invoke(app, [*names, "--help"], prog_name="interp", env=wide)
        assert done.exit_code == 0, done.output
        return f"```text\n{done.output.strip()}\n```\n"

    names = re.findall(r"^  (\w+) ", help_of().partition("Commands:")[2], flags=re.MULTILINE)
    parts = [f"## interp {name}\n\n{help_of(name)}" for name in names]
    return "\n".join(
        ["# The command line\n", "`python -m interp` is the same as `interp`.\n", help_of(), *parts]
    )


def _theory_page(theory):
    """One theory, its facts in their fixed order, as the lock file holds them."""
    module = import_module(f"interp.theories.{theory.name}")
    lines = [
        f"# {theory.name}",
        module.__doc__,
        f"**Says.** {theory.statement}",
        f"**Requires.** {theory.requires}",
        f"**Forbids.** {theory.forbids}",
        f"**Source.** {theory.source}",
        "What the words mean and how verdicts are reached: [theories on trial](../theories.md).",
    ]
    return "\n\n".join([*lines, *map(_prediction, theory.predictions)]) + "\n"


def _prediction(of):
    described = import_module("interp.theories.statistic").described
    said = import_module("interp.report.sentences")
    facts = {
        "Number": described(of.statistic),
        "Required": of.required,
        "Forbidden": said.within(of.forbidden),
        "Rival": f"{of.rival}: {said.rival_said(of)}",
        "Guards": "; ".join(guard.says for guard in of.guards),
        "Arms": ", ".join(f"`{arm}`" for arm in of.arms),
        "Isolates the cause": of.identification,
        "Assumes": of.assumptions,
        "Stress test": of.stress_test,
        "Does not show": of.does_not_show,
        "Needs": of.needs,
        "Command": of.command and f"`{of.command}`",
    }
    kind = " Primary." if of.primary else ""
    listed = [f"- **{name}.** {fact}" for name, fact in facts.items() if fact]
    return "\n".join([f"## {of.name}", "", f"{of.statement}{kind}", "", *listed])
