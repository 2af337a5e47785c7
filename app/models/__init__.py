"""All tables; importing this package fills `Base.metadata`."""

from app.models.aliases import Alias, Deployment, DeploymentTarget
from app.models.audit import AuditEvent
from app.models.budgets import Budget, BudgetLease
from app.models.comparisons import Comparison
from app.models.content import Content
from app.models.datasets import Dataset, DatasetVersion, DatasetVersionExample, Example
from app.models.experiments import Experiment, Job, Run
from app.models.gates import GateDecision
from app.models.generations import Attempt, Generation
from app.models.judgements import Judgement, JudgeQualification
from app.models.models import LanguageModel, ModelPrice, ModelVersion
from app.models.prompts import Prompt, PromptVersion
from app.models.reviews import Review
from app.models.scores import Score, Scorer
from app.models.variants import Variant

__all__ = [
    "Alias",
    "Attempt",
    "AuditEvent",
    "Budget",
    "BudgetLease",
    "Comparison",
    "Content",
    "Dataset",
    "DatasetVersion",
    "DatasetVersionExample",
    "Deployment",
    "DeploymentTarget",
    "Example",
    "Experiment",
    "GateDecision",
    "Generation",
    "Job",
    "JudgeQualification",
    "Judgement",
    "LanguageModel",
    "ModelPrice",
    "ModelVersion",
    "Prompt",
    "PromptVersion",
    "Review",
    "Run",
    "Score",
    "Scorer",
    "Variant",
]
