"""The version, in a file of its own read by the build and written into results."""

__version__ = "0.1.0"
