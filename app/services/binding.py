"""Which input column fills which prompt variable. Pure.

By name; a lone variable and a lone input bind under any name; `--map variable=column`
overrides. A mismatch is an error before the first call, and names both sides.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from app.core.errors import Invalid
from app.schemas.datasets import MESSAGE_INPUT
from app.schemas.prompts import PromptContent

__all__ = ["bind_variables"]


def bind_variables(
    prompt: str,
    content: PromptContent,
    dataset: str,
    input_names: Sequence[str],
    mapping: Mapping[str, str],
) -> dict[str, str]:
    """Return the column for each variable; optional variables without a column are left out.

    `prompt` and `dataset` are references for the error's sentence. `mapping` may name
    variables of other prompts of the same experiment: those are ignored here. A prompt
    without variables binds nothing: it is sent a chat's turns, the last one included.
    """
    variables = content.variables
    binding = {name: column for name, column in mapping.items() if name in variables}
    for name, column in binding.items():
        if column not in input_names:
            raise _mismatch(prompt, content, dataset, input_names, f"{name}={column}: no column")
    open_names = [name for name in variables if name not in binding]
    binding.update({name: name for name in open_names if name in input_names})
    missing = [n for n in open_names if n not in input_names and variables[n].required]
    if len(variables) == 1 and len(input_names) == 1 and missing:
        return {missing[0]: input_names[0]}
    if missing:
        raise _mismatch(prompt, content, dataset, input_names, f"nothing fills {missing[0]!r}")
    if not variables and MESSAGE_INPUT not in input_names:
        raise _mismatch(
            prompt,
            content,
            dataset,
            input_names,
            "the prompt uses no variable, so that every request would be the same",
            hint=None,
        )
    return binding


def _mismatch(
    prompt: str,
    content: PromptContent,
    dataset: str,
    input_names: Sequence[str],
    problem: str,
    *,
    hint: str | None = "Bind them with --map variable=column.",
) -> Invalid:
    wanted = ", ".join(content.variables) or "none"
    given = ", ".join(input_names) or "none"
    return Invalid(
        f"{prompt} and {dataset} do not fit: {problem}. "
        f"Variables of the prompt: {wanted}. Input columns of the dataset: {given}.",
        path="map",
        hint=hint,
    )
