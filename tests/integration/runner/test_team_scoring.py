"""A team's own scorer, run as it will be: real files, a real process."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path

import pytest

from app.core.errors import ConfigurationError
from workbench.runner.team_scoring import TeamLimits, open_team_scorer
from workbench.scorers import ReasonCode, ScorerConfigError, ScoreResult, ScoreStatus, ScoringInput
from workbench.scorers.team import TeamScorer
from workbench.team_scorers import workspace_scorer

LIMITS = TeamLimits(seconds=1.0, start_seconds=20.0)


def write(root: Path, text: str, name: str = "politeness") -> None:
    folder = root / "scorers"
    folder.mkdir(exist_ok=True)
    (folder / f"{name}.py").write_text(textwrap.dedent(text), encoding="utf-8")


def resolved(root: Path, spec: str = "team.politeness") -> TeamScorer:
    scorer = workspace_scorer(root, spec)
    assert isinstance(scorer, TeamScorer)
    return scorer


async def scores(
    root: Path, outputs: Sequence[str | ScoringInput], spec: str = "team.politeness"
) -> list[ScoreResult]:
    given = [ScoringInput(output=o) if isinstance(o, str) else o for o in outputs]
    async with open_team_scorer(root, resolved(root, spec), LIMITS) as process:
        return [await process.score(item) for item in given]


async def test_a_function_that_returns_bool_says_right_or_wrong(tmp_path: Path) -> None:
    write(
        tmp_path,
        """
        def politeness(output: str) -> bool:
            return "please" in output
        """,
    )

    right, wrong = await scores(tmp_path, ["Sit, please.", "Sit."])

    assert (right.passed, right.value) == (True, 1.0)
    assert (wrong.passed, wrong.value) == (False, 0.0)


async def test_a_function_that_returns_float_grades_and_may_explain(tmp_path: Path) -> None:
    write(
        tmp_path,
        """
        def politeness(output: str) -> tuple[float, str] | None:
            return (len(output) / 10, "by length") if output else None
        """,
    )

    graded, nothing = await scores(tmp_path, ["12345", ""])

    assert (graded.value, graded.passed, graded.explanation) == (0.5, None, "by length")
    assert nothing.reason is ReasonCode.NOT_APPLICABLE


async def test_the_function_is_given_what_it_names_and_its_options(tmp_path: Path) -> None:
    write(
        tmp_path,
        """
        def politeness(
            output: str,
            expected: str | None,
            metadata: dict,
            cost: float | None,
            word: str = "please",
            least: int = 1,
        ) -> bool:
            return (output.count(word) >= least and expected == "yes"
                    and metadata == {"tier": "gold"} and cost == 0.25)
        """,
    )
    given = ScoringInput(
        output="bitte, bitte", expected="yes", metadata={"tier": "gold"}, cost=Decimal("0.25")
    )

    [result] = await scores(tmp_path, [given], "team.politeness:word=bitte,least=2")

    assert result.passed is True


async def test_other_files_of_the_workspace_can_be_imported(tmp_path: Path) -> None:
    write(tmp_path, "WORDS = ['please']\n", name="_words")
    write(
        tmp_path,
        """
        from scorers._words import WORDS

        def politeness(output: str) -> bool:
            return any(word in output for word in WORDS)
        """,
    )

    [result] = await scores(tmp_path, ["please"])

    assert result.passed is True


async def test_what_the_function_prints_does_not_disturb_its_answers(tmp_path: Path) -> None:
    write(
        tmp_path,
        """
        import os
        import sys

        print("loading")

        def politeness(output: str) -> bool:
            print('{"value": false}')
            print("warning", file=sys.stderr)
            os.write(1, b'{"value": false}\\n')
            assert sys.stdin.read() == ""
            return True
        """,
    )

    results = await scores(tmp_path, ["a", "b", "c"])

    assert [result.passed for result in results] == [True] * 3


@pytest.mark.parametrize(
    ("body", "reason", "told"),
    [
        ("raise KeyError(output)", ReasonCode.EXCEPTION, "stopped with KeyError"),
        ("raise SystemExit(0)", ReasonCode.EXCEPTION, "stopped with SystemExit"),
        ("return float('nan')", ReasonCode.OUT_OF_RANGE, "gave nan"),
        ("return float('inf')", ReasonCode.OUT_OF_RANGE, "gave inf"),
        ("return 1.5", ReasonCode.OUT_OF_RANGE, "gave 1.5"),
        ("return 10 ** 400", ReasonCode.OUT_OF_RANGE, "outside its range"),
        ("return -(10 ** 5000)", ReasonCode.OUT_OF_RANGE, "gave -inf, outside its range"),
        ("return 'good'", ReasonCode.WRONG_TYPE, "gave str and no float"),
        ("return (0.5, 3)", ReasonCode.WRONG_TYPE, "gave tuple with int"),
        ("os._exit(3)", ReasonCode.CRASHED, "ended its process"),
        ("os.kill(os.getpid(), 11)", ReasonCode.CRASHED, "ended its process"),
        ("time.sleep(60)", ReasonCode.TIME_LIMIT, "took longer than 1 s"),
        ("while True: pass", ReasonCode.TIME_LIMIT, "took longer than 1 s"),
        ("return len(bytearray(8 * 1024 ** 3))", ReasonCode.EXCEPTION, "MemoryError"),
    ],
)
async def test_a_fault_at_one_output_is_failed_and_never_zero_and_the_next_one_is_scored(
    tmp_path: Path, body: str, reason: ReasonCode, told: str
) -> None:
    write(
        tmp_path,
        f"""
        import os
        import time

        def politeness(output: str) -> float:
            if output == "secret":
                {body}
            return 0.25
        """,
    )

    before, fault, after = await scores(tmp_path, ["a", "secret", "b"])

    assert (before.value, after.value) == (0.25, 0.25)
    assert (fault.status, fault.value, fault.reason) == (ScoreStatus.FAILED, None, reason)
    assert told in fault.explanation
    assert "secret" not in fault.explanation


async def test_a_function_that_promised_bool_and_gives_a_number_is_failed(tmp_path: Path) -> None:
    write(tmp_path, "def politeness(output: str) -> bool:\n    return 1\n")

    [result] = await scores(tmp_path, ["a"])

    assert result.reason is ReasonCode.WRONG_TYPE


async def test_the_process_sees_no_secret_and_not_our_packages_from_the_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-canary")
    write(
        tmp_path,
        """
        import os

        def politeness(output: str) -> tuple[bool, str]:
            return "sk-canary" not in repr(os.environ), ",".join(sorted(os.environ))
        """,
    )

    [result] = await scores(tmp_path, ["a"])

    assert result.passed is True
    assert "KEY" not in result.explanation


async def test_the_same_outputs_give_the_same_scores_whatever_order_sets_have(
    tmp_path: Path,
) -> None:
    write(
        tmp_path,
        """
        def politeness(output: str) -> tuple[bool, str]:
            return True, "".join(set(output))
        """,
    )

    first = await scores(tmp_path, ["abcdefghij"])
    assert first == await scores(tmp_path, ["abcdefghij"])


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("import nothing_of_this_name\n", "ModuleNotFoundError"),
        ("1 / 0\n", "ZeroDivisionError"),
        ("import os\nos._exit(0)\n", "it ended"),
    ],
)
async def test_a_function_that_cannot_be_loaded_is_an_error_and_no_scores(
    tmp_path: Path, text: str, told: str
) -> None:
    write(tmp_path, text + "def politeness(output: str) -> bool:\n    return True\n")

    with pytest.raises(ConfigurationError, match=told):
        await scores(tmp_path, ["a"])


async def test_a_function_that_never_finishes_loading_is_given_up(tmp_path: Path) -> None:
    write(tmp_path, "while True: pass\ndef politeness(output: str) -> bool:\n    return True\n")
    limits = TeamLimits(start_seconds=0.5)

    with pytest.raises(ConfigurationError, match=r"not loaded within 0\.5 s"):
        async with open_team_scorer(tmp_path, resolved(tmp_path), limits):
            pass


async def test_a_function_that_ends_its_process_every_time_is_given_up(tmp_path: Path) -> None:
    write(tmp_path, "import os\ndef politeness(output: str) -> bool:\n    os._exit(1)\n")

    with pytest.raises(ConfigurationError, match="10 outputs in a row"):
        await scores(tmp_path, ["a"] * 11)


async def test_changed_code_is_another_scorer_and_the_old_one_is_not_run(tmp_path: Path) -> None:
    write(tmp_path, "def politeness(output: str) -> bool:\n    return True\n")
    old = resolved(tmp_path)
    write(tmp_path, "def politeness(output: str) -> bool:\n    return False\n")

    assert resolved(tmp_path).identity() != old.identity()
    with pytest.raises(ScorerConfigError, match="was changed"):
        async with open_team_scorer(tmp_path, old):
            pass


async def test_code_that_is_changed_while_it_scores_scores_nothing_in_the_old_name(
    tmp_path: Path,
) -> None:
    write(tmp_path, "import os\ndef politeness(output: str) -> bool:\n    os._exit(1)\n")

    with pytest.raises(ScorerConfigError, match="was changed"):
        async with open_team_scorer(tmp_path, resolved(tmp_path), LIMITS) as process:
            crashed = await process.score(ScoringInput(output="a"))
            write(tmp_path, "def politeness(output: str) -> bool:\n    return True\n")
            await process.score(ScoringInput(output="b"))
    assert crashed.reason is ReasonCode.CRASHED


async def test_a_function_that_forks_gives_each_output_its_own_answer_and_no_other(
    tmp_path: Path,
) -> None:
    write(
        tmp_path,
        """
        import os

        def politeness(output: str) -> tuple[bool, str]:
            return (False, "child") if os.fork() == 0 else (True, output)
        """,
    )

    results = await scores(tmp_path, [str(n) for n in range(20)])

    assert [result.explanation for result in results] == [str(n) for n in range(20)]
    assert all(result.passed for result in results)


async def test_an_answer_to_another_output_counts_as_none(tmp_path: Path) -> None:
    write(
        tmp_path,
        """
        import os

        def politeness(output: str) -> bool:
            for pipe in range(3, 10):
                try:
                    os.write(pipe, b'{"value": false, "number": 1}\\n')
                except OSError:
                    pass
            return True
        """,
    )

    before, after = await scores(tmp_path, ["a", "b"])

    assert before.passed is False  # it forged its own answer, which it may choose anyway
    assert after.reason is ReasonCode.CRASHED


async def test_a_type_that_only_sounds_right_is_named_with_its_module(tmp_path: Path) -> None:
    write(
        tmp_path,
        """
        import numpy

        def politeness(output: str) -> bool:
            return numpy.bool_(True)
        """,
    )

    [result] = await scores(tmp_path, ["a"])

    assert "gave numpy.bool and no bool" in result.explanation


async def test_nothing_is_left_running(tmp_path: Path) -> None:
    write(
        tmp_path,
        """
        import os
        import subprocess

        def politeness(output: str) -> tuple[bool, str]:
            child = subprocess.Popen(["sleep", "60"])
            return True, f"{os.getpid()} {child.pid}"
        """,
    )

    [result] = await scores(tmp_path, ["a"])

    worker, child = (int(pid) for pid in result.explanation.split())
    assert not running(worker)
    assert not running(child)


def running(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state not in "ZX"
