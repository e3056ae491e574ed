"""The page to scrub through a run: how long it takes to make, its size, when it paints, what a slider step costs.

A slider step is `Explorer.set({step})` and the redraw of every panel, seen or not, to the end of the layout that
follows. First paint is the browser's own entry of the page opened from disk.

    python benchmarks/explorer.py [RUN] [--steps 40] [--json FILE]
"""

import argparse
import json
import os
import shutil
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

import interp
from interp.report.explorer.page import page
from interp.views.explored import explored
from interp.views.tried import told_trial

STEP = """(n) => {
    const spent = [];
    for (let i = 0; i < n; i++) {
        const step = Explorer.data.runs[0].steps[i % Explorer.data.runs[0].steps.length];
        const from = performance.now();
        Explorer.set({ step });
        Explorer.flush(true);
        document.body.getBoundingClientRect();
        spent.push(performance.now() - from);
    }
    return spent;
}"""


def made(source: str) -> tuple[str, dict[str, float]]:
    """The page, and the seconds that its parts take: with the tables measured already, as in a second call."""
    run = interp.open_run(source)
    spent = {}
    for name in ("build, first call", "build, tables kept"):
        start = time.perf_counter()
        told = told_trial(run, str(run.path))
        html = page(explored([run], trials=[told]))
        spent[name] = time.perf_counter() - start
    return html, spent


def seen(html: str, n_steps: int) -> dict[str, float]:
    """What the browser says of it, in milliseconds."""
    from playwright.sync_api import sync_playwright

    path = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        file = Path(folder) / "page.html"
        file.write_text(html, encoding="utf-8")
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        view = browser.new_page(viewport={"width": 1366, "height": 900})
        view.goto(file.as_uri())
        view.wait_for_selector("html[data-ready=yes]", state="attached")
        paint = view.evaluate("performance.getEntriesByName('first-contentful-paint')[0].startTime")
        ready = view.evaluate("performance.now()")
        view.evaluate(STEP, 10)
        spent = sorted(view.evaluate(STEP, n_steps))
        browser.close()
    return {
        "first contentful paint": paint,
        "everything decoded and drawn, at most": ready,
        "slider step, median": spent[len(spent) // 2],
        "slider step, 95 %": spent[int(len(spent) * 0.95)],
    }


def main() -> None:
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    options.add_argument("run", nargs="?", default="checkpoints/mainline")
    options.add_argument("--steps", type=int, default=40)
    options.add_argument("--json", type=Path)
    chosen = options.parse_args()
    html, spent = made(chosen.run)
    found = {**{f"{name} (s)": s for name, s in spent.items()}, "size (MB)": len(html.encode()) / 1e6}
    found |= {f"{name} (ms)": ms for name, ms in seen(html, chosen.steps).items()}
    for name, value in found.items():
        print(f"{name:<45} {value:8.2f}")
    if chosen.json:
        chosen.json.write_text(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()
