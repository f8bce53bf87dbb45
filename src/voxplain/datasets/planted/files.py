"""A planted set on disk: H.264 videos in class folders, object masks, and the manifest of all scenes.

DIR/train/<class>/<id>.mp4   DIR/test/<class>/<id>.mp4   DIR/unrelated/<id>.mp4
DIR/masks/<part>/<class>/<id>.npz    one bool [T,H,W] per object
DIR/manifest.json                    the design, the seed, and the scene of each video
"""

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from voxplain.datasets.planted.design import PlantedDesign
from voxplain.datasets.planted.draw import draw_scene, draw_unrelated
from voxplain.datasets.planted.scene import Scene, draw, masks, scene_from_record, scene_record
from voxplain.errors import DataError
from voxplain.video.encode import write_video

__all__ = ["PlantedSet", "read_planted", "write_planted"]

# Raised when a scene is drawn differently, so that old videos are not read with new scenes.
DRAWING = 2


@dataclass(frozen=True)
class PlantedSet:
    """A planted set read back: its folder, design, seed, and the scene of each video by relative path."""

    root: Path
    design: PlantedDesign
    seed: int
    scenes: dict[str, Scene]

    def __repr__(self) -> str:
        """Counts, not scenes."""
        return f"PlantedSet({str(self.root)!r}, seed={self.seed}, videos={len(self.scenes)})"

    def scene(self, source: str | Path) -> Scene:
        """The scene a video was drawn from. Raises DataError when the video is not of this set."""
        try:
            return self.scenes[Path(source).resolve().relative_to(self.root.resolve()).as_posix()]
        except (KeyError, ValueError):
            raise DataError(
                f"expected a video of the planted set {self.root}, got {source}; name one that its manifest lists"
            ) from None

    def masks(self, source: str | Path) -> dict[str, np.ndarray]:
        """Visible voxels of each object of a video, bool [T,H,W] by object name."""
        return masks(self.scene(source))


def _scene_list(design: PlantedDesign, train: int, test: int, unrelated: int, seed: int) -> list[tuple[str, Scene]]:
    """(relative path, scene) of every video; each scene's seed depends on its place only."""
    listed = []
    for part, count, offset in (("train", train, 0), ("test", test, 500_000)):
        for label in design.classes:
            for i in range(count):
                listed.append((f"{part}/{label}/{i:04d}.mp4", draw_scene(design, label, seed * 1_000_000 + offset + i)))
    for i in range(unrelated):
        listed.append((f"unrelated/{i:04d}.mp4", draw_unrelated(design, seed * 1_000_000 + 900_000 + i)))
    return listed


def write_planted(
    root: Path | str,
    *,
    design: PlantedDesign | None = None,
    train: int = 100,
    test: int = 25,
    unrelated: int = 200,
    seed: int = 0,
    advance: Callable[[], object] = lambda: None,
) -> PlantedSet:
    """Write a planted set; the same arguments give the same bytes.

    The manifest is written last, so a folder with a manifest is complete. Videos that exist are kept, so that an
    interrupted run continues.

    Parameters
    ----------
    root : str or Path
        Folder to write.
    design : PlantedDesign, optional
        Classes, objects and sizes. Default: ``PlantedDesign()``.
    train, test : int
        Videos a class.
    unrelated : int
        Unrelated videos.
    seed : int
        Of all scenes.
    advance : callable
        Called without arguments after each video.

    Returns
    -------
    PlantedSet

    Raises
    ------
    DataError
        When the folder holds another planted set.

    Examples
    --------
    >>> planted = write_planted(folder, design=PlantedDesign(frames=4, size=16), train=1, test=0, unrelated=1)
    >>> len(planted.scenes)
    8
    """
    root, design = Path(root), design or PlantedDesign()
    listed = _scene_list(design, train, test, unrelated, seed)
    head = {"design": json.loads(json.dumps(asdict(design))), "seed": seed, "drawing": DRAWING}
    _claim(root, head, [train, test, unrelated])
    for name, scene in listed:
        video, truth = root / name, (root / "masks" / name).with_suffix(".npz")
        if not (video.exists() and truth.exists()):
            video.parent.mkdir(parents=True, exist_ok=True)
            truth.parent.mkdir(parents=True, exist_ok=True)
            frames, seen = draw(scene)
            with open(truth.with_suffix(".part"), "wb") as part:
                np.savez_compressed(part, **seen)  # type: ignore[arg-type]
            truth.with_suffix(".part").replace(truth)
            write_video(video, frames)
        advance()
    record = {**head, "videos": [{"path": name, "scene": scene_record(scene)} for name, scene in listed]}
    _put(root / "manifest.json", json.dumps(record, indent=1))
    return PlantedSet(root, design, seed, dict(listed))


def _claim(root: Path, head: dict, counts: list[int]) -> None:
    """Mark a folder as that of this set; DataError when its plan (or else its manifest) is of another."""
    plan, manifest = root / ".plan.json", root / "manifest.json"
    wanted = {**head, "counts": counts}
    same = not plan.exists() or _with_defaults(json.loads(plan.read_text())) == wanted
    if not plan.exists() and manifest.exists():  # copied without its hidden file
        there = read_planted(root)  # raises for another drawing
        same = {**head, "design": json.loads(json.dumps(asdict(there.design))), "seed": there.seed} == head
    if not same:
        raise DataError(
            f"expected {root} to be new or the same planted set, got one of other settings; choose another folder"
        )
    root.mkdir(parents=True, exist_ok=True)
    _put(plan, json.dumps(wanted, sort_keys=True))


def _with_defaults(plan: dict) -> dict:
    """The plan with the fields that designs did not have when it was written."""
    return {**plan, "design": {**json.loads(json.dumps(asdict(PlantedDesign()))), **plan["design"]}}


def _put(path: Path, text: str) -> None:
    partial = path.with_name(f".{path.name}.part")
    partial.write_text(text)
    partial.replace(path)


def read_planted(root: Path | str) -> PlantedSet:
    """Read the manifest of a planted set.

    Parameters
    ----------
    root : str or Path
        Folder that `write_planted` wrote.

    Returns
    -------
    PlantedSet

    Raises
    ------
    DataError
        When the folder has no manifest, a broken one, or one of an older drawing.
    """
    root = Path(root)
    try:
        record = json.loads((root / "manifest.json").read_text())
        kinds: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in record["design"].items()}
        kinds["pairs"] = tuple((first, second) for first, second in kinds.get("pairs", ()))
        scenes = {v["path"]: scene_from_record(v["scene"]) for v in record["videos"]}
        found = PlantedSet(root, PlantedDesign(**kinds), record["seed"], scenes)
        if record.get("drawing") != DRAWING:
            raise DataError(
                f"expected a planted set of drawing {DRAWING} in {root}, got {record.get('drawing', 'an older one')}, "
                "whose videos show other pixels; write it again with `voxplain planted DIR`"
            )
        return found
    except DataError:
        raise
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(
            f"expected a planted set with a manifest.json in {root}, got {type(error).__name__}; "
            "write one with `voxplain planted DIR`"
        ) from None
