"""A whole study: networks trained, methods measured, tables and figures written."""

import json
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import replace
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from voxplain.attribution import AttributionMethod
from voxplain.benchmark.study import StudyRow, network_rows, row_record, study_methods
from voxplain.benchmark.study_clips import FULL, QUICK, PlantedClips, StudyClips
from voxplain.benchmark.study_depth import DEPTH, DepthClips
from voxplain.benchmark.study_networks import NETWORKS, SHIPPED
from voxplain.benchmark.study_page import study_figures, study_markdown
from voxplain.benchmark.study_tables import StudyTables
from voxplain.errors import DataError
from voxplain.runtime import Shard
from voxplain.store import write_whole
from voxplain.version import __version__

__all__ = ["DESIGNS", "run_study"]

DESIGNS = ("standard", "held-out", DEPTH)


def run_study(
    work: Path,
    *,
    design: str = "standard",
    data: Path | None = None,
    quick: bool = False,
    networks: Sequence[str] = (),
    methods: Sequence[str] = (),
    more: Mapping[str, AttributionMethod] | None = None,
    clips: int | None = None,
    jobs: int = 1,
    shard: Shard | None = None,
    tell: Callable[[str], object] = lambda text: None,
) -> dict[str, Any]:
    """Train what is not yet trained, measure what is not yet measured, and write tables and figures.

    Parameters
    ----------
    work : Path
        Networks, results, and ``study.md`` and ``study.json`` of a whole run; the same call goes on after an end.
    design : str
        The planted clips, "standard" or "held-out", or "utd_depth": depth videos, where the person's silhouette takes
        the place of the object relied on.
    data : Path, optional
        Folder of UTD-MHAD as depth videos, for "utd_depth".
    quick : bool
        Smaller clips, fewer of them, and fewer samples and steps.
    networks, methods : sequence of str
        Only these; by default all, but the shipped network in a quick study and where its classes do not occur.
    more : mapping, optional
        Further methods by name.
    clips : int, optional
        Clips a class that are explained; by default those of the size. What fewer clips gave is found again.
    jobs : int
        Processes of one thread, each with networks of its own.
    shard : Shard, optional
        Only a share of the pairs of network and method; no tables are written.
    tell : callable
        Is given lines of progress.

    Returns
    -------
    dict
        The figures, see `study_figures`; empty for a shard.

    Raises
    ------
    DataError
        Unknown names, fewer than one clip, or no folder of depth videos.
    """
    size = QUICK if quick else FULL
    if clips is not None:
        if clips < 1:
            raise DataError(f"expected 1 clip a class or more, got {clips}; correct it")
        size = replace(size, clips=clips)
    chosen: dict[str, AttributionMethod] = {**study_methods(quick=quick, only=methods), **(more or {})}
    _check(design, networks, methods, chosen)
    source = _source(design, data)
    # The shipped network knows the shapes of the standard design only, and its clips are not small.
    every = [n for n in NETWORKS if n != SHIPPED or (design == "standard" and not quick)]
    names = [n for n in NETWORKS if n in (networks or every)]
    if jobs > 1:
        asked: dict[str, Any] = {"design": design, "data": data, "quick": quick, "methods": methods, "more": more}
        _beside(jobs, names, partial(run_study, work, **asked, clips=clips, shard=shard or Shard(1, 1)), tell)
    folder, rows, accuracies = work / ("quick" if quick else "full"), [], {}
    for network in names:
        own, accuracies[network] = network_rows(
            network, source, size, folder, chosen, quick=quick, mine=_share(shard), tell=tell
        )
        rows += own
    if shard is not None:
        return {}
    return _write_tables(rows, accuracies, folder / design, {"design": design, "set": source.digest(size)})


def _check(
    design: str, networks: Sequence[str], methods: Sequence[str], chosen: Mapping[str, AttributionMethod]
) -> None:
    if design not in DESIGNS:
        raise DataError(f"expected a design of {', '.join(DESIGNS)}, got {design!r}; choose one")
    if lost := [n for n in networks if n not in NETWORKS]:
        raise DataError(f"expected networks among {', '.join(NETWORKS)}, got {', '.join(lost)}; choose others")
    if lost := [m for m in methods if m not in chosen]:
        raise DataError(f"expected methods that `voxplain methods` lists, got {', '.join(lost)}; choose others")


def _source(design: str, data: Path | None) -> StudyClips:
    if design != DEPTH:
        return PlantedClips(design)
    if data is None:
        raise DataError(f"expected the folder of UTD-MHAD for {DEPTH}, got none; name it with --data")
    return DepthClips(data)


def _share(shard: Shard | None) -> Callable[[str, str], bool]:
    """Which pairs are computed: by a number that does not depend on what else is asked for."""
    if shard is None:
        return lambda network, method: True
    import zlib

    return lambda network, method: zlib.crc32(f"{network}/{method}".encode()) % shard.count == shard.index - 1


def _beside(jobs: int, names: Sequence[str], study: Callable[..., object], tell: Callable[[str], object]) -> None:
    """Each network in one of several processes; what they measure is in the store."""
    import torch

    with ProcessPoolExecutor(jobs, get_context("spawn"), torch.set_num_threads, (1,)) as pool:
        running = {pool.submit(study, networks=[name]): name for name in names}
        for done in as_completed(running):
            done.result()
            tell(f"{running[done]}: measured")


def _write_tables(
    rows: Sequence[StudyRow], accuracies: Mapping[str, float], folder: Path, about: Mapping[str, str]
) -> dict[str, Any]:
    tables = StudyTables(rows)
    figures = {**about, "voxplain": __version__, **study_figures(tables, accuracies)}
    write_whole(folder / "study.md", study_markdown(tables, figures).encode())
    write_whole(folder / "study.json", json.dumps(figures, indent=1).encode())
    write_whole(folder / "rows.json", json.dumps([row_record(r) for r in rows]).encode())
    return figures
