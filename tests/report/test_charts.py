"""Charts as SVG: the drawn points are the numbers."""

import re
from xml.etree import ElementTree

import numpy as np
import pytest

from report_runs import make_evaluation
from voxplain.report.add_remove import mean_curves
from voxplain.report.charts import BOTTOM, HEIGHT, LEFT, RIGHT, TOP, WIDTH, curves_svg, sparkline


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
        np.testing.assert_allclose(by_count[:, 1], means.accuracy[name], atol=1e-3)
        np.testing.assert_allclose(by_coverage[:, 1], means.accuracy[name], atol=1e-3)
        np.testing.assert_allclose(by_coverage[:, 0], means.coverage[name], atol=1e-3)
        np.testing.assert_allclose(by_count[:, 0], np.array([0, 1, 2, 3, 5]) / 5, atol=1e-3)


def test_a_chart_is_told_in_words_and_labels_the_last_step():
    steps = make_evaluation().adding
    svg = ElementTree.fromstring(curves_svg(mean_curves(steps), "count"))
    assert svg.get("role") == "img"
    share = 100 * mean_curves(steps).accuracy["top"][3]
    assert f"after 3 concepts: top {share:.0f} %" in svg.get("aria-label")
    assert "all" in [t.text for t in svg.iter("text")]


def test_sparkline_is_scaled_to_its_peak_and_escaped():
    svg = sparkline(np.array([0.0, 0.5, 1.0]), 'a "b" <c>')
    assert ElementTree.fromstring(svg).get("aria-label") == 'a "b" <c>'
    ys = [float(p.split(",")[1]) for p in re.findall(r'polyline points="([^"]+)"', svg)[0].split()]
    assert ys == [30, 16, 2]
    assert ElementTree.fromstring(sparkline(np.zeros(3), "x")) is not None
