"""A team's own scorers, read from their files: what they are, and what identifies them."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.core.hashing import JSON, content_hash
from workbench.scorers import ScorerConfigError, parse_scorer
from workbench.scorers.team import TeamFunction, TeamScorer, read_function
from workbench.team_scorers import check_source, team_function, team_names, workspace_scorer

PLAIN = "def mine(output: str) -> bool: ...\n"
GRADED = '''
VERSION = 3

def mine(output: str, expected: str | None, *, words: list[str], least: int = 2) -> float | None:
    """How kind
    it is.

    More of it.
    """
'''


def write(root: Path, name: str, text: str) -> None:
    file = root / "scorers" / name
    file.parent.mkdir(exist_ok=True)
    file.write_text(text, encoding="utf-8")


def named(root: Path, spec: str | dict[str, JSON] = "team.mine") -> TeamScorer:
    scorer = workspace_scorer(root, spec)
    assert isinstance(scorer, TeamScorer)
    return scorer


def test_a_function_says_by_its_signature_what_it_takes_and_gives() -> None:
    function = read_function("mine", GRADED)

    assert (function.name, function.version, function.binary) == ("team.mine", 3, False)
    assert function.summary == "How kind it is."
    assert function.inputs == ("output", "expected")
    assert [(o.name, o.kind, o.default) for o in function.options] == [
        ("words", "list of texts", None),
        ("least", "whole number", 2),
    ]
    assert function.required == {"words"}


@pytest.mark.parametrize(
    ("returns", "binary"),
    [
        ("bool", True),
        ("bool | None", True),
        ("tuple[bool, str]", True),
        ("tuple[bool, str] | None", True),
        ("float", False),
        ("int", False),
        ("float | bool", False),
        ("tuple[float, str]", False),
        ("'float'", False),
    ],
)
def test_the_return_type_says_whether_it_is_binary(returns: str, binary: bool) -> None:
    assert read_function("mine", f"def mine(output) -> {returns}: ...").binary is binary


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("def mine(", "no Python"),
        ("(" * 100_000, "no Python"),
        ("\0", "no Python"),
        ("def other(output) -> bool: ...", "defines no function mine"),
        ("async def mine(output) -> bool: ...", "defines no function mine"),
        ("class mine: ...", "defines no function mine"),
        ("def mine(output): ...", "say what the function returns"),
        ("def mine(output) -> str: ...", "say what the function returns"),
        ("def mine(output) -> None: ...", "say what the function returns"),
        ("def mine(output) -> dict[str, float]: ...", "say what the function returns"),
        ("def mine() -> bool: ...", "parameter output"),
        ("def mine(word: str = 'a') -> bool: ...", "parameter output"),
        ("def mine(*output) -> bool: ...", "leave out"),
        ("def mine(output, /) -> bool: ...", "leave out"),
        ("def mine(output, **options) -> bool: ...", "leave out"),
        ("def mine(output, word='a') -> bool: ...", "needs a type"),
        ("def mine(output, word: Path = 'a') -> bool: ...", "needs a type"),
        ("def mine(output, word: str = open('x')) -> bool: ...", "must be a plain value"),
        ("VERSION = 'two'\n" + PLAIN, "VERSION"),
        ("VERSION = 0\n" + PLAIN, "VERSION"),
        ("VERSION = True\n" + PLAIN, "VERSION"),
        ("VERSION = int(input())\n" + PLAIN, "VERSION"),
    ],
)
def test_a_file_that_cannot_serve_is_refused_in_a_sentence(text: str, part: str) -> None:
    with pytest.raises(ScorerConfigError, match=part) as caught:
        read_function("mine", text)
    assert caught.value.message.endswith(".")


@given(text=st.text(alphabet="def mine(output:str)->bol,=*/\n\t'1"))
def test_any_text_is_described_or_refused_and_never_run(text: str) -> None:
    try:
        assert isinstance(read_function("mine", text), TeamFunction)
    except ScorerConfigError as error:
        assert error.message.endswith(".")


def test_reading_runs_nothing(tmp_path: Path) -> None:
    canary = tmp_path / "ran"
    write(tmp_path, "mine.py", f"open({str(canary)!r}, 'w')\n" + PLAIN)

    named(tmp_path)
    team_function(tmp_path, "team.mine")

    assert not canary.exists()


def test_the_folder_is_listed_without_helpers(tmp_path: Path) -> None:
    assert team_names(tmp_path) == []
    for name in ("mine.py", "also.py", "_words.py", "notes.txt", "two words.py"):
        write(tmp_path, name, PLAIN)

    assert team_names(tmp_path) == ["team.also", "team.mine"]


@pytest.mark.parametrize(
    "name", ["team.", "team.yours", "team.../secret", "team._words", "team.a b"]
)
def test_a_name_without_a_file_of_the_folder_is_refused(tmp_path: Path, name: str) -> None:
    write(tmp_path, "mine.py", PLAIN)
    write(tmp_path, "_words.py", PLAIN)

    with pytest.raises(ScorerConfigError, match=r"There are: team\.mine\."):
        workspace_scorer(tmp_path, name)


def test_text_and_mapping_name_the_same_scorer_with_its_options(tmp_path: Path) -> None:
    write(tmp_path, "mine.py", GRADED)

    text = named(tmp_path, "team.mine:words=please, thanks,least=3")
    mapping = named(tmp_path, {"name": "team.mine", "words": ["please", "thanks"], "least": 3})

    assert text.identity() == mapping.identity()
    assert text.config.options == {"words": ["please", "thanks"], "least": 3}


@pytest.mark.parametrize(
    ("spec", "part"),
    [
        ("team.mine", "give words"),
        ("team.mine:word=a", "did you mean 'words'"),
        ({"name": "team.mine", "words": "a"}, r"words \(list of texts\) cannot be 'a'"),
        ({"name": "team.mine", "words": [1]}, "words"),
        ({"name": "team.mine", "words": [], "least": "2"}, r"least \(whole number\)"),
        ({"name": "team.mine", "words": [], "least": True}, "least"),
        ({"name": "team.mine", "words": [], "least": 1.5}, "least"),
    ],
)
def test_options_that_do_not_fit_the_signature_are_refused(
    tmp_path: Path, spec: str | dict[str, JSON], part: str
) -> None:
    write(tmp_path, "mine.py", GRADED)

    with pytest.raises(ScorerConfigError, match=part):
        workspace_scorer(tmp_path, spec)


def test_the_record_names_the_same_scorer_again(tmp_path: Path) -> None:
    write(tmp_path, "mine.py", GRADED)
    scorer = named(tmp_path, "team.mine:words=please")
    identity = scorer.identity()
    config = identity["config"]
    assert isinstance(config, dict)

    again = parse_scorer({"name": identity["name"], **config})

    assert content_hash(again.identity()) == content_hash(identity)
    assert (again.binary, again.version, again.range) == (False, 3, (0.0, 1.0))


def test_every_change_of_the_code_it_runs_makes_it_another_scorer(tmp_path: Path) -> None:
    write(tmp_path, "mine.py", "from scorers._words import WORDS\n" + PLAIN)
    write(tmp_path, "_words.py", "import shared.lists\nWORDS = ['a']\n")
    write(tmp_path, "other.py", PLAIN)
    shared = tmp_path / "shared"
    shared.mkdir()
    (shared / "__init__.py").write_text("")
    (shared / "lists.py").write_text("MORE = 1\n")
    seen = [named(tmp_path)]

    for path, text in (
        (tmp_path / "scorers" / "_words.py", "import shared.lists\nWORDS = ['b']\n"),
        (shared / "lists.py", "MORE = 2\n"),
        (shared / "__init__.py", "ALL = 3\n"),
        (tmp_path / "scorers" / "mine.py", "from scorers._words import WORDS\n\n" + PLAIN),
    ):
        path.write_text(text)
        seen.append(named(tmp_path))
    (tmp_path / "scorers" / "other.py").write_text("# not its code\n" + PLAIN)

    hashes = [content_hash(scorer.identity()) for scorer in seen]
    assert len(set(hashes)) == len(hashes)
    check_source(tmp_path, seen[-1])
    with pytest.raises(ScorerConfigError, match="was changed"):
        check_source(tmp_path, seen[0])


def test_a_scorer_from_a_file_is_no_scorer_outside_its_workspace() -> None:
    with pytest.raises(ScorerConfigError, match="function of a workspace"):
        parse_scorer("team.mine")


def test_a_file_that_is_too_large_or_no_text_is_refused(tmp_path: Path) -> None:
    write(tmp_path, "mine.py", PLAIN + "#" * 200_000)
    with pytest.raises(ScorerConfigError, match="at most 200,000"):
        workspace_scorer(tmp_path, "team.mine")

    (tmp_path / "scorers" / "mine.py").write_bytes(b"\xff")
    with pytest.raises(ScorerConfigError, match="not UTF-8"):
        workspace_scorer(tmp_path, "team.mine")


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("from ._words import WORDS", "`from scorers._words import WORDS`"),
        ("from . import _words", "`from scorers import _words`"),
        ("from ..shared import lists", "`from shared import lists`"),
        ("from .. import shared", "`import shared`"),
    ],
)
def test_an_import_that_would_escape_the_hash_is_refused(
    tmp_path: Path, line: str, told: str
) -> None:
    write(tmp_path, "mine.py", f"{line}\n{PLAIN}")
    write(tmp_path, "_words.py", "WORDS = ['a']\n")

    with pytest.raises(ScorerConfigError, match=r"scorers/mine\.py, line 1") as caught:
        named(tmp_path)
    assert told in caught.value.message
