"""`AuditSettings`: how much an audit measures beside the explanation of each class."""

from dataclasses import dataclass, fields

from voxplain.errors import DataError

__all__ = ["AuditSettings"]


@dataclass(frozen=True)
class AuditSettings:
    """Counts of an audit; the search for concepts has settings of its own (`ConceptSettings`).

    Parameters
    ----------
    kind_clips : int
        Clips of a class in which all concepts of a kind are hidden together.
    wrong_clips : int
        Wrongly classified clips of a class in which its concepts are hidden one by one, and clips of other classes that
        are predicted as it.
    pairs : int
        Confused pairs of classes that are listed at most.
    main_concepts : int
        Concepts of a class whose relations are measured, and which are added to clips of other classes.
    relation_clips : int
        Clips of a class in which one concept is moved against another, and clips to which a concept is added.
    permutations : int
        Of the tests of presence and slices.

    Raises
    ------
    DataError
        For counts below 1.
    """

    kind_clips: int = 12
    wrong_clips: int = 16
    pairs: int = 10
    main_concepts: int = 3
    relation_clips: int = 12
    permutations: int = 1999

    def __post_init__(self) -> None:
        """Check that all counts are positive."""
        for field in fields(self):
            if getattr(self, field.name) < 1:
                raise DataError(f"expected {field.name} to be at least 1, got {getattr(self, field.name)}; raise it")
