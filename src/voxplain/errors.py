"""The errors voxplain raises on bad input: one sentence with what was expected, what was given, and what to do."""

__all__ = ["DataError", "MissingExtra", "ModelError", "VideoError", "VoxplainError"]


class VoxplainError(ValueError):
    """Base of every error caused by input: the command line prints its text without a traceback."""


class VideoError(VoxplainError):
    """A video that cannot be read, is empty, too short or too large."""


class DataError(VoxplainError):
    """A data folder, split file, class or random set that does not fit the request."""


class ModelError(VoxplainError):
    """A network, layer, checkpoint or network output that does not fit the request."""


class MissingExtra(VoxplainError):
    """An optional dependency is needed but not installed."""
