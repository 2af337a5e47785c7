"""What pages are made of: long texts, tables to take away, verdicts."""

from __future__ import annotations

import csv
import io

import pandas as pd
import pytest
from streamlit.testing.v1 import AppTest

from tests.dashboard.hostile import HUGE, PAYLOADS
from workbench.dashboard.elements import csv_bytes
from workbench.dashboard.verdicts import VERDICTS, chip, verdict_text
from workbench.statistics.verdict import Verdict


def rows(frame: pd.DataFrame) -> list[list[str]]:
    return list(csv.reader(io.StringIO(csv_bytes(frame).decode("utf-8-sig"), newline="")))


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\n=1", " =1"])
def test_no_cell_and_no_heading_is_taken_for_a_formula(text: str) -> None:
    heading, [cell] = rows(pd.DataFrame({text: [text]}))
    assert heading == [f"'{text}"]
    assert cell == f"'{text}"


def test_numbers_and_missing_values_stay_as_they_are() -> None:
    assert rows(pd.DataFrame({"value": [-1.5, None], "name": ["a", None]})) == [
        ["value", "name"],
        ["-1.5", "a"],
        ["", ""],
    ]


def test_every_payload_can_be_taken_away_and_read_back() -> None:
    texts = [text[:500] for text in PAYLOADS.values()]
    found = [row[0].removeprefix("'") for row in rows(pd.DataFrame({"text": texts}))[1:]]
    assert found == texts


def draw_long_texts(text: str) -> None:
    from workbench.dashboard import elements

    for label in ("first", "[second](https://collector.example)"):
        elements.plain(text, label=label)


def test_the_same_long_text_may_stand_twice_on_a_page_and_is_a_download() -> None:
    test = AppTest.from_function(draw_long_texts, kwargs={"text": HUGE}).run()

    assert not test.exception
    assert [len(it.value) for it in test.code] == [20_000] * 2
    assert any("1,048,586" in it.value for it in test.caption)
    assert not any("](" in it.value for it in test.caption)


def test_the_length_counts_characters_of_the_text_and_not_of_what_is_written_out() -> None:
    test = AppTest.from_function(draw_long_texts, kwargs={"text": "\u200b" * 20_000}).run()

    assert not test.exception
    assert test.code[0].value == "⟨U+200B⟩" * 20_000
    assert len(test.caption) == 2  # the labels: nothing was cut off


def draw_verdicts() -> None:
    from workbench.dashboard import elements
    from workbench.dashboard.verdicts import VERDICTS

    for verdict in (*VERDICTS, "from_the_[future](x)"):
        elements.verdict_badge(verdict)


def test_every_verdict_is_a_word_and_not_only_a_colour() -> None:
    test = AppTest.from_function(draw_verdicts).run()

    assert not test.exception
    drawn = [it.value for it in test.markdown]
    assert all(chip(verdict).word in text for verdict, text in zip(VERDICTS, drawn, strict=False))


def test_there_is_a_chip_for_each_verdict_that_the_statistics_know() -> None:
    assert set(VERDICTS) == {str(verdict) for verdict in Verdict}
    assert len({it.symbol for it in VERDICTS.values()}) == len(VERDICTS)
    assert verdict_text("superior") == "▲ superior"


def test_a_verdict_of_a_newer_server_keeps_its_own_word() -> None:
    assert verdict_text("much_better") == "· much better"
