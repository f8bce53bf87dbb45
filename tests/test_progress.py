"""What a user sees on stderr, in a terminal and elsewhere."""

import io
import re

import pytest

from voxplain.progress import duration, progress_bar, quiet


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_outside_a_terminal_there_are_two_plain_lines() -> None:
    stream = io.StringIO()
    with progress_bar("features", 3, stream=stream) as advance:
        for _ in range(3):
            advance()
    first, last = stream.getvalue().splitlines()
    assert first == "features: 3 to do"
    assert re.fullmatch(r"features: done after \d+\.\d s \(3 items\)", last)


def test_a_long_step_tells_how_far_it_is_outside_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    stream, now = io.StringIO(), iter([0.0, 10.0, 31.0, 40.0, 62.0, 63.0])
    monkeypatch.setattr("voxplain.progress.time.perf_counter", lambda: next(now))
    with progress_bar("features", 8, stream=stream) as advance:
        for _ in range(4):
            advance()
    assert stream.getvalue().splitlines()[1:-1] == [
        "features: 2 of 8 after 31 s, about 93 s left",  # 15.5 s an item, 6 left
        "features: 4 of 8 after 62 s, about 62 s left",
    ]


def test_the_default_stream_is_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    with progress_bar("cavs", None) as advance:
        advance(7)
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("cavs: started\n")
    assert "(7 items)" in captured.err


def test_an_error_passes_through_and_the_last_line_says_so() -> None:
    stream = io.StringIO()

    def step() -> None:
        with progress_bar("slic", 5, stream=stream) as advance:
            advance(2)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        step()
    assert re.search(r"slic: stopped after \d+\.\d s \(2 items\)\n$", stream.getvalue())


def test_force_colour_does_not_bring_the_bar_back_into_a_log(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    stream = io.StringIO()
    with progress_bar("slic", 1, stream=stream) as advance:
        advance()
    assert "\x1b" not in stream.getvalue()


def test_a_terminal_gets_a_bar_that_counts_and_names_with_brackets_stay_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "100")
    stream = Terminal()
    with progress_bar("class [b]", 4, stream=stream) as advance:
        advance(3)
        advance()
    shown = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", stream.getvalue())
    assert "class [b]" in shown
    assert "4/4" in shown
    assert "to do" not in shown


def test_two_bars_one_after_the_other_share_nothing() -> None:
    one, two = io.StringIO(), io.StringIO()
    with progress_bar("a", 1, stream=one) as advance_a, progress_bar("b", 1, stream=two) as advance_b:
        advance_a(1)
        advance_b(5)
    assert "(1 items)" in one.getvalue()
    assert "(5 items)" in two.getvalue()


def test_quiet_shows_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    with quiet("features", 3) as advance:
        advance()
        advance(2)
    captured = capsys.readouterr()
    assert captured.out == captured.err == ""


@pytest.mark.parametrize(
    ("seconds", "words"), [(0.44, "0.4 s"), (3.0, "3 s"), (95.2, "95 s"), (420, "7 min"), (12600, "3.5 h")]
)
def test_a_time_in_words(seconds: float, words: str) -> None:
    assert duration(seconds) == words
