"""Pictures of every page of the dashboard, at two widths, of the demo workspace:

python -m tests.browser.screenshots docs/images [PAGE ...]
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import Final

from tests.browser.served import Served, fill, make_demo, serve
from tests.browser.window import DESKTOP, PHONE, Size, Window, chromium, window
from workbench.client import Client, comparisons, experiments, generations
from workbench.dashboard.elements import page_url
from workbench.dashboard.pages import PAGES

_SIZES: Final[dict[str, Size]] = {"desktop": DESKTOP, "phone": PHONE}
_TALLEST: Final = 3_000  # pixels
_HEIGHT: Final = """
() => Math.ceil(document.querySelector('[data-testid="stMain"]').scrollHeight)
"""


def main(folder: Path, wanted: list[str]) -> None:
    """Write `experiments-desktop.png` and so on; without `wanted` every page."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as temporary:
        workspace = Path(temporary) / "workspace"
        with serve(workspace, make_demo(workspace)) as served, chromium() as browser:
            fill(served)
            addresses = {name: at for name, at in _addresses(served).items() if _is(name, wanted)}
            address = served.sign_in_address
            state = None
            for kind, size in _SIZES.items():
                with window(browser, served.dashboard, size=size, state=state) as opened:
                    if state is None:
                        opened.page.goto(address)
                        opened.settle()
                        state = opened.context.storage_state()
                    for name, at in addresses.items():
                        _take(opened, at, folder / f"{name}-{kind}.png", size)
                    for problem in opened.problems:
                        print(problem, file=sys.stderr)


def _is(name: str, wanted: list[str]) -> bool:
    return not wanted or any(name.startswith(word) for word in wanted)


def _addresses(served: Served) -> dict[str, str]:
    """Return each page with its name, and what is looked at within some of them."""
    found = {page.path: page_url(page.path) for page in PAGES}
    with Client(served.url, served.key) as client:
        summary = next(iter(client.all(experiments.overview())))
        found["experiments-one"] = page_url("experiments", number=summary.number)
        compared = next(iter(client.all(comparisons.listing(experiment=summary.number))))
        found["compare-one"] = page_url("compare", id=str(compared.id))
        generation = client.send(generations.page({}, limit=1)).items[0]
        found["generations-one"] = page_url("generations", id=str(generation.id))
    found["prompts-one"] = page_url("prompts", name="support-triage")
    found["datasets-one"] = page_url("datasets", name="support-triage")
    found["models-one"] = page_url("models", model="simulated/large")
    return found


def _take(opened: Window, address: str, file: Path, size: Size) -> None:
    page = opened.open_page(address)
    height = min(max(page.evaluate(_HEIGHT), size[1]), _TALLEST)
    page.set_viewport_size({"width": size[0], "height": height})
    opened.settle()
    page.screenshot(path=file, animations="disabled")
    page.set_viewport_size({"width": size[0], "height": size[1]})


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
