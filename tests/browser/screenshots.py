"""Pictures of every page of the dashboard, at two widths, of the demo workspace:

python -m tests.browser.screenshots docs/images [VIEW ...]
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Final

from PIL import Image
from playwright.sync_api import Browser

from tests.browser.served import ALIAS, Served, fill, make_demo, serve
from tests.browser.window import DESKTOP, PHONE, Size, Window, chromium, window
from workbench.client import Client, comparisons, datasets, experiments, generations
from workbench.dashboard.elements import page_url
from workbench.dashboard.pages import PAGES

_SIZES: Final[dict[str, Size]] = {"desktop": DESKTOP, "phone": PHONE}
_TALLEST: Final = 4_000  # pixels
_COLOURS: Final = 256
_HEIGHT: Final = """
() => Math.ceil(document.querySelector('[data-testid="stMain"]').scrollHeight)
"""


@dataclass(frozen=True)
class _View:
    """What is looked at: an address, and what is done there first."""

    address: str
    act: Callable[[Window], None] = Window.settle


def main(folder: Path, wanted: list[str]) -> None:
    """Write `experiments-desktop.png` and so on; without `wanted` every view."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as temporary:
        workspace = Path(temporary) / "workspace"
        with serve(workspace, make_demo(workspace)) as served, chromium() as browser:
            fill(served)
            _take_all(browser, served, folder, wanted)


def _take_all(browser: Browser, served: Served, folder: Path, wanted: list[str]) -> None:
    views = {name: view for name, view in _views(served).items() if _is(name, wanted)}
    with window(browser, served.dashboard) as first:
        first.page.goto(served.sign_in_address)
        first.settle()
        state = first.context.storage_state()
    for kind, size in _SIZES.items():
        if _is("sign-in", wanted):
            with window(browser, served.dashboard, size=size) as opened:
                opened.page.goto(f"{served.dashboard}/sign-in")
                _write(opened, folder / f"sign-in-{kind}.png")
        with window(browser, served.dashboard, size=size, state=state) as opened:
            for name, view in views.items():
                _take(opened, view, folder / f"{name}-{kind}.png", size)
            for problem in opened.problems:
                print(problem, file=sys.stderr)


def _is(name: str, wanted: list[str]) -> bool:
    return not wanted or any(name.startswith(word) for word in wanted)


def _views(served: Served) -> Mapping[str, _View]:
    """Return each page with its name, and what is looked at within them."""
    found = {page.path: _View(page_url(page.path)) for page in PAGES}
    with Client(served.url, served.key) as client:
        number = next(iter(client.all(experiments.overview()))).number
        compared = str(next(iter(client.all(comparisons.listing(experiment=number)))).id)
        chat = client.send(generations.page({"alias": ALIAS}, limit=1)).items[0]
        example = next(iter(client.all(datasets.examples("support-triage@1"))))
    prompt = "support-triage"
    return found | {
        "experiment": _View(page_url("experiments", number=number)),
        "experiment-form": _View(
            page_url(
                "experiments",
                new="1",
                dataset="support-triage@1",
                prompt="support-triage@2",
                model="simulated/small@1",
                scorer="exact_match",
            )
        ),
        "comparison": _View(page_url("compare", id=compared)),
        "comparison-better": _View(page_url("compare", id=compared, direction="Better")),
        "prompt": _View(page_url("prompts", name=prompt)),
        "prompt-changes": _View(
            page_url("prompts", name=prompt, view="Changes", before="1", after="3")
        ),
        "prompt-playground": _View(page_url("prompts", name=prompt, view="Playground"), _answered),
        "dataset": _View(page_url("datasets", name="support-triage")),
        "dataset-example": _View(page_url("datasets", name="support-triage", key=example.key)),
        "model": _View(page_url("models", model="simulated/large")),
        "generation": _View(page_url("generations", id=str(chat.id)), _replayed),
    }


def _answered(opened: Window) -> None:
    with opened.rerun():
        field = opened.page.get_by_label("Value of ticket", exact=True)
        field.fill("I was charged twice for May.")
        field.blur()
    with opened.rerun():
        opened.page.get_by_role("button", name="Run", exact=True).click()


def _replayed(opened: Window) -> None:
    with opened.rerun():
        opened.page.get_by_role("button", name="Check the replay").click()


def _take(opened: Window, view: _View, file: Path, size: Size) -> None:
    page = opened.open_page(view.address)
    view.act(opened)
    height = min(max(page.evaluate(_HEIGHT), size[1]), _TALLEST)
    page.set_viewport_size({"width": size[0], "height": height})
    page.evaluate("document.querySelector('[data-testid=stMain]').scrollTo(0, 0)")
    opened.settle()
    _write(opened, file)
    page.set_viewport_size({"width": size[0], "height": size[1]})


def _write(opened: Window, file: Path) -> None:
    """Write a small file: a page has few colours."""
    with Image.open(BytesIO(opened.page.screenshot(animations="disabled"))) as picture:
        few = picture.convert("RGB").quantize(_COLOURS, kmeans=1, dither=Image.Dither.NONE)
        few.save(file, optimize=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
