"""All tables; importing this package fills `Base.metadata`."""

from app.models.audit import AuditEvent
from app.models.comparisons import Comparison
from app.models.content import Content
from app.models.datasets import Dataset, DatasetVersion, DatasetVersionExample, Example
from app.models.experiments import Experiment, Job, Run
from app.models.generations import Attempt, Generation
from app.models.models import LanguageModel, ModelPrice, ModelVersion
from app.models.prompts import Prompt, PromptVersion
from app.models.scores import Score, Scorer
from app.models.variants import Variant

__all__ = [
    "Attempt",
    "AuditEvent",
    "Comparison",
    "Content",
    "Dataset",
    "DatasetVersion",
    "DatasetVersionExample",
    "Example",
    "Experiment",
    "Generation",
    "Job",
    "LanguageModel",
    "ModelPrice",
    "ModelVersion",
    "Prompt",
    "PromptVersion",
    "Run",
    "Score",
    "Scorer",
    "Variant",
]
