"""Printed figures show what the run holds, fit on the page, and give the same bytes again."""

import io
from dataclasses import replace
from itertools import combinations, pairwise

import av
import numpy as np
import pytest
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.text import Text
from PIL import Image
from scipy.special import log_softmax

from report_runs import CLASSES, GRID, VIDEOS, make_evaluated_run, make_evaluation, make_run, quantity_run
from voxplain.concepts.clip_exploration import ExploredClip
from voxplain.concepts.concept_run import ConceptRun
from voxplain.errors import DataError
from voxplain.report.figures import KINDS, FigureOptions, draw_figure, effect_map, figure_file
from voxplain.report.figures.sheet import COLOURS, edges, printable, shorten
from voxplain.report.figures.steps import steps_of

PLACE = 5  # of the explored clip among the test videos
ASSIGNED = (2, 1, 1, 1)  # concept 0 is absent


def explored(run: ConceptRun, clip: int = 0) -> ExploredClip:
    rng = np.random.default_rng(clip)
    hidden = rng.normal(size=(3, CLASSES)).astype(np.float32)
    hidden[0] = np.nan
    logits = rng.normal(size=(4, CLASSES)).astype(np.float32)
    return ExploredClip(
        run.clips[clip],
        run.supervoxels[clip],
        np.array(ASSIGNED),
        PLACE,
        "mean",
        np.array([200, 100, 50], np.uint8),
        logits[0],
        logits[3],
        hidden,
        np.array([1, 2]),
        logits,
    )


@pytest.fixture(scope="module")
def run() -> ConceptRun:
    """Concept 1 ranks first, then 2, then 0; two test clips taken apart; names that no figure should choke on."""
    made = make_evaluated_run()
    assert made.evaluation is not None
    both = (explored(made), explored(made, 1))
    return replace(
        made, target="$x_1$ 动作\udcff <b>& a long name of a class", evaluation=replace(made.evaluation, explored=both)
    )


def texts(figure: Figure) -> list[Text]:
    return [t for t in figure.findobj(Text) if t.get_text().strip() and t.get_visible()]


MOMENTS = [(kind, None) for kind in KINDS] + [(kind, 2) for kind in KINDS if kind != "curves"]


@pytest.mark.parametrize("width", [8.5, 17])
@pytest.mark.parametrize(("kind", "moment"), MOMENTS)
def test_no_words_are_cut_off_or_overlap(
    run: ConceptRun, kind: str, moment: int | None, width: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    figure = draw_figure(run, kind, FigureOptions(width=width), moment=moment)
    shown: list[Text] = []
    drawn = Text.draw
    monkeypatch.setattr(Text, "draw", lambda text, renderer: (shown.append(text), drawn(text, renderer)))
    figure.canvas.draw()
    shown = [t for t in shown if t.get_text().strip()]
    assert len(shown) > 8
    boxes = [(t.get_text(), t.get_window_extent()) for t in shown]
    page = figure.bbox
    for words, box in boxes:
        assert page.x0 - 1 <= box.x0, words
        assert box.x1 <= page.x1 + 1, words
        assert page.y0 - 1 <= box.y0, words
        assert box.y1 <= page.y1 + 1, words
    for (one, a), (two, b) in combinations(boxes, 2):
        over = min(a.x1, b.x1) - max(a.x0, b.x0), min(a.y1, b.y1) - max(a.y0, b.y0)
        assert min(over) <= 2, f"{one!r} and {two!r} overlap by {over} pixels"
    assert min(t.get_fontsize() for t in shown) >= 4.5, "too small to read in print"


def test_pdf_has_its_fonts_and_no_date(run: ConceptRun) -> None:
    for kind in KINDS:
        data = figure_file(run, kind, ".pdf", FigureOptions(width=8))
        assert data.startswith(b"%PDF-")
        assert b"/FontFile2" in data
        assert b"/Type3" not in data
        for word in (b"CreationDate", b"Matplotlib"):
            assert word not in data


@pytest.mark.parametrize("width", [8.5, 17])
@pytest.mark.parametrize("kind", KINDS)
def test_png_has_300_dots_an_inch_at_its_width(run: ConceptRun, kind: str, width: float) -> None:
    picture = Image.open(io.BytesIO(figure_file(run, kind, ".PNG", FigureOptions(width=width))))
    assert picture.info["dpi"] == pytest.approx((300, 300), abs=0.1)
    assert picture.width == pytest.approx(width / 2.54 * 300, abs=1)
    pixels = np.asarray(picture.convert("RGB"))
    edge = np.concatenate([pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]])
    assert (edge == 255).all(), "something touches the edge of the page"


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "curves"])
def test_moving_figures_have_a_picture_for_each_frame(run: ConceptRun, kind: str) -> None:
    gif = Image.open(io.BytesIO(figure_file(run, kind, ".gif", FigureOptions(width=9))))
    shown = []
    for i in range(gif.n_frames):
        gif.seek(i)
        shown.append(np.asarray(gif.convert("RGB")).astype(int))
        edge = np.concatenate([shown[-1][0], shown[-1][-1], shown[-1][:, 0], shown[-1][:, -1]])
        assert (edge == 255).all(), "something touches the edge of the page"
        assert gif.info["duration"] == 80  # 25 frames a second at half speed: 12 a second, in hundredths
    assert gif.info["loop"] == 0
    assert len(shown) == GRID[0]
    with av.open(io.BytesIO(figure_file(run, kind, ".mp4", FigureOptions(width=9)))) as film:
        frames = [f.to_ndarray(format="rgb24").astype(int) for f in film.decode(video=0)]
        assert float(film.streams.video[0].average_rate) == 12
    assert len(frames) == GRID[0]
    if kind == "map":
        for colour in COLOURS[:3]:
            away = np.abs(shown[0] - np.multiply(to_rgb(colour), 255)).max(-1)
            assert away.min() <= 8, f"{colour} of the legend is gone"
    assert all((a != b).mean() > 0.01 for a, b in pairwise(shown)), "the frames of noise differ"
    for a, b in zip(shown, frames, strict=True):
        assert a.shape == b.shape
        assert np.abs(a - b).mean() < 12, "both show the same"


def test_same_run_same_bytes(run: ConceptRun) -> None:
    small = FigureOptions(width=8)
    for kind, suffix in (
        ("concepts", ".pdf"),
        ("curves", ".pdf"),
        ("map", ".png"),
        ("removing", ".gif"),
        ("map", ".mp4"),
    ):
        assert figure_file(run, kind, suffix, small) == figure_file(run, kind, suffix, small), (kind, suffix)


def test_steps_show_the_union_of_the_first_concepts_and_what_the_network_said(run: ConceptRun) -> None:
    assert run.evaluation is not None
    clip = run.evaluation.explored[0]
    member = {
        k: np.isin(clip.supervoxels.labels, [i for i, c in enumerate(ASSIGNED) if c == k]).any(0) for k in (0, 1, 2)
    }
    none = np.zeros(GRID, bool)
    wanted = {
        2: [none, member[1], member[1] | member[2], ~none],
        3: [none, member[1], ~none, ~none],
        1: [none, member[1], ~none],
    }
    for most, unions in wanted.items():
        if most == 3:
            unions[2] = member[1] | member[2]
        for kind, steps in (("adding", run.evaluation.adding), ("removing", run.evaluation.removing)):
            found = steps_of(run, clip, kind, most)
            last = steps.logits.shape[2] - 1
            places = [*range(most + 1), last] if most < 3 else [*range(4)]
            assert len(found) == len(places)
            for step, q, union in zip(found, places, unions, strict=True):
                np.testing.assert_array_equal(step.shown, union if kind == "adding" else ~union)
                logits = steps.logits[steps.names.index("top"), PLACE, q]
                assert step.value == pytest.approx(np.exp(log_softmax(logits))[0], rel=1e-5)
                assert step.right == (logits.argmax() == 0)
                assert step.share == steps.coverage[0, PLACE, q]
            assert [s.absent for s in found[: most + 1]] == [False, False, False, True][: most + 1]
            sign = {"adding": "+", "removing": "−"}[kind]
            assert found[1].names[0] == f"{sign} concept 1"


@pytest.mark.parametrize("kind", ["adding", "removing"])
def test_bars_stand_at_the_probabilities(run: ConceptRun, kind: str) -> None:
    assert run.evaluation is not None
    steps = steps_of(run, run.evaluation.explored[0], kind, 5)
    figure = draw_figure(run, kind)
    bars = [p for ax in figure.axes for p in ax.patches if p.get_gid() in ("right", "wrong")]
    assert [b.get_height() for b in bars] == [s.value for s in steps]
    assert [b.get_gid() == "right" for b in bars] == [s.right for s in steps]
    for bar in bars:
        assert (bar.get_facecolor()[:3] == (1, 1, 1)) == (bar.get_gid() == "wrong")


@pytest.mark.parametrize("kind", ["adding", "removing"])
def test_bars_of_a_quantity_stand_at_its_outputs(run: ConceptRun, kind: str) -> None:
    other = quantity_run(run)
    assert other.evaluation is not None
    figure = draw_figure(other, kind)
    axes = next(ax for ax in figure.axes if ax.get_ylabel() == "output, px")
    bars = [p.get_height() for p in axes.patches if p.get_gid() == "output"]
    curves = other.evaluation.adding if kind == "adding" else other.evaluation.removing
    whole = curves.logits[curves.names.index("top"), PLACE, :, 0]
    assert bars[0] == pytest.approx(whole[0])
    assert bars[-1] == pytest.approx(whole[len(bars) - 1])
    low, high = axes.get_ylim()
    assert low <= min(0, *bars)
    assert high >= max(0, *bars)
    assert not [t for t in texts(figure) if "chance" in t.get_text() or "recognised" in t.get_text()]


def pictures(figure: Figure) -> list[np.ndarray]:
    return [np.asarray(i.get_array()) for ax in figure.axes for i in ax.findobj(AxesImage)]


def test_a_step_shows_the_frame_and_elsewhere_the_base(run: ConceptRun) -> None:
    assert run.evaluation is not None
    clip = run.evaluation.explored[1]
    drawn = pictures(draw_figure(run, "removing", FigureOptions(clip=1, frames=(3, 0))))
    steps = steps_of(run, clip, "removing", 5)
    assert len(drawn) == 2 * len(steps)
    for frame, row in ((3, drawn[: len(steps)]), (0, drawn[len(steps) :])):
        for pixels, step in zip(row, steps, strict=True):
            factor = pixels.shape[0] // GRID[1]
            small = pixels[factor // 2 :: factor, factor // 2 :: factor]
            wanted = np.where(step.shown[frame][..., None], clip.clip.frames[frame], [200, 100, 50])
            np.testing.assert_array_equal(small, wanted)


def test_the_map_is_the_mean_over_levels_of_what_hiding_costs(run: ConceptRun) -> None:
    assert run.evaluation is not None
    clip = run.evaluation.explored[0]

    def odds(logits: np.ndarray) -> float:
        z = logits.astype(float)
        return z[0] - np.log(np.exp(z[1:]).sum())

    lost = [0.0, *(odds(clip.unmodified) - odds(clip.hidden[k]) for k in (1, 2))]
    found = effect_map(run, clip)
    labels = clip.supervoxels.labels
    for t, y, x in [(0, 0, 0), (2, 4, 5), (4, 11, 9), (3, 3, 3)]:
        own = [lost[ASSIGNED[i]] for i in labels[:, t, y, x] if i >= 0]
        assert found[t, y, x] == pytest.approx(np.mean(own))
    said = [t.get_text() for t in texts(draw_figure(run, "map"))]
    assert said.count("absent") == 1
    assert any(f"{abs(lost[1]):.2f}" in words for words in said)


def test_concepts_are_shown_best_first_in_pairs_of_pictures(run: ConceptRun) -> None:
    figure = draw_figure(run, "concepts", FigureOptions(concepts=2))
    names = [t.get_text() for t in texts(figure) if "Concept" in t.get_text()]
    assert names == ["1. Concept 1", "2. Concept 2"]
    assert len(pictures(figure)) == 2 * (6 + 1)  # members of the two concepts
    raw = pictures(figure)[1]
    shown = [c.frames[t] for c in run.clips for t in range(GRID[0])]
    factor = raw.shape[0] // GRID[1]
    assert any((raw[::factor, ::factor] == frame).all() for frame in shown), "the lower picture is a frame as it is"


def test_curves_of_several_runs_are_of_all_their_videos(run: ConceptRun) -> None:
    two = replace(run, evaluation=make_evaluation())
    figure = draw_figure([run, two], "curves")
    line = next(line for line in figure.axes[1].lines if line.get_gid() == "top")
    steps = make_evaluation().adding
    right = (steps.logits[0].argmax(-1) == 0).mean(0)
    np.testing.assert_allclose(line.get_ydata(), right[:-1])
    with pytest.raises(DataError, match="one run"):
        draw_figure([run, two], "map")


@pytest.mark.parametrize("seed", range(5))
def test_edges_go_around_every_pixel_of_a_mask_once(seed: int) -> None:
    mask = np.random.default_rng(seed).random((7, 9)) < (0.5, 0.1, 0.9, 1, 0)[seed]
    sides = set()
    for y, x in zip(*np.nonzero(mask), strict=True):
        for side in (
            ((x, y), (x + 1, y)),
            ((x, y + 1), (x + 1, y + 1)),
            ((x, y), (x, y + 1)),
            ((x + 1, y), (x + 1, y + 1)),
        ):
            sides ^= {side}  # a side of two pixels is no edge
    found = []
    for (x0, y0), (x1, y1) in edges(mask).astype(int):
        assert (x0 == x1) != (y0 == y1)
        found += [((x, y0), (x + 1, y0)) for x in range(x0, x1)] + [((x0, y), (x0, y + 1)) for y in range(y0, y1)]
    assert len(found) == len(set(found))
    assert set(found) == sides


def test_words() -> None:
    assert printable("a ≥ “é” $5$\nb") == "a ≥ “é” $5$\nb"
    assert printable("动\udcff") == "□□"
    assert shorten("a" * 100, 11) == "aaaaa…aaaaa"
    assert shorten(" two\n words ", 11) == "two words"


def said(call: object) -> str:
    with pytest.raises(DataError) as caught:
        call()  # type: ignore[operator]
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_what_cannot_be_drawn_is_said(run: ConceptRun) -> None:
    plain = make_run()
    none = replace(run, evaluation=replace(make_evaluation(), explored=()))
    for kind in ("curves", "adding", "removing", "map"):
        assert "`voxplain evaluate`" in said(lambda kind=kind: draw_figure(plain, kind))
    draw_figure(plain, "concepts")
    assert "setting exploration.clips" in said(lambda: draw_figure(none, "map"))
    assert "from 0 to 1, got 2" in said(lambda: draw_figure(run, "adding", FigureOptions(clip=2)))
    assert "frames from 0 to 4 of the clip, got 5" in said(
        lambda: draw_figure(run, "map", FigureOptions(frames=(1, 5)))
    )
    assert "at most 7 concepts" in said(lambda: draw_figure(run, "map", FigureOptions(concepts=8)))
    assert "curves do not move" in said(lambda: figure_file(run, "curves", ".gif"))
    assert "ending in .pdf, .png, .gif, .mp4" in said(lambda: figure_file(run, "map", ".jpg"))
    assert "got none" in said(lambda: figure_file(run, "map", ""))
    assert "concepts, curves" in said(lambda: draw_figure(run, "pie"))
    for wrong in ({"width": 2}, {"width": float("nan")}, {"concepts": 0}):
        assert "correct them" in said(lambda wrong=wrong: FigureOptions(**wrong))
    assert VIDEOS > PLACE


def test_the_legend_of_curves_names_every_order():
    figure = draw_figure(make_evaluated_run(), "curves", FigureOptions())
    labels = [text.get_text() for legend in figure.legends for text in legend.get_texts()]
    assert [label.split(" (")[0] for label in labels] == [
        "top concepts first",
        "least concepts first",
        "random order",
        "random regions of top’s volume",
        "unmodified videos",
        "chance",
    ]
