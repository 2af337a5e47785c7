"""What both kinds of evaluation work with: the open workspace, the question, what was noted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from app.bootstrap import Services
from app.core.errors import ConfigurationError
from app.core.permissions import Actor
from app.core.templating import compile_template
from app.schemas.datasets import DatasetVersionView
from app.schemas.names import parse_reference
from app.schemas.prompts import MessageTemplate, PromptContent, Variable
from workbench.evaluation.question import Prompt, Question
from workbench.evaluation.result import Evaluation, Status
from workbench.workspace.dataset_files import import_file, import_rows

if TYPE_CHECKING:
    import pandas

__all__ = ["Desk"]

_INLINE: Final = "inline"  # the name of prompts and datasets that are given as they are


@dataclass(frozen=True)
class Desk:
    """One evaluation over an open workspace; `notes` grow while it goes on."""

    services: Services
    actor: Actor
    root: Path
    question: Question
    notes: list[str] = field(default_factory=list)

    async def dataset(
        self,
        given: str | Path | Sequence[Mapping[str, Any]] | pandas.DataFrame,
        *,
        inputs: Sequence[str],
        expected: str | None,
        key: str | None,
    ) -> DatasetVersionView:
        """Return the version that was named, or make it of a file or of rows."""
        services, actor, note = self.services, self.actor, self.notes.append
        if isinstance(given, (str, Path)):
            path = Path(given)
            if isinstance(given, str) and ("@" in given or not path.suffix):
                return await services.datasets.get(parse_reference(given, noun="dataset"))
            return await import_file(
                services, actor, path, inputs=inputs, expected=expected, key=key, note=note
            )
        return await import_rows(
            services,
            actor,
            _rows(given),
            name=_INLINE,
            inputs=inputs,
            expected=expected,
            key=key,
            note=note,
        )

    async def reference(self, prompt: Prompt) -> str:
        """Return a reference or a path for a prompt; content is stored as a draft."""
        if isinstance(prompt, Path):
            return str(prompt)
        if isinstance(prompt, str) and "{{" not in prompt:
            return prompt
        content = prompt if isinstance(prompt, PromptContent) else _user_message(prompt)
        stored = await self.services.prompts.register(self.actor, _INLINE, content, number=None)
        return stored.version.reference

    def evaluation(
        self,
        status: Status,
        experiment: int | None,
        counts: Mapping[str, Mapping[str, int]],
        results: Sequence[Mapping[str, Any]],
    ) -> Evaluation:
        """Return what came of it; each note is told once."""
        return Evaluation(
            status=status,
            experiment=experiment,
            counts=counts,
            comparisons=tuple(results),
            notes=tuple(dict.fromkeys(self.notes)),
            workspace=self.root,
        )


def _rows(given: Sequence[Mapping[str, Any]] | pandas.DataFrame) -> Sequence[Mapping[str, Any]]:
    """Return rows as they are, and those of a DataFrame with None for what is missing."""
    if isinstance(given, Sequence) and all(isinstance(row, Mapping) for row in given):
        return given
    if isinstance(given, Sequence) or not hasattr(given, "to_dict"):
        raise ConfigurationError(
            "dataset is a version (triage@1), a file, a list of rows (dicts) or a DataFrame.",
            path="dataset",
        )
    plain = given.astype(object).where(given.notna(), None)
    rows: list[Mapping[str, Any]] = plain.to_dict("records")
    return rows


def _user_message(text: str) -> PromptContent:
    names = compile_template(text).names
    return PromptContent(
        messages=(MessageTemplate(role="user", content=text),),
        variables={name: Variable(type="any") for name in names},
    )
