"""Where and how fast a report page answers ten questions: python benchmarks/page_questions.py RUN/report.html.

Opens the page anew for each question in Chromium at 1440 × 900, goes to the answer as a reader would (scrolling, and
opening a closed part), and prints as Markdown, medians of several openings: the seconds by the clock until the answer
is on the screen, the seconds of processor of the page's thread until then, the screens scrolled and the clicks. With
--runs FOLDER also the seconds of processor of writing its pages. Reading itself is not measured.
"""

import argparse
import shutil
import statistics
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HEIGHT = 900  # of a screen


@dataclass(frozen=True)
class Question:
    """A question, the part that answers it, and the closed part that it is in, if any."""

    text: str
    place: str
    answer: str
    closed: str = ""


QUESTIONS = (
    Question("What does the network rely on for this class?", "first sentence", ".lead"),
    Question("What does that look like?", "three clips", ".top-clips .clip"),
    Question("Is it proved?", "verdict; table and curves below", ".verdict .headline"),
    Question("Does another seed or another fill give the same?", "verdict, “stable”", "[data-finding=stability]"),
    Question("Is it background, or a caption?", "verdict, “not background”", "[data-finding=background]"),
    Question("Where and when is it in a clip?", "rows of one clip over time", ".effect-strip .strip-rows"),
    Question("What else does it rely on?", "list of concepts", "ol.glance li"),
    Question("Is it the same thing in held-out clips?", "“Concepts one by one”", ".card .held-out", "#r0-concepts"),
    Question("What happens in this clip without that concept?", "“Clip explorer”", "#r0-clips canvas", "#r0-clips"),
    Question("How was it made?", "“How it was made”", "#r0-made p, #r0-made table", "#r0-made"),
)


@dataclass(frozen=True)
class Found:
    """Seconds until the answer by the clock, and of the page's thread; screens scrolled, and clicks."""

    answered: float
    thread: float
    screens: float
    clicks: int


def ask(browser: Any, page: Path, question: Question) -> Found:
    """Open the page and go to the answer of a question."""
    shown = browser.new_page(viewport={"width": 1440, "height": HEIGHT})
    tools = shown.context.new_cdp_session(shown)
    tools.send("Performance.enable", {"timeDomain": "threadTicks"})
    start, clicks = time.perf_counter(), 0
    shown.goto(page.resolve().as_uri())
    if question.closed:
        closed = shown.locator(question.closed).first
        if closed.get_attribute("open") is None:
            closed.locator("summary").first.click()
            clicks += 1
    answer = shown.locator(question.answer).first
    answer.scroll_into_view_if_needed()
    answer.wait_for(state="visible")
    answered = time.perf_counter() - start
    measured = {m["name"]: m["value"] for m in tools.send("Performance.getMetrics")["metrics"]}
    screens = shown.evaluate("window.scrollY") / HEIGHT
    shown.close()
    return Found(answered, measured["TaskDuration"], screens, clicks)


def rows(browser: Any, page: Path, repeats: int) -> Iterator[str]:
    """The table, a line a question: medians of several openings."""
    yield "| question | seconds by the clock | seconds of processor | screens down | clicks | where on the page |"
    yield "|---|---|---|---|---|---|"
    for question in QUESTIONS:
        found = [ask(browser, page, question) for _ in range(repeats)]
        clock, thread = (statistics.median(getattr(one, name) for one in found) for name in ("answered", "thread"))
        last = found[-1]
        times = f"{clock:.1f} | {thread:.2f}"
        yield f"| {question.text} | {times} | {last.screens:.1f} | {last.clicks} | {question.place} |"


def writing(folder: Path) -> str:
    """The seconds of processor of writing the pages of the runs in a folder, a class."""
    from tempfile import TemporaryDirectory

    from voxplain.report import write_report
    from voxplain.store import find_runs, load_run

    runs = [load_run(place) for place in find_runs(folder)]
    took = []
    with TemporaryDirectory() as out:
        for run in runs:
            start = time.process_time()
            write_report(run, Path(out) / "page.html")
            took.append(time.process_time() - start)
    each = ", ".join(f"{seconds:.1f}" for seconds in took)
    return f"\nSeconds of processor of writing the page of a class: {each} ({len(runs)} classes, in this order)."


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("page", type=Path)
    options.add_argument("--repeats", type=int, default=3)
    options.add_argument("--runs", type=Path)
    given = options.parse_args()
    from playwright.sync_api import sync_playwright

    path = shutil.which("chromium") or shutil.which("google-chrome")
    with sync_playwright() as started:
        browser = started.chromium.launch(executable_path=path, args=["--no-sandbox", "--disable-gpu"])
        ask(browser, given.page, QUESTIONS[0])  # starts the browser's processes
        for row in rows(browser, given.page, given.repeats):
            print(row, flush=True)
        browser.close()
    if given.runs:
        print(writing(given.runs))


if __name__ == "__main__":
    main()
