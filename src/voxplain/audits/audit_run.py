"""`AuditRun`: what every class of a data set rests on, and which concepts go with wrong classifications."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from voxplain.audits.causes import Cause
from voxplain.audits.kinds import ClipChange, KindShare
from voxplain.audits.pairs import ConfusedPair
from voxplain.audits.presence import PresenceTest
from voxplain.audits.relations import AddedConcept, Relation, RelationEffect
from voxplain.audits.slices import Slice
from voxplain.audits.suspects import Suspect
from voxplain.concepts.concept_run import ConceptRun
from voxplain.errors import DataError
from voxplain.record_html import fields_table, rows_table
from voxplain.statistics import SIGNIFICANT, wilson_interval

__all__ = ["AuditRun", "ClassAudit", "ConceptAudit"]


@dataclass(frozen=True)
class ConceptAudit:
    """One concept of a class in an audit.

    Parameters
    ----------
    concept, rank : int
        Index in the class's run, and its rank by direct effect; 1 is the best.
    kind : str
        An entry of `KINDS`.
    effect, low, high, q_value : float
        Mean log-odds lost when it is hidden, with its 95 % interval, and its corrected p-value.
    volume : float
        Mean share of a clip's voxels, 0 to 1.
    videos : int
        Clips that have it.
    matters_by : str
        An entry of `MATTERS_BY`; empty where it was not measured.
    """

    concept: int
    rank: int
    kind: str
    effect: float
    low: float
    high: float
    q_value: float
    volume: float
    videos: int
    matters_by: str

    _repr_html_ = fields_table


@dataclass(frozen=True)
class ClassAudit:
    """What is found about one class.

    Parameters
    ----------
    label : str
    index : int
        Class index.
    clips, right : int
        Audited clips, and those that are classified rightly.
    predicted_as : tuple of (str, int)
        Wrongly predicted classes with the number of clips, the most frequent first.
    recognised : bool
        Whether the network recognises the class (`Recognition`).
    sources : tuple of str
        Names of the clips in which concepts were found; `Slice.clips` are indices into it.
    wrong : tuple of bool
        Whether each of these is classified wrongly.
    concepts : tuple of ConceptAudit
        By rank.
    kinds : tuple of KindShare
    change : ClipChange, optional
        What the motion of the whole clip holds.
    presence : tuple of PresenceTest
        Concepts in wrong and in right clips.
    slices : tuple of Slice
    causes : tuple of Cause
        Concepts of this class hidden in its wrong clips.
    attractions : tuple of Cause
        Concepts of this class hidden in clips of other classes that are predicted as it.
    suspects : tuple of Suspect
    relations : tuple of Relation
    relation_effects : tuple of RelationEffect
    added : tuple of AddedConcept
    """

    label: str
    index: int
    clips: int
    right: int
    predicted_as: tuple[tuple[str, int], ...]
    recognised: bool
    sources: tuple[str, ...]
    wrong: tuple[bool, ...]
    concepts: tuple[ConceptAudit, ...]
    kinds: tuple[KindShare, ...]
    change: ClipChange | None
    presence: tuple[PresenceTest, ...]
    slices: tuple[Slice, ...]
    causes: tuple[Cause, ...]
    attractions: tuple[Cause, ...]
    suspects: tuple[Suspect, ...]
    relations: tuple[Relation, ...] = ()
    relation_effects: tuple[RelationEffect, ...] = ()
    added: tuple[AddedConcept, ...] = ()

    _repr_html_ = fields_table

    @property
    def accuracy(self) -> float:
        """Share of the audited clips that are classified rightly."""
        return self.right / self.clips

    @property
    def interval(self) -> tuple[float, float]:
        """95 % interval of the accuracy (Wilson)."""
        return wilson_interval(self.right, self.clips)

    @property
    def rests_on(self) -> str:
        """The kind that holds the largest significant share of the log-odds; empty without one."""
        return next((s.kind for s in self.kinds if s.q_value < SIGNIFICANT and s.lost[0] > 0), "")

    def share(self, kind: str) -> float:
        """Share of the log-odds that a kind holds; 0 where the class has no concept of it."""
        return next((s.lost[0] for s in self.kinds if s.kind == kind), 0.0)


@dataclass(frozen=True, eq=False)
class AuditRun:
    """The audit of a network on labelled clips.

    Parameters
    ----------
    network, layer : str
    preset : str
        Of the concept search.
    parameters, provenance : dict
        Parameters as plain values; versions, device and hashes.
    classes : tuple of ClassAudit
        In the order of the network's classes.
    shared : tuple of tuple of (str, int)
        Groups of concepts, as (class, concept), that are the same in several classes.
    pairs : tuple of ConfusedPair
        The most confused first.
    skipped : tuple of (str, str)
        Videos and classes that were left out, with the reason.
    left_out : tuple of str
        Measurements for which there was no time.
    damaged : tuple of (str, int)
        Videos that were used although frames of them are lost, with the number of lost frames. The field ``runs``
        behind it holds the explanation of each class and is not saved with the audit.
    """

    network: str
    layer: str
    preset: str
    parameters: dict[str, Any]
    provenance: dict[str, Any]
    classes: tuple[ClassAudit, ...]
    shared: tuple[tuple[tuple[str, int], ...], ...]
    pairs: tuple[ConfusedPair, ...]
    skipped: tuple[tuple[str, str], ...] = ()
    left_out: tuple[str, ...] = ()
    damaged: tuple[tuple[str, int], ...] = field(default=(), metadata={"later": True})
    runs: tuple[ConceptRun, ...] = field(default=(), repr=False, metadata={"saved": False})

    def __repr__(self) -> str:
        """Counts, not data."""
        clips = sum(c.clips for c in self.classes)
        return f"AuditRun({self.network!r}, classes={len(self.classes)}, clips={clips}, accuracy={self.accuracy:.3f})"

    def _repr_html_(self) -> str:
        """A row a class, for a notebook."""
        columns = ("label", "clips", "right", "recognised", "concepts", "suspects", "slices")
        return rows_table(self.classes, columns, f"Audit of {self.network}, layer {self.layer}")

    @property
    def accuracy(self) -> float:
        """Share of all audited clips that are classified rightly."""
        return sum(c.right for c in self.classes) / max(1, sum(c.clips for c in self.classes))

    def of_class(self, label: str) -> ClassAudit:
        """The audit of one class. Raises DataError for a class that was not audited."""
        for found in self.classes:
            if found.label == label:
                return found
        raise DataError(f"expected a class of {[c.label for c in self.classes]}, got {label!r}; choose one")

    def suspects(self, label: str) -> tuple[int, ...]:
        """Suspected concepts of a class: what `improve` may remove. Raises DataError for an unknown class."""
        return tuple(s.concept for s in self.of_class(label).suspects)

    def worst(self) -> Sequence[ClassAudit]:
        """The classes by rising accuracy."""
        return sorted(self.classes, key=lambda c: (c.accuracy, c.label))
