"""Charts as SVG: the drawn points are the numbers."""

import re
from xml.etree import ElementTree

import numpy as np
import pytest

from report_runs import make_evaluation, quantity
from voxplain.concepts.concept_run import EvaluationRun
from voxplain.report.add_remove import common_limits, mean_curves
from voxplain.report.charts import BOTTOM, HEIGHT, LEFT, RIGHT, TOP, WIDTH, curves_svg, sparkline
from voxplain.report.figures.accuracy import accuracy_figure
from voxplain.report.figures.options import FigureOptions
from voxplain.report.plots import curves


def curve(svg: str, name: str) -> np.ndarray:
    """The points of one order, in the units of the axes: x from 0 to 1 of the width, y as a share."""
    group = next(g for g in ElementTree.fromstring(svg).iter("g") if g.get("class") == name)
    lines = [
        np.array([[float(v) for v in p.split(",")] for p in line.get("points").split()])
        for line in group.findall("polyline")
    ]
    points = np.concatenate([lines[0], lines[1][1:]])
    x = (points[:, 0] - LEFT) / (WIDTH - LEFT - RIGHT)
    return np.stack([x, 1 - (points[:, 1] - TOP) / (HEIGHT - TOP - BOTTOM)], 1)


@pytest.mark.parametrize("kind", ["adding", "removing"])
def test_curves_are_the_means(kind):
    steps = getattr(make_evaluation(), kind)
    means = mean_curves(steps)
    for name in ("top", "least"):
        by_count, by_coverage = curve(curves_svg(means, "count"), name), curve(curves_svg(means, "coverage"), name)
        np.testing.assert_allclose(by_count[:, 1], means.values[name], atol=1e-3)
        np.testing.assert_allclose(by_coverage[:, 1], means.values[name], atol=1e-3)
        np.testing.assert_allclose(by_coverage[:, 0], means.coverage[name], atol=1e-3)
        np.testing.assert_allclose(by_count[:, 0], np.array([0, 1, 2, 3, 5]) / 5, atol=1e-3)


def test_a_chart_is_told_in_words_and_labels_the_last_step():
    steps = make_evaluation().adding
    svg = ElementTree.fromstring(curves_svg(mean_curves(steps), "count"))
    assert svg.get("role") == "img"
    share = 100 * mean_curves(steps).values["top"][3]
    assert f"after 3 concepts: top {share:.0f} %" in svg.get("aria-label")
    assert "all" in [t.text for t in svg.iter("text")]


def test_curves_of_a_quantity_are_its_mean_outputs_on_one_axis():
    evaluation = make_evaluation()
    adding, removing = (quantity(s) for s in (evaluation.adding, evaluation.removing))
    both = mean_curves(adding), mean_curves(removing)
    low, high = common_limits(*both)
    for steps, means in zip((adding, removing), both, strict=True):
        svg = curves_svg(means, "count", (low, high))
        top = steps.logits[steps.names.index("top"), :, :, 0].mean(0)
        drawn = low + (high - low) * curve(svg, "top")[:, 1]
        np.testing.assert_allclose(drawn, top, atol=2e-3 * (high - low))
        np.testing.assert_allclose(means.values["matched"], steps.matched[..., 0].mean(0), rtol=1e-5)
        assert means.baseline == pytest.approx(steps.unmodified.mean(), rel=1e-5)
        lines = [e.get("class") for e in ElementTree.fromstring(svg).iter("line")]
        assert "baseline" in lines
        assert "chance" not in lines
        assert ElementTree.fromstring(svg).get("aria-label").startswith("Output against concepts")
    assert low < 0 < high
    assert low <= min(m.limits[0] for m in both)


def test_a_quantity_is_drawn_for_print_on_one_scale():
    evaluation = make_evaluation()
    evaluation = EvaluationRun(quantity(evaluation.adding), quantity(evaluation.removing), ())
    axes = accuracy_figure(evaluation, FigureOptions()).axes[1:]
    assert len({tuple(np.round(ax.get_ylim(), 6)) for ax in axes}) == 1
    assert [ax.get_ylabel() for ax in axes if ax.get_ylabel()] == ["output", "output"]
    top = next(line for line in axes[0].lines if line.get_gid() == "top")
    low, high = axes[0].get_ylim()
    assert low < min(top.get_ydata())
    assert max(top.get_ydata()) < high
    on_screen = curves(evaluation).axes
    assert on_screen[0].get_ylim() == on_screen[1].get_ylim()


def test_sparkline_is_scaled_to_its_peak_and_escaped():
    svg = sparkline(np.array([0.0, 0.5, 1.0]), 'a "b" <c>')
    assert ElementTree.fromstring(svg).get("aria-label") == 'a "b" <c>'
    ys = [float(p.split(",")[1]) for p in re.findall(r'polyline points="([^"]+)"', svg)[0].split()]
    assert ys == [30, 16, 2]
    assert ElementTree.fromstring(sparkline(np.zeros(3), "x")) is not None
