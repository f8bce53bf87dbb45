"""Experiments of the papers and similar ones: plans in YAML, outcomes, tables, curves and verdicts."""

from voxplain.experiments.figures import interval_figure
from voxplain.experiments.outcome import Outcome, Row, rows_of
from voxplain.experiments.plan import EXPERIMENTS, Experiment, NetPlan, Setting, read_experiment
from voxplain.experiments.published import published_rows
from voxplain.experiments.tables import settings_table, table_csv, table_latex, table_markdown
from voxplain.experiments.verdicts import verdicts

__all__ = [
    "EXPERIMENTS",
    "Experiment",
    "NetPlan",
    "Outcome",
    "Row",
    "Setting",
    "interval_figure",
    "published_rows",
    "read_experiment",
    "rows_of",
    "settings_table",
    "table_csv",
    "table_latex",
    "table_markdown",
    "verdicts",
]
