import matplotlib
import numpy as np
import pytest

from report_runs import DRAWS, STEPS, make_evaluation
from voxplain.report.plots import curves


def drawn(ax, name):
    """x and y of an order: the counted steps and "all", which are drawn apart."""
    lines = {line.get_gid(): line for line in ax.lines}
    parts = [lines[name], lines[f"{name}-all"]]
    return tuple(
        np.concatenate([np.asarray(get(part), float) for part in parts])
        for get in (lambda line: line.get_xdata(), lambda line: line.get_ydata())
    )


def expected(steps):
    """Accuracy and coverage by name, straight from the logits."""
    right = steps.logits.argmax(-1) == steps.truth[:, None]
    order = {"top": [0], "least": [1], "random": [*range(2, 2 + DRAWS)]}
    found = {name: (right[i].mean((0, 1)), steps.coverage[i].mean((0, 1))) for name, i in order.items()}
    found["matched"] = (steps.matched_right.mean(0), steps.coverage[0].mean(0))
    return found


def test_curves_show_the_values_of_the_steps():
    evaluation = make_evaluation()
    axes = np.array(curves(evaluation).axes).reshape(2, 2)
    for column, steps in enumerate((evaluation.adding, evaluation.removing)):
        for name, (accuracy, coverage) in expected(steps).items():
            x, y = drawn(axes[0, column], name)
            assert x[:-1].tolist() == list(range(STEPS - 1))
            assert x[-1] > STEPS - 2
            np.testing.assert_allclose(y, accuracy, atol=1e-6)
            x, y = drawn(axes[1, column], name)
            np.testing.assert_allclose(x, coverage, atol=1e-6)
            np.testing.assert_allclose(y, accuracy, atol=1e-6)
        lines = {line.get_gid(): line for line in axes[0, column].lines}
        assert lines["baseline"].get_ydata()[0] == steps.baseline()
        assert lines["chance"].get_ydata()[0] == 0.25


def test_the_band_holds_the_random_orders():
    evaluation = make_evaluation()
    steps = evaluation.adding
    right = (steps.logits.argmax(-1) == 0)[2:].mean(1)
    low, high = np.quantile(right, [0.025, 0.975], axis=0)
    ax = curves(evaluation).axes[0]
    corners = ax.collections[0].get_paths()[0].vertices
    for q in range(STEPS - 1):
        here = corners[corners[:, 0] == q, 1]
        assert here.min() == pytest.approx(low[q])
        assert here.max() == pytest.approx(high[q])


def test_axis_names_the_steps_and_all():
    labels = [label.get_text() for label in curves(make_evaluation()).axes[0].get_xticklabels()]
    assert labels == ["0", "1", "2", "3", "all"]


def test_figures_leave_no_global_state(tmp_path):
    before = dict(matplotlib.rcParams)
    figure = curves(make_evaluation())
    figure.savefig(tmp_path / "a.png", dpi=40)
    assert dict(matplotlib.rcParams) == before
    assert type(figure.canvas).__name__ == "FigureCanvasAgg"
    assert matplotlib._pylab_helpers.Gcf.get_all_fig_managers() == []
