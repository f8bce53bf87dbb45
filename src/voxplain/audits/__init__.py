"""Audit of a network: what each class rests on, and which concepts go with wrong classifications."""

from voxplain.audits.audit_run import AuditRun, ClassAudit, ConceptAudit
from voxplain.audits.causes import Cause, HiddenInWrong, cause_tests
from voxplain.audits.effect_slices import DrawingConcept, drawing_concepts, effect_slice
from voxplain.audits.kinds import KINDS, ClipChange, KindShare, kind_of, kind_shares
from voxplain.audits.pairs import ConfusedPair, Evidence, evidence
from voxplain.audits.presence import PresenceTest, presence_tests
from voxplain.audits.relations import RELATIONS, AddedConcept, Relation, RelationEffect, relations_of
from voxplain.audits.settings import AuditSettings
from voxplain.audits.shared import SharedConcept, groups_of, shared_concepts
from voxplain.audits.slices import Slice, find_slices, joined_slices
from voxplain.audits.suspects import REASONS, Suspect, suspects

__all__ = [
    "KINDS",
    "REASONS",
    "RELATIONS",
    "AddedConcept",
    "AuditRun",
    "AuditSettings",
    "Cause",
    "ClassAudit",
    "ClipChange",
    "ConceptAudit",
    "ConfusedPair",
    "DrawingConcept",
    "Evidence",
    "HiddenInWrong",
    "KindShare",
    "PresenceTest",
    "Relation",
    "RelationEffect",
    "SharedConcept",
    "Slice",
    "Suspect",
    "cause_tests",
    "drawing_concepts",
    "effect_slice",
    "evidence",
    "find_slices",
    "groups_of",
    "joined_slices",
    "kind_of",
    "kind_shares",
    "presence_tests",
    "relations_of",
    "shared_concepts",
    "suspects",
]
