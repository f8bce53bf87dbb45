"""The table of networks: rows of a run replace those of the page, and reasons are numbered again."""

from networks_table import BEGIN, END, TITLES, NetworkRow, merged, render

WORKS = ("works",) * len(TITLES)
NO_LRP = (*WORKS[:3], "n/a: expected a rule, got none; use a gradient", *WORKS[4:])


def test_reasons_are_numbered_and_rows_have_all_columns() -> None:
    lines = render(
        [
            NetworkRow("a:one", "4×8×8", NO_LRP, ("1e-08", "0e+00")),
            NetworkRow("a:two", "4×8×8", WORKS, ("0e+00", "0e+00", "3e-06")),
            NetworkRow("a:three", "not loaded", ("expected a name: got none",)),
        ]
    ).splitlines()
    assert len({line.count("|") for line in lines[:5]}) == 1
    assert lines[2].endswith("| works | works | works | n/a (1) | works | works | works | 1e-08 | 0e+00 | – |")
    assert lines[-2].startswith("1. a:one, LRP: expected a rule, got none")


def test_a_page_keeps_its_other_rows() -> None:
    first = [NetworkRow("b:x", "c", NO_LRP, ("1e-08", "–", "–")), NetworkRow("b:y", "c", WORKS, ("0e+00",) * 3)]
    page = merged(f"Before.\n\n{BEGIN}\n{END}\n\nAfter.\n", first, ["b:x", "b:y", "b:z"])
    assert page == f"Before.\n\n{BEGIN}\n\n{render(first)}\n\n{END}\n\nAfter.\n"
    later = [NetworkRow("b:z", "c", NO_LRP, ("0e+00",) * 3), NetworkRow("b:y", "d", WORKS, ("2e-08",) * 3)]
    again = merged(page, later, ["b:x", "b:y", "b:z"])
    assert render([first[0], later[1], later[0]]) in again
    assert "1. b:x, LRP; b:z, LRP: expected a rule" in again
    mended = merged(again, [NetworkRow("b:x", "c", WORKS), NetworkRow("b:z", "c", WORKS)], ["b:x", "b:y", "b:z"])
    assert "expected a rule" not in mended
