"""A run made visible: pictures, figures, tables, words, and one static page that holds them all."""

from voxplain.attribution.overlay import overlay, strip
from voxplain.report.attribution import attribution_page, write_attribution_report
from voxplain.report.draw import choose_examples, highlight, montage
from voxplain.report.page import Origin, report_page, write_report
from voxplain.report.plots import DARK, LIGHT, Theme, curves, score_bars
from voxplain.report.sentences import evaluation_words, found_words, meaning, order_test_sentence
from voxplain.report.tables import MeanCurves, evaluation_json, mean_curves, table_csv, table_json, table_text
from voxplain.report.training import training_curves

__all__ = [
    "DARK",
    "LIGHT",
    "MeanCurves",
    "Origin",
    "Theme",
    "attribution_page",
    "choose_examples",
    "curves",
    "evaluation_json",
    "evaluation_words",
    "found_words",
    "highlight",
    "mean_curves",
    "meaning",
    "montage",
    "order_test_sentence",
    "overlay",
    "report_page",
    "score_bars",
    "strip",
    "table_csv",
    "table_json",
    "table_text",
    "training_curves",
    "write_attribution_report",
    "write_report",
]
