"""Metrics that tell whether a map is faithful, well placed, and sane; all listed in `METRICS`."""
