"""The page of a served run in headless Chromium: how long a person waits, whether axe-core objects, pictures.

    .venv/bin/python benchmarks/page.py first [--run runs/demo]
    .venv/bin/python benchmarks/page.py pictures [--run runs/demo]

`first` keeps its row as `results/serving_page.json`; `pictures` writes those of the README into docs/img.
"""

from __future__ import annotations

import io
import shutil
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Annotated, Any, Final

import typer
from axe_playwright_python.sync_playwright import Axe
from PIL import Image
from playwright.sync_api import Browser, Page, sync_playwright

from record import keep
from served import served

app = typer.Typer(add_completion=False, help=__doc__, no_args_is_help=True, rich_markup_mode=None)

Run = Annotated[Path, typer.Option(help="A finished run, such as the demo.")]
_DEMO: Final = Path("runs/demo")
_PICTURES: Final = Path(__file__).parents[1] / "docs" / "img"
_MOST_BYTES: Final = 200_000
_ROUNDS: Final = 3
_ARGUMENTS: Final = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
)
_DESKTOP: Final = {"viewport": {"width": 1280, "height": 860}}
_PHONE: Final = {
    "viewport": {"width": 390, "height": 844},
    "device_scale_factor": 2,
    "is_mobile": True,
    "has_touch": True,
}
_SCREENS: Final[dict[str, dict[str, Any]]] = {
    "light": _DESKTOP,
    "dark": {**_DESKTOP, "color_scheme": "dark"},
    "phone": _PHONE,
    "dark phone": {**_PHONE, "color_scheme": "dark"},
}
# From the click to the frame in which the list that answers it is on the screen.
_CLOCK: Final = """(click) => new Promise((done) => {
    let clicked = 0;
    addEventListener("click", () => { clicked = performance.now(); }, { capture: true, once: true });
    const before = document.querySelector(".rows").innerText;
    const seen = new MutationObserver(() => {
        const rows = document.querySelector(".rows:not(.stale)");
        if (!clicked || !rows || rows.innerText === before) return;
        seen.disconnect();
        requestAnimationFrame(() => requestAnimationFrame(() => done(performance.now() - clicked)));
    });
    seen.observe(document.body, { subtree: true, childList: true, attributes: true, characterData: true });
    document.querySelector(click).click();
})"""


@contextmanager
def _browser() -> Iterator[Browser]:
    found = [path for name in ("chromium", "chromium-browser", "google-chrome") if (path := shutil.which(name))]
    with sync_playwright() as playwright:
        yield playwright.chromium.launch(executable_path=found[0] if found else None, args=_ARGUMENTS)


def _visit(browser: Browser, url: str, **settings: Any) -> Page:
    page = browser.new_context(**settings).new_page()
    page.goto(url)
    page.wait_for_selector(".row")
    return page


@app.command()
def first(run: Run = _DEMO) -> None:
    """Milliseconds from a click to recommendations on the screen (an example history; a title that was typed;
    an item left out), and what axe-core objects to, by impact."""
    rounds = []
    violations: Counter[str] = Counter()
    with served(run, requests_per_minute=0) as server, _browser() as browser:
        for _ in range(_ROUNDS):
            page = _visit(browser, server.url, **_DESKTOP)
            found = {"example": page.evaluate(_CLOCK, ".start .primary")}
            page.get_by_role("combobox").first.fill("the")
            page.wait_for_selector("[role=listbox] [role=option]")
            found["title"] = page.evaluate(_CLOCK, "[role=listbox] [role=option]")
            found["left_out"] = page.evaluate(_CLOCK, "[role=switch]")
            rounds.append({name: round(value, 1) for name, value in found.items()})
            page.context.close()
        for name, settings in _SCREENS.items():
            page = _visit(browser, server.url, reduced_motion="reduce", **settings)
            found_here = _axe(page)
            _example(page)
            page.get_by_role("button", name="Why?").first.click()
            page.wait_for_selector(".decided")
            found_here += _axe(page)
            page.get_by_role("tab", name="Teacher beside student").click()
            page.wait_for_selector(".teach .decided")
            page.locator(".cite:not(.none)").last.click()
            found_here += _axe(page)
            violations.update(f"{impact} ({name})" for impact in found_here)
            page.context.close()
    bars = {
        "page_first_result_ms": median(each["example"] for each in rounds),
        "page_axe_serious": float(
            sum(count for kind, count in violations.items() if kind.startswith(("serious", "critical")))
        ),
    }
    keep("serving_page", {"ms": rounds, "axe_violations": violations}, bars)


@app.command()
def pictures(run: Run = _DEMO) -> None:
    """The pictures of the README: a reason with its graph, teacher beside student in the dark, a phone."""
    _PICTURES.mkdir(exist_ok=True)
    with served(run, requests_per_minute=0) as server, _browser() as browser:
        page = _visit(browser, server.url, reduced_motion="reduce", **_DESKTOP)
        _example(page)
        _open_a_graph(page)
        _picture(page, "page.png")
        page = _visit(browser, server.url, reduced_motion="reduce", **_SCREENS["dark"])
        _example(page)
        for _ in range(2):  # the first trace of a server takes longer than any after it
            page.get_by_role("tab", name="Teacher beside student").click()
            page.wait_for_selector(".teach .decided")
            page.wait_for_selector(".explain .decided")
            page.get_by_role("tab", name="Recommendations").click()
            page.get_by_role("switch").first.click()
            page.wait_for_selector(".row .move")
            page.get_by_role("switch").first.click()
            page.wait_for_selector(".row .move", state="detached")
        page.get_by_role("tab", name="Teacher beside student").click()
        page.wait_for_selector(".explain .decided")
        page.mouse.move(0, 0)
        _picture(page, "page_dark.png")
        page = _visit(browser, server.url, reduced_motion="reduce", **_PHONE)
        _example(page)
        page.get_by_role("switch").nth(1).click()
        page.wait_for_selector(".row .move")
        _picture(page, "page_phone.png")


def _axe(page: Page) -> list[str]:
    """The impact of each violation."""
    return [each["impact"] for each in Axe().run(page).response["violations"]]


def _example(page: Page) -> None:
    page.get_by_role("button", name="Try an example history").click()
    page.wait_for_selector(".chip")
    page.wait_for_selector(".rows:not(.stale)")


def _open_a_graph(page: Page) -> None:
    """Open the first reason that starts from an item of the history."""
    for why in page.get_by_role("button", name="Why?").all():
        why.click()
        page.wait_for_selector(".decided")
        page.wait_for_timeout(300)
        if page.locator(".graph .other").count():
            return
        why.click()


def _picture(page: Page, name: str) -> None:
    page.evaluate("document.activeElement?.blur()")
    page.wait_for_timeout(300)
    path = _PICTURES / name
    # 256 colours are plenty for a page, and a third of the bytes.
    picture = Image.open(io.BytesIO(page.screenshot())).convert("RGB")
    picture.quantize(256, dither=Image.Dither.NONE).save(path, optimize=True)
    size = path.stat().st_size
    assert size < _MOST_BYTES, f"{path} has {size:,} bytes"
    print(path, f"{size:,} bytes")


if __name__ == "__main__":
    app()
