"""All tables; importing this package fills `Base.metadata`."""

from app.models.aliases import Alias, Deployment, DeploymentTarget
from app.models.api_keys import ApiKey
from app.models.audit import AuditEvent
from app.models.budgets import Budget, BudgetLease
from app.models.chat_calls import ChatCall
from app.models.comparisons import Comparison
from app.models.content import Content
from app.models.conversations import Conversation, Message
from app.models.datasets import Dataset, DatasetVersion, DatasetVersionExample, Example
from app.models.experiments import Experiment, Job, Run
from app.models.gates import GateDecision
from app.models.generations import Attempt, Generation
from app.models.idempotency_keys import IdempotencyKey
from app.models.judgements import Judgement, JudgeQualification
from app.models.limits import AccountSignal, UsageLimit, UsageWindow
from app.models.models import LanguageModel, ModelPrice, ModelVersion
from app.models.prompts import Prompt, PromptVersion
from app.models.reviews import Review
from app.models.scores import Score, Scorer
from app.models.traffic import TrafficLate, TrafficSpan, TrafficSum
from app.models.users import RoleGrant, User
from app.models.variants import Variant

__all__ = [
    "AccountSignal",
    "Alias",
    "ApiKey",
    "Attempt",
    "AuditEvent",
    "Budget",
    "BudgetLease",
    "ChatCall",
    "Comparison",
    "Content",
    "Conversation",
    "Dataset",
    "DatasetVersion",
    "DatasetVersionExample",
    "Deployment",
    "DeploymentTarget",
    "Example",
    "Experiment",
    "GateDecision",
    "Generation",
    "IdempotencyKey",
    "Job",
    "JudgeQualification",
    "Judgement",
    "LanguageModel",
    "Message",
    "ModelPrice",
    "ModelVersion",
    "Prompt",
    "PromptVersion",
    "Review",
    "RoleGrant",
    "Run",
    "Score",
    "Scorer",
    "TrafficLate",
    "TrafficSpan",
    "TrafficSum",
    "UsageLimit",
    "UsageWindow",
    "User",
    "Variant",
]
