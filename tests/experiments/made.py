"""Outcomes made of known logits: accuracy at each step is set by hand."""

import numpy as np

from voxplain.concepts.concept_run import EvaluationRun
from voxplain.concepts.evaluate import AddRemoveCurves
from voxplain.concepts.order_tests import all_order_tests
from voxplain.experiments import Outcome

VIDEOS, STEPS, CLASSES = 40, 7, 4  # q = 0 … 5, then all
NAMES = ("top", "least", "random0", "random1")
# Videos recognised at q = 0 … 5 and with all concepts.
ADDING = {"top": (0, 20, 30, 36, 38, 38, 40), "least": (0, 0, 4, 8, 10, 12, 40), "random": (0, 8, 12, 20, 24, 28, 40)}
REMOVING = {name: tuple(reversed(values)) for name, values in ADDING.items()}
REMOVING = {**REMOVING, "top": ADDING["least"][::-1], "least": ADDING["top"][::-1]}


def steps(kind: str, counts: dict[str, tuple[int, ...]]) -> AddRemoveCurves:
    logits = np.zeros((len(NAMES), VIDEOS, STEPS, CLASSES), np.float32)
    coverage = np.tile(np.linspace(0, 1, STEPS, dtype=np.float32), (len(NAMES), VIDEOS, 1))
    for i, name in enumerate(NAMES):
        for q, count in enumerate(counts[name.rstrip("01")]):
            logits[i, :, q, 1] = 1  # wrong, but for the first `count` videos
            logits[i, :count, q, 0] = 2
    matched = logits[NAMES.index("least")]
    right = (matched.argmax(-1) == 0).astype(np.float32)
    whole = logits[0, :, 0 if kind == "removing" else -1]
    return AddRemoveCurves(kind, NAMES, logits, coverage, matched, right, np.zeros(VIDEOS, np.int64), whole)


def outcome(net: str = "c3d", setting: str = "standard", published: str | None = None) -> Outcome:
    adding, removing = steps("adding", ADDING), steps("removing", REMOVING)
    return Outcome(net, setting, published, EvaluationRun(adding, removing, all_order_tests(adding, removing)))
