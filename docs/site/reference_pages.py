"""The reference pages, from `voxplain.PUBLIC`, the registries and their docstrings: methods, metrics and the API.

A page is reStructuredText as a string; `reference_pages` gives all of them by path. Every public name has one page: the
classes of a registry with the methods or metrics, everything else under ``api``.
"""

import importlib
import inspect
import json
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

from notes import METHOD_NOTES, METRIC_NOTES

import voxplain as vx

__all__ = ["reference_pages"]

# Package of the class → heading. A package without an entry is an error in `grouped`.
METHOD_GROUPS = {
    "voxplain.attribution.gradients": "Gradients",
    "voxplain.attribution.cams": "Class activation maps",
    "voxplain.attribution.relevance": "Relevance",
    "voxplain.attribution.perturbation": "Perturbation",
    "voxplain.attribution.masks": "Optimised masks",
    "voxplain.attribution.controls": "Controls, which do not depend on the network",
}
METRIC_GROUPS = {
    "map": "A map",
    "mask": "A map and a mask of the truth",
    "time": "A map of two joined clips",
    "method": "A method",
    "networks": "Two networks",
    "training": "Networks trained on masked clips",
}
IMAGES = Path(__file__).parents[1] / "img"
COSTS = Path(__file__).parent / "costs.json"
DIRECTIONS = {True: "higher is better", False: "lower is better", None: "neither direction is better"}
METHODS_TEXT = """\
A method is a frozen dataclass whose fields are its parameters. Calling it with a model, a clip and a target gives an
`Attribution`, a map float32 [T,H,W]; `voxplain.ATTRIBUTIONS` has all methods by the name that the command line takes.
Which of them to use, and how they compare on planted and on real videos:
:doc:`Attribution: where and when did the network look in this clip? </docs/attribution>`
"""
METRICS_TEXT = """\
A metric is a frozen dataclass whose call gives a `MetricValue` with its chance level where there is one. The headings
say what a metric needs; `voxplain.METRICS` has all of them by the name that the command line takes. What they measured:
:doc:`Attribution: where and when did the network look in this clip? </docs/attribution>`
"""


def reference_pages() -> dict[str, str]:
    """All reference pages.

    Returns
    -------
    dict of str
        Path from the root of the pages, with its suffix → reStructuredText.
    """
    in_registry = {**class_pages("methods", vx.ATTRIBUTIONS), **class_pages("metrics", vx.METRICS)}
    pages = dict(in_registry)
    groups = grouped(vx.ATTRIBUTIONS, method_group, METHOD_GROUPS)
    pages["methods/index.rst"] = index("Attribution methods", METHODS_TEXT, groups, vx.ATTRIBUTIONS)
    groups = grouped(vx.METRICS, metric_group, METRIC_GROUPS)
    pages["metrics/index.rst"] = index("Metrics", METRICS_TEXT, groups, vx.METRICS)
    own = {path.split("/")[1].removesuffix(".rst") for path in in_registry}
    return pages | api_pages(own)


def method_group(make: Callable[[], object]) -> str:
    """Heading of a method, from the package of its class."""
    return METHOD_GROUPS[type(make()).__module__.rpartition(".")[0]]


def metric_group(make: Callable[[], object]) -> str:
    """Heading of a metric, from what it needs."""
    return METRIC_GROUPS[vars(type(make()))["needs"]]


def grouped(
    registry: Mapping[str, Callable[[], object]],
    group_of: Callable[[Callable[[], object]], str],
    groups: Mapping[str, str],
) -> dict[str, list[str]]:
    """Names of a registry by heading, in the order of ``groups``."""
    found: dict[str, list[str]] = {heading: [] for heading in groups.values()}
    for name, make in registry.items():
        found[group_of(make)].append(name)
    return {heading: names for heading, names in found.items() if names}


def title(text: str, line: str = "=") -> str:
    """A heading."""
    return f"{text}\n{line * len(text)}\n\n"


def summary(found: object) -> str:
    """The first line of a docstring, safe in a cell of a table."""
    first = (inspect.getdoc(found) or "").partition("\n")[0]
    return first.replace("\\", "\\\\").replace("*", "\\*").replace("|", "\\|")


def table(rows: list[tuple[str, ...]], head: tuple[str, ...], widths: str) -> str:
    """A list-table."""
    lines = [".. list-table::", "   :header-rows: 1", f"   :widths: {widths}", ""]
    for row in (head, *rows):
        lines += [f"   {'* -' if i == 0 else '  -'} {cell}" for i, cell in enumerate(row)]
    return "\n".join(lines) + "\n\n"


def toctree(names: list[str]) -> str:
    """A hidden tree of pages."""
    return ".. toctree::\n   :hidden:\n\n" + "".join(f"   {name}\n" for name in names) + "\n"


def built(make: Callable[[], object]) -> str:
    """How a registry's entry is built, as Python."""
    keywords = make.keywords if isinstance(make, partial) else {}
    return f"{type(make()).__name__}({', '.join(f'{name}={value!r}' for name, value in keywords.items())})"


def index(
    heading: str, text: str, groups: Mapping[str, list[str]], registry: Mapping[str, Callable[[], object]]
) -> str:
    """The page with the tables of a registry."""
    page = title(heading) + ".. currentmodule:: voxplain\n\n" + text + "\n"
    classes: dict[str, None] = {}
    for group, names in groups.items():
        rows = []
        for name in names:
            found = registry[name]()
            cls = type(found).__name__
            classes[cls] = None
            call = built(registry[name]).removeprefix(cls).removesuffix("()")
            how = f":py:obj:`{cls} <voxplain.{cls}>`" + (f" ``{call}``" if call else "")
            direction = getattr(found, "higher_is_better", "") if hasattr(type(found), "needs") else ""
            rows.append((f"``{name}``", how, summary(type(found)), DIRECTIONS.get(direction, "")))
        if all(not row[-1] for row in rows):
            rows, head, widths = [row[:-1] for row in rows], ("name", "class", "what it computes"), "25 25 50"
        else:
            head, widths = ("name", "class", "what it measures", "direction"), "22 22 41 15"
        page += title(group, "-") + table(rows, head, widths)
    return page + toctree(list(classes))


def class_pages(folder: str, registry: Mapping[str, Callable[[], object]]) -> dict[str, str]:
    """One page for each class of a registry, with the names under which the registry has it."""
    names: dict[str, list[str]] = {}
    for name, make in registry.items():
        names.setdefault(type(make()).__name__, []).append(name)
    pages = {}
    for cls, entries in names.items():
        page = title(cls) + ".. currentmodule:: voxplain\n\n" + when_and_cost(folder, cls, entries[0])
        page += f".. autoclass:: {cls}\n   :no-members:\n\n" + picture(folder, entries[0])
        page += "Names on the command line\n-------------------------\n\n"
        rows = [(f"``{name}``", f"``vx.{built(registry[name])}``") for name in entries]
        page += table(rows, ("name", "in Python"), "40 60")
        if folder == "metrics":
            found = registry[entries[0]]()
            page += f"Needs: {metric_group(registry[entries[0]]).lower()}. "
            page += DIRECTIONS[found.higher_is_better].capitalize() + " with the default parameters.\n"  # type: ignore[attr-defined]
        pages[f"{folder}/{cls}.rst"] = page
    return pages


def when_and_cost(folder: str, cls: str, entry_name: str) -> str:
    """When to use a method or metric, and what one map costs."""
    text = f"**When to use:** {(METHOD_NOTES if folder == 'methods' else METRIC_NOTES)[cls]}\n\n"
    costs = json.loads(COSTS.read_text("utf-8"))
    if folder == "methods" and entry_name in costs:
        cost = costs[entry_name]
        passes = f"{cost['forward']} forward and {cost['backward']} backward"
        if not cost["forward"] and not cost["backward"]:
            passes = "no"
        text += f"**Cost:** {passes} passes for the map below.\n\n"
    return text


def picture(folder: str, entry_name: str) -> str:
    """The picture of a method or metric on the clip that all of them have; nothing where there is none."""
    if folder == "methods":
        if not (IMAGES / "methods" / f"{entry_name}.webp").exists():
            return ""
        return (
            "Picture\n-------\n\n"
            "Four frames of a planted clip, and below them the map of the included network. The class, *ring*, is\n"
            "decided by the ring; methods of many samples have fewer here than by default.\n\n"
            ".. image:: /docs/img/methods/clip.webp\n   :alt: Four frames of a clip with a ring and distractors\n\n"
            f".. image:: /docs/img/methods/{entry_name}.webp\n   :alt: The map of {entry_name} over the same frames\n\n"
        )
    if not (IMAGES / "metrics" / f"{entry_name}.png").exists():
        return ""
    return (
        "Picture\n-------\n\n"
        "Maps of one planted clip by this metric; grey bars are controls, which do not depend on the network.\n"
        "One clip ranks nothing: the tables in :doc:`/docs/attribution` have means over clips.\n\n"
        f".. image:: /docs/img/metrics/{entry_name}.png\n   :alt: A bar for each of the maps by {entry_name}\n\n"
    )


def api_pages(elsewhere: set[str]) -> dict[str, str]:
    """The table of all public names by package, and a page for each that is not in ``elsewhere``."""
    page = title("API reference") + ".. currentmodule:: voxplain\n\n"
    page += (
        "All public names, imported as ``import voxplain as vx``. A name is public if it is here; for how public\n"
        "names change between versions see :doc:`Design </docs/design>`.\n\n"
    )
    pages, names = {}, []
    for module, listed in vx.PUBLIC.items():
        rows = []
        for name in sorted(listed.split(), key=str.lower):
            found = getattr(vx, name)
            documented = inspect.isclass(found) or inspect.isfunction(found)
            about = summary(found) if documented else kind_of_data(found)
            rows.append((f":py:obj:`{name} <voxplain.{name}>`", about))
            if name not in elsewhere:
                names.append(name)
                pages[f"api/{name}.rst"] = object_page(name, found)
        page += title(f"voxplain.{module}", "-") + module_text(module)
        page += table(rows, ("name", "what it is"), "30 70")
    pages["api/index.rst"] = page + toctree(names)
    return pages


def module_text(module: str) -> str:
    """The first paragraph of a package's docstring."""
    text = inspect.getdoc(importlib.import_module(f"voxplain.{module}")) or ""
    return text.partition("\n\n")[0].replace("*", "\\*").replace("|", "\\|") + "\n\n"


def kind_of_data(found: object) -> str:
    """What a public name that is neither class nor function is."""
    if isinstance(found, Mapping):
        return f"Registry with {len(found)} entries."
    return "Type: " + ", ".join(f"`{part.__name__}`" for part in found.__args__) + "."  # type: ignore[attr-defined]


def object_page(name: str, found: object) -> str:
    """The page of one public name."""
    page = title(name) + ".. currentmodule:: voxplain\n\n"
    if inspect.isclass(found):
        return page + f".. autoclass:: {name}\n"
    if inspect.isfunction(found):
        return page + f".. autofunction:: {name}\n"
    page += f".. py:data:: {name}\n\n   {kind_of_data(found)}\n\n"
    if isinstance(found, Mapping):
        page += table([(f"``{key!r}``", entry(value)) for key, value in found.items()], ("name", "entry"), "40 60")
    return page


def entry(value: object) -> str:
    """The entry of a registry: its class or function, a link where that is public."""
    made = value.func if isinstance(value, partial) else value
    name = getattr(made, "__name__", type(made).__name__)
    keywords = value.keywords if isinstance(value, partial) else {}
    more = ", ".join(f"{key}={setting!r}" for key, setting in keywords.items())
    public = getattr(vx, name, None) is made if name in vx.__all__ else False
    shown = f":py:obj:`{name} <voxplain.{name}>`" if public or name in vx.__all__ else f"``{name}``"
    return shown + (f" ``({more})``" if more else "")
