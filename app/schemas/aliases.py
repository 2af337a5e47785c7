"""Aliases at the boundary: how one is written, what it points to, what it lets its callers do."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, Final, Literal
from uuid import UUID

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    TypeAdapter,
    ValidationError,
    model_validator,
)

from app.core.canary import BUCKETS
from app.core.errors import Invalid
from app.core.guards import Guard
from app.core.parameters import PARAMETER_NAMES
from app.schemas.names import parse_reference

__all__ = [
    "AliasSettings",
    "AliasView",
    "CanaryRequest",
    "DeploymentKind",
    "DeploymentRequest",
    "DeploymentTargetView",
    "DeploymentView",
    "DisableRequest",
    "GuardSettings",
    "HistorySettings",
    "MoveRequest",
    "RollbackPlan",
    "RollbackRequest",
    "SettingsRequest",
    "TargetRole",
    "VariantText",
    "is_alias",
    "parse_alias",
    "read_deployment_request",
]

TargetRole = Literal["primary", "canary", "fallback"]
DeploymentKind = Literal["move", "settings", "rollback", "disable"]

# What stands after @ in a prompt's reference is a number or hexadecimal digits; so that nobody
# has to guess which of the two is meant, a label is neither, nor a word that has a meaning there.
_LABEL = re.compile(r"(?!v?[0-9]+$)(?![0-9a-f]{6,64}$)(?!draft-)[a-z0-9][a-z0-9._-]{0,99}")
_RESERVED = "latest"


_LONGEST_REASON = 2_000  # characters
_LONGEST_MESSAGE = 4_000  # characters
_MOST_TARGETS = 5  # canaries, and fallbacks

VariantText = Annotated[
    str, Field(min_length=6, max_length=80, description="id, or at least 6 digits of its hash")
]

# Fields of a request that change how an answer comes and never what it is.
_HARMLESS: Final = frozenset({"stream", "user"})
_MOST_GUARDS = 20


class _View(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


def _known_override(name: str) -> str:
    if name not in PARAMETER_NAMES | _HARMLESS:
        known = ", ".join(sorted(PARAMETER_NAMES | _HARMLESS))
        raise ValueError(f"{name!r} is nothing that callers could override; known are {known}")
    return name


def _overlaid(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(below)
    for name, value in above.items():
        known = merged.get(name)
        if isinstance(known, Mapping) and isinstance(value, Mapping):
            value = _overlaid(known, value)
        merged[name] = value
    return merged


class GuardSettings(_View):
    """What must not go to the model, and what must not come from it."""

    input: tuple[Guard, ...] = Field(default=(), max_length=_MOST_GUARDS)
    output: tuple[Guard, ...] = Field(default=(), max_length=_MOST_GUARDS)


class HistorySettings(_View):
    """What is sent of a conversation that does not fit the model's context window.

    `newest` leaves out the oldest turns and records which, `refuse` sends nothing. At most
    `messages` of a conversation are sent, if that is set.
    """

    policy: Literal["newest", "refuse"] = "newest"
    messages: int | None = Field(default=None, ge=1, le=2_000)


class AliasSettings(_View):
    """What an alias lets its callers do, and what it keeps from them and from the model."""

    overrides: tuple[Annotated[str, AfterValidator(_known_override)], ...] = Field(
        default=("stop", "max_tokens", "stream", "user"),
        max_length=40,
        description="what callers may set themselves; max_tokens only downwards",
    )
    strict: bool = Field(
        default=False, description="refuse what callers may not set, instead of ignoring it"
    )
    regulated: bool = Field(
        default=False,
        description="every target has an output schema or the alias an output guard, callers "
        "override nothing, and whatever they try is refused",
    )
    allow_system: bool = Field(
        default=False, description="take system and developer messages from callers"
    )
    guards: GuardSettings = GuardSettings()
    history: HistorySettings = HistorySettings()

    @model_validator(mode="after")
    def _regulated_takes_no_instructions(self) -> AliasSettings:
        if self.regulated and self.allow_system:
            raise ValueError("a regulated alias takes no system messages from its callers")
        return self

    @property
    def may_override(self) -> frozenset[str]:
        """What callers may set themselves: of a regulated alias only how the answer comes."""
        return (
            frozenset(self.overrides) & _HARMLESS if self.regulated else frozenset(self.overrides)
        )

    def changed(self, wanted: AliasSettings) -> AliasSettings:
        """Return these settings with what somebody has set in `wanted`; lists are replaced whole.

        Raises `Invalid` for settings that contradict each other.
        """
        merged = _overlaid(self.model_dump(), wanted.model_dump(exclude_unset=True))
        try:
            return AliasSettings.model_validate(merged)
        except ValidationError as error:
            told = error.errors()[0]["msg"].removeprefix("Value error, ")
            raise Invalid(
                f"These settings contradict each other: {told}.", path="settings"
            ) from None

    @property
    def refuses_others(self) -> bool:
        """Whether what callers may not set is refused and not ignored."""
        return self.strict or self.regulated


class DeploymentTargetView(_View):
    """One variant that a deployment points to.

    `weight` is the part of all callers that a canary takes, and what those leave to the primary;
    a fallback's is its place in the order, from 1.
    """

    variant_id: UUID
    variant_hash: str
    prompt: str
    model: str
    role: TargetRole
    weight: float


class DeploymentView(_View):
    """One move of an alias; `number` counts them from 1, `previous` is the one before.

    With a `message` the alias answers with that text and calls no model; the targets are those
    that it had before.
    """

    id: UUID
    number: int
    kind: DeploymentKind
    reason: str
    previous: int | None
    targets: tuple[DeploymentTargetView, ...]
    settings: AliasSettings
    message: str | None
    created_at: datetime
    created_by: str

    @property
    def primary(self) -> DeploymentTargetView:
        """The variant that the alias stands for."""
        return next(target for target in self.targets if target.role == "primary")


def _is_said(reason: str) -> str:
    if not reason:
        raise ValueError("say why the alias is moved")
    return reason


class CanaryRequest(_View):
    """A variant that a part of all callers is to meet."""

    variant: VariantText
    weight: float = Field(
        ge=1 / BUCKETS, lt=1, description="part of all callers, in steps of 0.0001"
    )


class _DeploymentRequest(_View):
    reason: Annotated[str, StringConstraints(strip_whitespace=True), AfterValidator(_is_said)] = (
        Field(max_length=_LONGEST_REASON, description="why; kept with the move, never empty")
    )


class MoveRequest(_DeploymentRequest):
    """Let an alias mean this variant, with these canaries and fallbacks, from now on.

    Of the settings only what is given changes. Fallbacks are tried in their order.
    """

    kind: Literal["move"] = "move"
    variant: VariantText
    canaries: tuple[CanaryRequest, ...] = Field(default=(), max_length=_MOST_TARGETS)
    fallbacks: tuple[VariantText, ...] = Field(default=(), max_length=_MOST_TARGETS)
    settings: AliasSettings | None = None
    allow_simulated: bool = Field(default=False, description="take variants of simulated models")

    @model_validator(mode="after")
    def _somebody_is_left_for_the_primary(self) -> MoveRequest:
        if round(sum(canary.weight for canary in self.canaries) * BUCKETS) >= BUCKETS:
            raise ValueError("the canaries' weights add up to everybody: leave some to the variant")
        return self


class SettingsRequest(_DeploymentRequest):
    """Change settings of an alias; what is not given stays, and so do its targets."""

    kind: Literal["settings"]
    settings: AliasSettings


class RollbackRequest(_DeploymentRequest):
    """Let an alias mean what it meant at an earlier deployment.

    Without `to` that is the last one that served something else. Its targets come back; the
    settings stay as they are now, since they are the alias' policy and not the variant's.
    """

    kind: Literal["rollback"]
    to: int | None = Field(default=None, ge=1, le=2**31 - 1)


class DisableRequest(_DeploymentRequest):
    """Let an alias answer with a fixed text and call no model, until it is moved or rolled back."""

    kind: Literal["disable"]
    message: Annotated[str, StringConstraints(strip_whitespace=True)] = Field(
        min_length=1, max_length=_LONGEST_MESSAGE, description="what everybody is answered"
    )


DeploymentRequest = Annotated[
    MoveRequest | SettingsRequest | RollbackRequest | DisableRequest, Field(discriminator="kind")
]
"""One move of an alias that is wanted."""

_DEPLOYMENT_REQUEST: Final[TypeAdapter[DeploymentRequest]] = TypeAdapter(DeploymentRequest)


def read_deployment_request(values: Mapping[str, Any]) -> DeploymentRequest:
    """Return the move that `values` describe by `kind`; `Invalid` names the field that is wrong."""
    try:
        return _DEPLOYMENT_REQUEST.validate_python(values)
    except ValidationError as error:
        first = error.errors()[0]
        path = ".".join(str(part) for part in first["loc"][1:])  # the first part is the kind
        told = first["msg"].removeprefix("Value error, ")
        raise Invalid(f"{path or 'deployment'}: {told}.", path=path or None) from None


class RollbackPlan(_View):
    """What a rollback would do, said before it is done."""

    alias: str
    now: int = Field(description="number of the deployment that serves now")
    to: DeploymentView = Field(description="the deployment whose targets come back")
    problem: str | None = Field(description="why it cannot be served any more; null if it can")
    left_out: tuple[str, ...] = Field(
        description="canaries and fallbacks that cannot be served any more and do not come back"
    )
    following: int = Field(description="conversations that move with the alias")
    pinned: int = Field(description="conversations that keep the variant they were made with")


class AliasView(_View):
    """A movable name and what it means now."""

    id: UUID
    name: str
    current: DeploymentView
    created_at: datetime
    created_by: str


def is_alias(text: str) -> bool:
    """Whether a text is written as an alias is; one of this name need not exist."""
    name, separator, label = text.partition("@")
    if not separator or label == _RESERVED or not _LABEL.fullmatch(label):
        return False
    try:
        parse_reference(name, noun="alias")
    except Invalid:
        return False
    return True


def parse_alias(text: str) -> str:
    """Return the alias if the text is written as one, as in `support-bot@production`.

    Raises `Invalid` for anything else: names are as prompts have them, and what stands after @
    is a word and neither a version number nor the beginning of a hash.
    """
    if is_alias(text):
        return text
    raise Invalid(
        f"{text!r} is no alias: write a name and a label in lower case, as in "
        "support-bot@production; the label is no number, no hash and not `latest`.",
        path="alias",
    )
