"""The explanations from videos to results: concepts of a class and their evaluation, own concepts, and one clip."""

from voxplain.explain.attribution import explain_clip, methods_by_name
from voxplain.explain.audit import audit
from voxplain.explain.budget import Budget, explain_within_budget
from voxplain.explain.concepts import explain_concepts
from voxplain.explain.evaluate import evaluate_concepts
from voxplain.explain.own_concepts import OwnConcepts, score_own_concepts
from voxplain.explain.windows import to_original

__all__ = [
    "Budget",
    "OwnConcepts",
    "audit",
    "evaluate_concepts",
    "explain_clip",
    "explain_concepts",
    "explain_within_budget",
    "methods_by_name",
    "score_own_concepts",
    "to_original",
]
