"""Reports of runs: pictures, figures, tables, sentences, and one self-contained page with all of them."""

from voxplain.attribution.overlay import frame_grid, overlay
from voxplain.report.add_remove import MeanCurves, mean_curves
from voxplain.report.attribution import AttributionPage, attribution_page, write_attribution_report
from voxplain.report.audit import audit_page, write_audit_report
from voxplain.report.audit_tables import audit_csv, audit_json, audit_text
from voxplain.report.draw import choose_examples, highlight, montage
from voxplain.report.page import Origin, report_page, write_report
from voxplain.report.pages import write_pages
from voxplain.report.plots import curves, draw_curves
from voxplain.report.sentences import (
    dependence_sentence,
    evaluation_sentences,
    meaning,
    order_test_sentence,
    significance_sentence,
)
from voxplain.report.suggested_names import suggest_names
from voxplain.report.tables import evaluation_json, table_csv, table_json, table_text
from voxplain.report.theme import LIGHT, Theme
from voxplain.report.training import training_curves
from voxplain.report.verdict import Finding, Verdict, verdict

__all__ = [
    "LIGHT",
    "AttributionPage",
    "Finding",
    "MeanCurves",
    "Origin",
    "Theme",
    "Verdict",
    "attribution_page",
    "audit_csv",
    "audit_json",
    "audit_page",
    "audit_text",
    "choose_examples",
    "curves",
    "dependence_sentence",
    "draw_curves",
    "evaluation_json",
    "evaluation_sentences",
    "frame_grid",
    "highlight",
    "mean_curves",
    "meaning",
    "montage",
    "order_test_sentence",
    "overlay",
    "report_page",
    "significance_sentence",
    "suggest_names",
    "table_csv",
    "table_json",
    "table_text",
    "training_curves",
    "verdict",
    "write_attribution_report",
    "write_audit_report",
    "write_pages",
    "write_report",
]
