"""The stories told top to bottom: `explain_concepts` and `evaluate_concepts`, and `explain_clip`."""

from voxplain.explain.anytime import Budget, explain_within
from voxplain.explain.clip import explain_clip, resolve_methods
from voxplain.explain.given import GivenConcepts, score_given
from voxplain.explain.proof import evaluate_concepts
from voxplain.explain.story import explain_concepts
from voxplain.explain.windows import to_original

__all__ = [
    "Budget",
    "GivenConcepts",
    "evaluate_concepts",
    "explain_clip",
    "explain_concepts",
    "explain_within",
    "resolve_methods",
    "score_given",
    "to_original",
]
