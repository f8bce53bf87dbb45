"""The version, in a file of its own so that every room can write it into its results."""

__version__ = "0.1.0"
