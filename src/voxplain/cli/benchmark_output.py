"""The files of `voxplain benchmark`."""

import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from voxplain.benchmark.comparison import Comparison, class_markdown, comparison_csv, comparison_markdown
from voxplain.benchmark.paired_tests import Agreement, Pair, pair_rows, pairs_markdown
from voxplain.benchmark.ranks_figure import ranks_figure
from voxplain.benchmark.run import MethodResult
from voxplain.cli.printed import BEST
from voxplain.model import VideoModel
from voxplain.report.tables import plain
from voxplain.store import write_csv, write_whole
from voxplain.version import __version__

__all__ = ["comparison_answer", "write_benchmark"]


def comparison_answer(found: Comparison) -> str:
    """The best methods by each kind of metric, and how many gave no map, a line each."""
    lines = [f"{len(found.methods)} methods on {found.clips} clips; mean rank by metrics of a kind, 1 is the best"]
    for kind, ranks in found.ranks.items():
        best = sorted(ranks, key=lambda m: ranks[m])[:BEST]
        if best:
            lines.append(f"  {kind}: " + ", ".join(f"{m} {ranks[m]:.1f}" for m in best))
    if found.errors:
        lines.append(f"  without maps: {', '.join(found.errors)}")
    return "\n".join(lines) + "\n"


def write_benchmark(
    output: Path,
    comparison: Comparison,
    results: Sequence[MethodResult],
    methods: Mapping[str, Any],
    metrics: Mapping[str, Any],
    model: VideoModel,
    pairs: Sequence[Pair],
    agreement: Agreement | None,
) -> None:
    """Write tables, the figure of ranks, and results.json with everything; each file whole or absent."""
    write_whole(output / "table.md", comparison_markdown(comparison).encode())
    if pairs:
        write_whole(output / "against.md", pairs_markdown(pairs).encode())
        write_csv(output / "against.csv", pair_rows(pairs))
    if any("energy_inside" in r.values for r in results):
        write_whole(output / "by_class.md", class_markdown(results, model.classes).encode())
    write_whole(output / "table.csv", comparison_csv(comparison).encode())
    if comparison.ranks["faithfulness"] and comparison.ranks["localisation"]:
        for suffix, unwanted in (("png", "Software"), ("pdf", "CreationDate")):
            out = io.BytesIO()
            ranks_figure(comparison).savefig(out, format=suffix, dpi=150, metadata={unwanted: None})
            write_whole(output / f"ranks.{suffix}", out.getvalue())
    record = {
        "voxplain": __version__,
        "network": model.name,
        "clips": comparison.clips,
        "methods": {n: _fields(m) for n, m in methods.items()},
        "metrics": {n: _fields(m) for n, m in metrics.items()},
        "reliability": {n: m.value for n, m in comparison.reliability.items()},
        "alpha": dict(comparison.alpha),
        "ranks": {kind: dict(r) for kind, r in comparison.ranks.items()},
        "rank_agreement": agreement,
        "against": pairs,
        "results": [asdict(r) for r in results],
    }
    write_whole(output / "results.json", json.dumps(plain(record), indent=1).encode())


def _fields(method: Any) -> dict[str, str]:
    return {"method": type(method).__name__, **{k: str(v) for k, v in asdict(method).items()}}
