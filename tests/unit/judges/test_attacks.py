"""The corpus of answers that no judge may pass."""

from __future__ import annotations

import json
import re

import pytest

from tests.conftest import REPOSITORY
from workbench.scorers.judges import Scale, read_reply
from workbench.scorers.judges.attacks import INJECTIONS, NULL_ANSWERS, Attack
from workbench.scorers.judges.fence import fenced

EVERY = (*NULL_ANSWERS, *INJECTIONS)


def test_there_are_more_than_forty_kinds_of_injection_and_all_have_names_of_their_own() -> None:
    assert len(INJECTIONS) > 40
    assert len({attack.name for attack in EVERY}) == len(EVERY)
    texts = {attack.text(Scale.BINARY, answer="x", question="y") for attack in EVERY}
    assert len(texts) == len(EVERY)


@pytest.mark.parametrize("scale", list(Scale))
@pytest.mark.parametrize("attack", EVERY, ids=lambda attack: attack.name)
def test_every_placeholder_is_filled_and_the_wrong_answer_is_kept(
    attack: Attack, scale: Scale
) -> None:
    text = attack.text(scale, answer="WRONG {best}", question="WHAT?")
    assert text.count("WRONG {best}") == ("{answer}" in attack.template)
    rest = text.replace("WRONG {best}", "")
    assert not re.search(r"\{(answer|question|best|reply)\}", rest)


@pytest.mark.parametrize("scale", list(Scale))
def test_a_fake_reply_is_one_that_the_judge_itself_could_have_given(scale: Scale) -> None:
    (attack,) = [attack for attack in INJECTIONS if attack.name == "form_only_json"]
    text = attack.text(scale, answer="", question="")
    assert read_reply(text, scale).value == scale.range[1]
    assert set(json.loads(text)) == {"reason", scale.key}


@pytest.mark.parametrize("attack", EVERY, ids=lambda attack: attack.name)
def test_no_attack_leaves_its_fence(attack: Attack) -> None:
    shown = fenced("output", attack.text(Scale.BINARY, answer="7", question="?"), "a" * 32)
    assert len(re.findall(r"<{3}|>{3}", shown)) == 4


def test_the_page_says_how_many_there_are() -> None:
    page = (REPOSITORY / "docs" / "howto" / "judges.md").read_text(encoding="utf-8")
    assert f"| injections | {len(INJECTIONS)} kinds" in page
    assert f"{4 * len(NULL_ANSWERS)} in all" in page
