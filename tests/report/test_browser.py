"""The report in a real browser: it opens, plays, answers the pointer and the keyboard, and asks nobody for anything."""

import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import voxplain as vx
from voxplain.attribution.attribution_run import AttributionRun
from voxplain.concepts.clip_exploration import ClipExploration
from voxplain.concepts.cluster import KMeans
from voxplain.concepts.concept_run import ConceptRun
from voxplain.concepts.effect import HideConcepts
from voxplain.concepts.evaluate import AddRemove
from voxplain.explain import explain_clip, methods_by_name
from voxplain.metrics import METRICS
from voxplain.report import write_attribution_report, write_pages, write_report

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
# Through a canvas of its own: reading the page's canvases often makes the browser warn.
PIXELS = """(c => {
  const own = Object.assign(document.createElement('canvas'), { width: c.width, height: c.height });
  const context = own.getContext('2d', { willReadFrequently: true });
  context.drawImage(c, 0, 0);
  return Array.from(context.getImageData(0, 0, c.width, c.height).data);
})"""
QUIET = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
if not CHROMIUM and os.environ.get("VOXPLAIN_BROWSER") != "required":
    pytest.skip("no chromium on this machine: install it to test the report in a browser", allow_module_level=True)
playwright = pytest.importorskip("playwright.sync_api", reason="needs playwright, one of the dev extra's packages")


@pytest.fixture(scope="module")
def run(small_set: Path) -> ConceptRun:
    model = vx.load_model("planted")
    settings = vx.ConceptSettings(
        clusterer=KMeans(clusters=6),
        videos=4,
        unrelated_videos=8,
        unrelated_crops=20,
        random_sets=6,
        effect=HideConcepts(),
        evaluation=AddRemove(steps=3, draws=4, matched=2),
        exploration=ClipExploration(clips=2, switches=3),
    )
    clips, test, random = (
        vx.read_clips(small_set / part, model.reader()).clips for part in ("train/cross", "test/cross", "unrelated")
    )
    found = vx.explain_concepts(model, clips, random=random, target="cross", settings=settings)
    return vx.evaluate_concepts(found, test, settings=settings)


@pytest.fixture(scope="module")
def report(run: ConceptRun, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_report(run, tmp_path_factory.mktemp("browser") / "report.html")


@pytest.fixture(scope="module")
def browser() -> Iterator:
    with playwright.sync_playwright() as started:
        opened = started.chromium.launch(executable_path=CHROMIUM, args=QUIET)
        yield opened
        opened.close()


@contextmanager
def quiet_page(browser, path: Path) -> Iterator:
    """A page, opened from disk; at the end no error and no request may have been seen."""
    seen: list[str] = []
    shown = browser.new_page(viewport={"width": 1600, "height": 1000})
    shown.on("console", lambda m: seen.append(m.text) if m.type in ("error", "warning") else None)
    shown.on("pageerror", lambda error: seen.append(str(error)))
    shown.on("request", lambda r: None if re.match("file:|data:|blob:", r.url) else seen.append(r.url))
    shown.goto(path.as_uri())
    yield shown
    shown.close()
    assert seen == []


@pytest.fixture
def page(browser, report: Path) -> Iterator:
    with quiet_page(browser, report) as shown:
        yield shown


@pytest.fixture(scope="module")
def maps(small_set: Path) -> AttributionRun:
    """Two plain maps and a signed one of a video longer than the network's clip."""
    frames = vx.read_video(small_set / "test/cross/0.mp4").frames
    clip = vx.Clip.from_array(np.concatenate([frames, frames[::-1]])[:24], source="long.mp4")
    methods = methods_by_name("gradient,grad_cam,lrp_epsilon")
    sufficiency = {"sufficiency": METRICS["sufficiency"]()}
    return explain_clip(vx.load_model("planted"), clip, methods, target="cross", metrics=sufficiency)


@pytest.fixture
def viewer(browser, maps: AttributionRun, tmp_path: Path) -> Iterator:
    """The attribution page, its viewer in sight, loaded and paused at the first frame."""
    path = write_attribution_report([maps, maps], tmp_path / "maps.html")
    with quiet_page(browser, path) as opened:
        root = opened.locator("[data-viewer]").first
        root.scroll_into_view_if_needed()
        root.get_by_role("button", name="Pause").click()
        opened.wait_for_function(f"{PIXELS}(document.querySelector('[data-viewer] canvas'))[3] > 0")  # drawn
        root.get_by_label("Frame", exact=True).fill("0")
        yield root


def test_it_opens_at_once_and_fits_every_screen(page, report, tmp_path):
    cdp = page.context.new_cdp_session(page)
    cdp.send("Performance.enable", {"timeDomain": "threadTicks"})  # processor time, whatever else the machine does
    page.goto(report.as_uri())
    assert page.locator("h1").inner_text() == "cross"
    took = {m["name"]: m["value"] for m in cdp.send("Performance.getMetrics")["metrics"]}["TaskDuration"]
    assert 0 < took < 2
    for width in (360, 800, 1600):
        page.set_viewport_size({"width": width, "height": 900})
        page.wait_for_timeout(100)
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        page.screenshot(path=tmp_path / f"{width}.png", full_page=True)
        assert (tmp_path / f"{width}.png").stat().st_size > 20_000


def opened(page, part: str) -> None:
    """Open one of the parts that are closed at first."""
    page.locator(f"#r0-{part} > summary").click()


def test_the_top_concept_plays_on_the_first_screen(page):
    for video in page.locator(".top-clips video").all():
        page.wait_for_function("v => v.currentTime > 0 && !v.paused", arg=video.element_handle(), timeout=60_000)


def test_a_link_to_a_concept_opens_its_card(page):
    card = page.locator(".card").last
    assert not card.is_visible()
    page.evaluate("id => { location.hash = id; }", card.get_attribute("id"))
    card.wait_for(state="visible")


FIRST_SCREEN = """() => ['.lead', '.top-clips', '.verdict .headline'].map(s => {
    const box = document.querySelector(s).getBoundingClientRect();
    return [s, box.top, box.bottom, box.left, box.right];
})"""
CUT = """() => [...document.querySelectorAll('.findings li, .lead, .glance a, .strip-legend span, h1, h2, summary')]
    .filter(e => e.offsetParent && e.scrollWidth > e.clientWidth + 1 && getComputedStyle(e).display !== 'inline')
    .map(e => e.textContent)"""


@pytest.mark.parametrize(("width", "height"), [(390, 844), (800, 900), (1440, 900)])
def test_the_first_screen_holds_sentence_picture_and_verdict(page, width, height):
    page.set_viewport_size({"width": width, "height": height})
    for name, top, bottom, left, right in page.evaluate(FIRST_SCREEN):
        assert 0 <= top < bottom <= height, name
        assert 0 <= left < right <= width, name
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.evaluate(CUT) == []
    details = page.locator("details.part").first.bounding_box()["y"]
    if width == 1440:
        assert details <= 2 * height, "two screens before the details"


def test_print_shows_the_answer_and_no_controls(page):
    page.emulate_media(media="print")
    assert page.locator(".verdict").is_visible()
    assert not page.locator("details.part").first.is_visible()
    assert not page.get_by_text("hover over or press").is_visible()


def test_the_printed_page_starts_with_answer_and_strip_and_has_two_sheets(browser, report):
    with quiet_page(browser, report) as shown:
        printed = shown.pdf(format="A4")
        assert len(re.findall(rb"/Type\s*/Page\b", printed)) == 2
        shown.emulate_media(media="print")
        shown.set_viewport_size({"width": 688, "height": 1017})  # A4 without its margins, in CSS pixels
        strip = shown.locator(".effect-strip").first.bounding_box()
        assert strip["y"] + strip["height"] < 1017


def test_a_clip_plays_only_once_it_is_seen(page):
    opened(page, "concepts")
    last = page.locator(".card > div > .clips video").last
    assert last.evaluate("v => v.src") == ""
    last.scroll_into_view_if_needed()
    page.wait_for_function("v => v.currentTime > 0 && !v.paused", arg=last.element_handle(), timeout=60_000)
    page.evaluate("scrollTo(0, 0)")
    page.wait_for_function("v => v.paused", arg=last.element_handle(), timeout=60_000)


def test_raw_under_the_pointer_and_by_key(page):
    opened(page, "concepts")
    clip = page.locator(".card .clip").first
    clip.hover()
    assert "raw" in clip.get_attribute("class")
    page.mouse.move(2, 2)
    assert "raw" not in clip.get_attribute("class")
    clip.press("Enter")
    assert clip.get_attribute("aria-pressed") == "true"
    assert "raw" in clip.get_attribute("class")


def explorer(page):
    opened(page, "clips")
    root = page.locator(".explorer")
    root.scroll_into_view_if_needed()
    root.locator(".switches li").first.wait_for()
    root.get_by_role("button", name="Pause").click()
    root.get_by_role("slider").fill("0")
    return root


def test_pointing_at_a_supervoxel_tells_its_concept(page, run):
    root, explored = explorer(page), run.evaluation.explored[0]
    labels = explored.supervoxels.labels[-1]  # the finest level is the one shown first
    height, width = labels.shape[1:]
    box = root.locator("canvas").bounding_box()
    for y, x in ((height // 2, width // 2), (3, 5)):
        page.mouse.move(box["x"] + (x + 0.5) * box["width"] / width, box["y"] + (y + 0.5) * box["height"] / height)
        concept = explored.assigned[labels[0, y, x]]
        told = root.locator(".description").inner_text()
        assert f"concept {concept} " in told
        change = re.search(r"log-odds by ([+−])(\d+\.\d+)", told)
        assert float(change[2]) * (1 if change[1] == "+" else -1) == pytest.approx(
            -probed_drop(run, explored)[concept], abs=0.011
        )


def probed_drop(run, explored):
    def log_odds(z):
        others = np.delete(z.astype(float), run.target_index, -1)
        return z[..., run.target_index] - np.log(np.exp(others).sum(-1))

    return log_odds(explored.unmodified) - log_odds(explored.hidden)


def test_switching_concepts_shows_what_was_measured(page, run):
    root, explored = explorer(page), run.evaluation.explored[0]
    own = np.exp(explored.switched.astype(float))
    own = (own / own.sum(1, keepdims=True))[:, run.target_index]
    before = root.locator("canvas").evaluate("c => c.toDataURL()")
    bits = 0
    for i, concept in enumerate(explored.switches):
        root.locator(f'input[value="{concept}"]').uncheck()
        bits |= 1 << i
        said = root.locator(".likely .now").first.inner_text()
        assert float(said.removesuffix(" %")) == pytest.approx(100 * own[bits], abs=0.6)
    assert root.locator("canvas").evaluate("c => c.toDataURL()") != before
    root.get_by_role("button", name="All on").click()
    assert float(root.locator(".likely .now").first.inner_text().removesuffix(" %")) == pytest.approx(
        100 * own[0], abs=0.6
    )


def test_frames_can_be_stepped_with_the_keyboard(page):
    root = explorer(page)
    slider = root.get_by_role("slider")
    slider.focus()
    page.keyboard.press("ArrowRight")
    assert slider.input_value() == "1"
    assert slider.get_attribute("aria-valuetext") == root.locator(".clock").inner_text()
    root.get_by_role("button", name="One frame back").click()
    assert slider.input_value() == "0"


def test_another_clip_can_be_chosen(page, run):
    root = explorer(page)
    choice = root.get_by_label("Test clip", exact=True)
    choice.select_option(index=1)
    page.wait_for_function(
        "n => document.querySelectorAll('.switches li').length === n",
        arg=len(set(run.evaluation.explored[1].assigned.tolist()) - {-1}),
    )


def test_dark_pages_are_dark(browser, report):
    dark = browser.new_page(color_scheme="dark")
    dark.goto(report.as_uri())
    colour = dark.evaluate("getComputedStyle(document.body).backgroundColor")
    assert max(int(v) for v in re.findall(r"\d+", colour)[:3]) < 60
    dark.close()


def test_pages_of_several_classes_share_their_styles_and_lead_to_each_other(browser, run, tmp_path):
    index = write_pages([run, replace(run, target="other class")], tmp_path / "report.html")
    with quiet_page(browser, index) as shown:
        assert shown.locator(".index a").count() == 2
        paper = shown.evaluate("getComputedStyle(document.body).backgroundColor")
        shown.locator(".index a").last.click()
        assert shown.locator("h1").inner_text() == "other class"
        assert shown.evaluate("getComputedStyle(document.body).backgroundColor") == paper != "rgba(0, 0, 0, 0)"
        video = shown.locator(".top-clips video").first  # the script runs
        shown.wait_for_function("v => v.currentTime > 0", arg=video.element_handle(), timeout=60_000)
        shown.get_by_role("link", name="All classes").click()
        assert shown.locator("h1").inner_text() == "2 classes"


def test_every_control_has_a_name_and_every_picture_a_text(page):
    explorer(page)
    bare = page.evaluate(
        """() => [...document.querySelectorAll('button, select, input, a')].filter(e =>
        !(e.textContent.trim() || e.ariaLabel || e.labels?.length || e.getAttribute('aria-label')))
        .map(e => e.outerHTML)"""
    )
    assert bare == []
    assert page.evaluate("[...document.images].every(i => i.hasAttribute('alt'))")


def shown(viewer, i: int) -> np.ndarray:
    """RGB of one canvas of the viewer: 0 is the clip, then the maps in their order."""
    canvas = viewer.locator("canvas").nth(i)
    height, width = canvas.evaluate("c => [c.height, c.width]")
    return np.array(canvas.evaluate(PIXELS), np.uint8).reshape(height, width, 4)[..., :3].astype(int)


def test_the_viewer_shows_the_frame_of_the_slider(viewer, maps):
    assert viewer.locator("figcaption").all_inner_texts() == ["clip", *maps.maps]
    slider = viewer.get_by_label("Frame", exact=True)
    assert slider.get_attribute("max") == str(len(maps.clip) - 1)
    for frame in (0, 11, 23):
        slider.fill(str(frame))
        assert np.abs(shown(viewer, 0) - maps.clip.frames[frame]).mean() < 6, "that frame, but for JPEG"
        said = viewer.locator(".clock").inner_text()
        assert float(said.removesuffix(" s")) == pytest.approx(maps.clip.seconds[frame], abs=0.006)
    viewer.get_by_role("button", name="One frame back").click()
    assert slider.input_value() == "22"
    viewer.get_by_role("button", name="One frame on").click()
    viewer.get_by_role("button", name="One frame on").click()
    assert slider.input_value() == "0", "the last frame is followed by the first"


def test_maps_are_coloured_where_they_are_high(viewer, maps):
    viewer.get_by_label("Frame", exact=True).fill("11")
    for i, values in enumerate(maps.maps.values(), 1):
        coloured = np.ptp(shown(viewer, i), axis=-1)
        size = np.abs(values[11])
        high, low = size >= np.quantile(size, 0.95), size <= np.quantile(size, 0.3)
        assert coloured[high].mean() > 2 * coloured[low].mean()


def test_opacity_changes_the_maps_and_not_the_clip(viewer):
    opacity = viewer.get_by_label("Opacity of the maps")

    def seen(value: int) -> list[np.ndarray]:
        opacity.fill(str(value))
        return [shown(viewer, i) for i in range(4)]

    none, half, full = (seen(v) for v in (0, 50, 100))
    assert np.array_equal(none[0], full[0])
    for i in (1, 2, 3):
        grey = none[0] @ (0.299, 0.587, 0.114)
        assert np.abs(none[i] - grey[..., None]).max() <= 1, "without maps the frame in grey"
        assert np.abs(full[i] - none[i]).max() > np.abs(half[i] - none[i]).max() > 20
    assert all(np.array_equal(a, b) for a, b in zip(seen(50), half, strict=True))


def test_the_viewer_plays_only_while_it_is_seen(viewer):
    page, slider = viewer.page, viewer.get_by_label("Frame", exact=True)
    viewer.get_by_role("button", name="Play").click()
    page.wait_for_function("e => e.value !== '0'", arg=slider.element_handle(), timeout=60_000)
    viewer.get_by_role("button", name="Pause").click()
    before = slider.input_value()
    page.wait_for_timeout(300)
    assert slider.input_value() == before
    viewer.get_by_role("button", name="Play").click()
    page.evaluate("scrollTo(0, document.body.scrollHeight)")
    for _ in range(30):  # a busy browser notices late that the viewer is out of sight
        before = slider.input_value()
        page.wait_for_timeout(300)
        if slider.input_value() == before:
            break
    page.wait_for_timeout(300)
    assert slider.input_value() == before


def test_the_attribution_page_fits_every_screen_and_names_its_controls(viewer):
    page = viewer.page
    for width in (360, 800, 1600):
        page.set_viewport_size({"width": width, "height": 900})
        page.wait_for_timeout(100)
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        boxes = [viewer.locator("canvas").nth(i).bounding_box() for i in range(4)]
        assert all(b["width"] >= 120 and b["x"] >= 0 and b["x"] + b["width"] <= width for b in boxes)
        columns = {round(b["x"]) for b in boxes}
        assert len(columns) == (2 if width == 360 else 4 if width == 1600 else len(columns))
    bare = page.evaluate(
        """() => [...document.querySelectorAll('button, select, input, a, canvas')].filter(e =>
        !(e.textContent.trim() || e.ariaLabel || e.labels?.length || e.getAttribute('aria-label')))
        .map(e => e.outerHTML)"""
    )
    assert bare == []
