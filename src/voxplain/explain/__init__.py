"""The stories told top to bottom: `explain_concepts` and `evaluate_concepts`."""

from voxplain.explain.given import GivenConcepts, score_given
from voxplain.explain.proof import evaluate_concepts
from voxplain.explain.story import explain_concepts

__all__ = ["GivenConcepts", "evaluate_concepts", "explain_concepts", "score_given"]
