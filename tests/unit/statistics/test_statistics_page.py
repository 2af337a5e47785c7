"""The page about the statistics names what the code knows."""

from pathlib import Path

from workbench.statistics.effect import Method
from workbench.statistics.verdict import Verdict
from workbench.statistics.warnings import CONDITIONS

PAGE = (Path(__file__).parents[3] / "docs" / "explanation" / "statistics.md").read_text("utf-8")


def test_every_verdict_and_method_is_explained() -> None:
    for word in (*Verdict, *Method):
        assert f"`{word}`" in PAGE


def test_every_warning_is_listed_with_whether_it_blocks() -> None:
    for code, condition in CONDITIONS.items():
        assert f"| `{code}` | {'B' if condition.blocking else 'W'} |" in PAGE
