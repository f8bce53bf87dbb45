"""`Improved`: a corrected network and what was measured of it."""

import json
import math
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from voxplain.corrections.clip_change import ClipChange
from voxplain.corrections.compare import Gain
from voxplain.files import write_whole
from voxplain.model import VideoModel
from voxplain.nets import save_weights
from voxplain.record_html import fields_table, rows_table
from voxplain.video import Geometry

__all__ = ["Improved", "NetworkRow"]


@dataclass(frozen=True)
class NetworkRow:
    """One network of the comparison.

    Parameters
    ----------
    network : str
        original, further (the same training without correction), random (the correction of a random concept) or
        corrected.
    accuracy, worst_group, conflicting : float
        Means over seeds, 0–1: of all test clips; of the worst group of a class with or without the concept; of the
        clips of the run's class without the concept and of other classes with it.
    reliance : float
        Mean change of the log-odds of the run's class when the concept's voxels are replaced.
    """

    network: str
    accuracy: float
    worst_group: float
    conflicting: float
    reliance: float

    _repr_html_ = fields_table


@dataclass(frozen=True, eq=False)
class Improved:
    """A corrected network, compared with the original, with further training, and with a random concept's correction.

    Parameters
    ----------
    model : VideoModel
        The corrected network of the first seed.
    method : str
        Name of the correction.
    parameters : dict
        Of the correction and of the comparison, as plain values.
    provenance : dict
        Versions, device, and hashes of weights and videos; where there are any, videos that were skipped, with the
        reason, and damaged ones that were used, with the number of lost frames.
    rows : tuple of NetworkRow
    gains : tuple of Gain
        The corrected network, and that of the random concept, against the others.
    changes : tuple of ClipChange
        Some test clips before and after, for the page.
    weights : Path, optional
        The file of the corrected weights, which `load_model` reads.
    """

    model: VideoModel
    method: str
    parameters: dict[str, Any]
    provenance: dict[str, Any]
    rows: tuple[NetworkRow, ...]
    gains: tuple[Gain, ...]
    changes: tuple[ClipChange, ...] = ()
    weights: Path | None = None

    def __repr__(self) -> str:
        """The method and what it changed."""
        before, after = self.row("original"), self.row("corrected")
        return (
            f"Improved({self.method!r}, worst group {100 * before.worst_group:.1f} → {100 * after.worst_group:.1f} %, "
            f"accuracy {100 * before.accuracy:.1f} → {100 * after.accuracy:.1f} %)"
        )

    def _repr_html_(self) -> str:
        """The networks and the tests as two tables, for a notebook."""
        networks = ("network", "accuracy", "worst_group", "conflicting", "reliance")
        tests = ("corrected", "against", "clips", "count", "gain", "low", "high", "p_value")
        return rows_table(self.rows, networks, f"Networks, {self.method}") + rows_table(self.gains, tests, "Tests")

    def row(self, network: str) -> NetworkRow:
        """The row of a network; KeyError where it was not measured."""
        return {row.network: row for row in self.rows}[network]

    def table(self) -> str:
        """The networks and the tests as plain text."""
        head = "network    accuracy  worst group  conflicting  reliance"
        lines = [
            f"{r.network:10s} {100 * r.accuracy:6.1f} % {100 * r.worst_group:10.1f} % {100 * r.conflicting:10.1f} % "
            f"{r.reliance:9.2f}"
            for r in self.rows
        ]
        tests = [
            f"{g.corrected} − {g.against}, {g.clips} clips ({g.count}): {g.gain:+.1f} points "
            f"[{g.low:+.1f}, {g.high:+.1f}], p = {g.p_value:.3g}"
            for g in self.gains
        ]
        said = [text for text in (self.not_corrected(), self.random_not_corrected()) if text]
        return "\n".join([head, *lines, "", *tests, *said])

    def not_corrected(self) -> str:
        """Says in how many seeds the network is not shown to rely on the concept; empty where it is in all."""
        failed, count = self._untested("corrected")
        if not failed:
            return ""
        known = "clips with and without it are missing"
        if failed[0]["effect"] is not None:
            known = f"log-odds {failed[0]['effect']:+.2f}, p = {failed[0]['p_value']:.2g}"
        return (
            f"No reliance on the concept is shown in {len(failed)} of {count} seeds: pasting it into other clips does "
            f"not raise the class ({known}), so nothing was corrected there."
        )

    def random_not_corrected(self) -> str:
        """Says in how many seeds the network is not shown to rely on the random concept; empty where it is in all."""
        failed, count = self._untested("random")
        if not failed:
            return ""
        return (
            f"No reliance on the random concept is shown in {len(failed)} of {count} seeds, as expected: there its "
            "network is that of the training without correction."
        )

    def _untested(self, kind: str) -> tuple[list[dict[str, Any]], int]:
        """The tests of reliance that are not significant, and the number of tests."""
        tests = self.parameters.get(f"{kind}_reliance_tests", [])
        return [t for t in tests if not t["significant"]], len(tests)

    def sentence(self) -> str:
        """What the correction brought: accuracies before and after, and the test against the original network."""
        before, after = (next(r for r in self.rows if r.network == name) for name in ("original", "corrected"))
        said = ", ".join(
            f"{what} {100 * getattr(before, name):.1f} → {100 * getattr(after, name):.1f} %"
            for name, what in (
                ("worst_group", "worst group"),
                ("conflicting", "conflicting clips"),
                ("accuracy", "all"),
            )
            if not math.isnan(getattr(before, name))
        )
        test = next((g for g in self.gains if (g.corrected, g.against) == ("corrected", "original")), None)
        sure = f"; {test.clips} clips {test.gain:+.1f} points [{test.low:+.1f}, {test.high:+.1f}]" if test else ""
        return f"{self.method}: {said}; reliance {before.reliance:.2f} → {after.reliance:.2f}{sure}"

    def record(self) -> dict[str, Any]:
        """Everything but the network as plain values; None for what was not measured."""
        return {
            "method": self.method,
            "parameters": self.parameters,
            "provenance": self.provenance,
            "networks": [_plain(asdict(row)) for row in self.rows],
            "gains": [_plain(asdict(gain)) for gain in self.gains],
        }

    def save(self, folder: Path | str) -> Path:
        """Write ``weights.safetensors`` and ``improved.json``; returns the file of the weights.

        Parameters
        ----------
        folder : Path or str

        Returns
        -------
        Path
        """
        weights = Path(folder) / "weights.safetensors"
        geometry = self.model.reader().geometry
        metadata = {
            "net": self.model.name,
            "classes": json.dumps(list(self.model.classes)),
            # Weights of voxplain bring a resize to a fixed size; other geometries are given with the network again.
            **({"resize": json.dumps(geometry.resize)} if isinstance(geometry, Geometry) else {}),
            "correction": json.dumps({"method": self.method, **self.parameters}),
        }
        save_weights(self.model.net, weights, metadata)
        text = json.dumps(self.record(), indent=1, ensure_ascii=False)
        write_whole(Path(folder) / "improved.json", text.encode("utf-8", "backslashreplace") + b"\n")
        return weights


def _plain(values: dict[str, Any]) -> dict[str, Any]:
    """None in place of NaN, which JSON does not have."""
    return {k: None if isinstance(v, float) and math.isnan(v) else v for k, v in values.items()}
