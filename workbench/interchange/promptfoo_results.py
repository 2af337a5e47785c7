"""Results as promptfoo writes them, so that its viewer and scripts read ours.

Form 3 of its results file (`EvaluateSummaryV3` in promptfoo's `src/types/index.ts`). promptfoo
knows passed and failed only: what nothing judged is told as an error, so that it can raise no
pass rate, and graded scores are among `namedScores`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import IO

from app.core.hashing import JSON
from workbench.interchange.result_rows import ResultRow, Rows, Title, json_bytes

__all__ = ["write_promptfoo_results"]


async def write_promptfoo_results(title: Title, rows: Rows, file: IO[bytes]) -> int:
    """Write `results` as they come, then `prompts` and `stats` over them; return the count."""
    stats = dict.fromkeys(("successes", "failures", "errors"), 0)
    tokens = {"prompt": 0, "completion": 0}
    prompts: dict[str, dict[str, JSON]] = {}
    tests: dict[tuple[str, int], int] = {}
    count = 0
    file.write(b'{"evalId":' + json_bytes(f"eval-{title.name}") + b',"results":{"version":3,')
    file.write(b'"timestamp":' + json_bytes(title.created_at) + b',"results":[')
    async for row in rows:
        prompt = prompts.setdefault(row.run, _prompt(row))
        place = list(prompts).index(row.run)
        test = tests.setdefault((row.key, row.repetition), len(tests))
        result = _result(row, prompt, place, test)
        stats[("successes", "failures", "errors")[_failure_reason(row)]] += 1
        tokens["prompt"] += row.input_tokens or 0
        tokens["completion"] += row.output_tokens or 0
        file.write((b"," if count else b"") + json_bytes(result))
        count += 1
    usage = {**tokens, "total": sum(tokens.values()), "cached": 0, "numRequests": count}
    file.write(b'],"prompts":' + json_bytes([*prompts.values()]))
    file.write(b',"stats":' + json_bytes({**stats, "tokenUsage": usage}) + b"},")
    file.write(b'"config":' + json_bytes({"description": title.name}))
    file.write(b',"shareableUrl":null}\n')
    return count


def _prompt(row: ResultRow) -> dict[str, JSON]:
    return {
        "raw": row.prompt or row.run,
        "label": row.prompt or row.run,
        "id": row.run,
        "provider": _provider(row),
    }


def _provider(row: ResultRow) -> str:
    """Return promptfoo's form of a model: `openai:gpt-4.1`."""
    return (row.model or row.run).partition("@")[0].replace("/", ":", 1)


def _failure_reason(row: ResultRow) -> int:
    """0: passed; 1: a scorer refused it; 2: there is nothing to judge by, or a scorer failed."""
    broken = any(score.status == "failed" for score in row.scores.values())
    if row.status != "completed" or row.passed is None or broken:
        return 2
    return 0 if row.passed else 1


def _why_no_verdict(row: ResultRow) -> str:
    if row.status != "completed":
        return row.status
    failed = [name for name, score in row.scores.items() if score.status == "failed"]
    return f"failed: {', '.join(failed)}" if failed else "no scorer judged this output"


def _result(
    row: ResultRow, prompt: Mapping[str, JSON], prompt_index: int, test_index: int
) -> dict[str, JSON]:
    values = {name: s.value for name, s in row.scores.items() if s.value is not None}
    mean = sum(values.values()) / len(values) if values else 0.0
    reason = _failure_reason(row)
    components: list[JSON] = [
        {
            "pass": score.passed is not False,
            "score": score.value,
            "reason": score.explanation or score.status,
            "assertion": {"type": "equals", "metric": name},
        }
        for name, score in row.scores.items()
        if score.value is not None
    ]
    error = row.error or row.error_code
    if reason == 2 and error is None:
        error = _why_no_verdict(row)
    tested: dict[str, JSON] = {
        "vars": row.input if isinstance(row.input, Mapping) else {},
        "description": row.key,
        "assert": [],
    }
    usage: dict[str, JSON] = {}
    if row.input_tokens is not None and row.output_tokens is not None:
        total = row.input_tokens + row.output_tokens
        usage = {"prompt": row.input_tokens, "completion": row.output_tokens, "total": total}
    result: dict[str, JSON] = {
        "id": row.generation_id,
        "promptIdx": prompt_index,
        "testIdx": test_index,
        "promptId": prompt["id"],
        "prompt": {"raw": prompt["raw"], "label": prompt["label"]},
        "provider": {"id": _provider(row), "label": row.run},
        "testCase": tested,
        "vars": tested["vars"],
        "response": {"output": row.output or "", "tokenUsage": usage, "cached": row.reused},
        "success": reason == 0,
        "score": mean,
        "failureReason": reason,
        "latencyMs": row.latency_ms or 0,
        "namedScores": values,
        "gradingResult": {
            "pass": reason == 0,
            "score": mean,
            "reason": error or ("passed" if reason == 0 else "a scorer refused it"),
            "componentResults": components,
        },
        "metadata": {"status": row.status, "repetition": row.repetition},
    }
    if row.cost is not None:
        result["cost"] = row.cost
    if reason == 2:
        result["error"] = error
    return result
