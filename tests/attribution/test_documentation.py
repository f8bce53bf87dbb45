"""docs/attribution.md and the code agree: every method and metric, its class, summary and defaults, and LRP's rules."""

import inspect
import re
from dataclasses import MISSING, fields, is_dataclass
from functools import partial
from pathlib import Path

import pytest

from voxplain.attribution import ATTRIBUTIONS, LRP
from voxplain.attribution.relevance.lrp import COMPOSITES, RULES
from voxplain.metrics import METRICS

PAGE = (Path(__file__).parents[2] / "docs" / "attribution.md").read_text()
ARROWS = {True: " ↑", False: " ↓", None: ""}
NEEDS = {
    "map": "a map",
    "mask": "a map and a mask",
    "time": "a map of two joined clips",
    "method": "a method",
    "networks": "two networks",
    "training": "networks trained on masked clips",
}


def shown(value: object) -> str:
    """A default as one would type it: of a nested method only what is not its own default."""
    if is_dataclass(value):
        own = {f.name: getattr(value, f.name) for f in fields(value)}
        defaults = {f.name: f.default if f.default is not MISSING else f.default_factory() for f in fields(value)}
        return f"{type(value).__name__}({', '.join(f'{n}={shown(v)}' for n, v in own.items() if v != defaults[n])})"
    if isinstance(value, tuple):
        return f"({', '.join(map(shown, value))}{',' if len(value) == 1 else ''})"
    return f'"{value}"' if isinstance(value, str) else str(value)


def entry(make) -> tuple[str, str, str]:
    """How a registry's entry is built, its summary, and the defaults of its other fields."""
    set_here = make.keywords if isinstance(make, partial) else {}
    method = make()
    built = ", ".join(f"{n}={shown(v)}" for n, v in set_here.items())
    summary = inspect.getdoc(type(method)).splitlines()[0].replace("|", "\\|")
    rest = [f"{f.name}={shown(getattr(method, f.name))}" for f in fields(method) if f.name not in set_here]
    return f"`{type(method).__name__}{f'({built})' if built else ''}`", summary, f"`{', '.join(rest)}`" if rest else "–"


def method_row(name: str) -> str:
    built, summary, rest = entry(ATTRIBUTIONS[name])
    return f"| `{name}` | {built} | {summary} | {rest} |"


def metric_row(name: str) -> str:
    built, summary, rest = entry(METRICS[name])
    metric = METRICS[name]()
    return f"| `{name}`{ARROWS[metric.higher_is_better]} | {built} | {NEEDS[metric.needs]} | {summary} | {rest} |"


@pytest.mark.parametrize("name", ATTRIBUTIONS)
def test_methods(name):
    assert method_row(name) in PAGE.splitlines()


@pytest.mark.parametrize("name", METRICS)
def test_metrics(name):
    assert metric_row(name) in PAGE.splitlines()


def test_the_tables_name_nothing_else():
    rows = re.findall(r"^\| `(\w+)`[ ↑↓]* \| `\w+(?:\(.*?\))?` \|", PAGE, re.MULTILINE)
    assert sorted(rows) == sorted([*ATTRIBUTIONS, *METRICS])


def lrp_rows(text: str, split: str) -> dict[str, list[str]]:
    """Cells of the table of LRP's rules by the rule's name."""
    lines = [re.split(split, line.strip().strip("|").strip()) for line in text.splitlines()]
    return {row[0].strip('`"'): row[1:] for row in lines if row[0].strip('`"') in (*RULES, *COMPOSITES)}


def test_the_rules_of_lrp():
    """The page, the docstring and the code agree on the rule of each kind of layer."""
    words = {"z_plus": "z⁺", "norm": "ε → 0", "gamma": "γ", "alpha_beta": "αβ", "alpha2_beta1": "αβ, 2 and 1"}
    words |= {"same": "same", "flat": "flat", "z_box": "z^B", "epsilon": "ε"}
    expected = {}
    for rule in RULES:
        expected[rule] = [words[rule]] * 2 + ["ε → 0" if rule == "epsilon" else words[rule], "same"]
    for rule, (conv, fixed, first) in COMPOSITES.items():
        expected[rule] = [words[conv], "ε", words[fixed], words[first]]
    assert lrp_rows(inspect.getdoc(LRP), r"\s{2,}") == expected
    assert lrp_rows(PAGE, r"\s*\|\s*") == expected
    assert {f"lrp_{rule}" for rule in expected} == {name for name in ATTRIBUTIONS if name.startswith("lrp_")}
