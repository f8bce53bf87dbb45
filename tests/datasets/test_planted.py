"""Planted videos against what a scene's own numbers say they must show."""

import json
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy import ndimage, stats

from voxplain.datasets import scan_folder
from voxplain.datasets.planted import (
    DESIGNS,
    PlantedDesign,
    Scene,
    draw_scene,
    freeze,
    masks,
    read_planted,
    render,
    without,
    write_planted,
)
from voxplain.datasets.planted.draw import draw_unrelated
from voxplain.datasets.planted.scene import scene_from_record, scene_record
from voxplain.datasets.planted.shapes import MOTIONS, SHAPES
from voxplain.errors import DataError
from voxplain.video import read_video

SMALL = PlantedDesign(frames=4, size=16, appearance=("cross",), motions=("right",), distractors=("disk",))
COUNTS = {"train": 1, "test": 1, "unrelated": 2}


def files(root: Path) -> dict[str, bytes]:
    return {p.relative_to(root).as_posix(): p.read_bytes() for p in sorted(root.rglob("*")) if p.is_file()}


def only(scene: Scene, name: str) -> Scene:
    return replace(scene, objects=tuple(o for o in scene.objects if o.name == name))


def still(scene: Scene, **changes: object) -> Scene:
    return replace(scene, shake=0.0, noise=0.0, drift=(0.0, 0.0), **changes)


def test_the_same_seed_gives_the_same_files_whenever_it_is_written(tmp_path, monkeypatch):
    write_planted(tmp_path / "a", design=SMALL, seed=3, **COUNTS)
    later = time.localtime(time.time() + 1e7)
    monkeypatch.setattr(time, "localtime", lambda *_: later)
    write_planted(tmp_path / "b", design=SMALL, seed=3, **COUNTS)
    write_planted(tmp_path / "c", design=SMALL, seed=4, **COUNTS)
    first, second, other = (files(tmp_path / name) for name in "abc")
    assert first == second
    videos = [name for name in first if name.endswith(".mp4")]
    assert len(videos) == 3 + 3 + 2
    assert all(first[name] != other[name] for name in videos)
    assert len({first[name] for name in videos}) == len(videos)


def test_an_interrupted_write_goes_on_to_the_same_files(tmp_path):
    write_planted(tmp_path / "whole", design=SMALL, seed=3, **COUNTS)
    done: list[int] = []

    def stop() -> None:
        done.append(1)
        if len(done) == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_planted(tmp_path / "cut", design=SMALL, seed=3, advance=stop, **COUNTS)
    assert not (tmp_path / "cut" / "manifest.json").exists()
    with pytest.raises(DataError, match=r"manifest\.json"):
        read_planted(tmp_path / "cut")
    write_planted(tmp_path / "cut", design=SMALL, seed=3, **COUNTS)
    assert files(tmp_path / "cut") == files(tmp_path / "whole")


def test_a_killed_video_write_leaves_no_half_video(tmp_path, monkeypatch):
    from voxplain.video import encode

    def cut(self: Path, data: bytes) -> int:
        with open(self, "wb") as file:
            file.write(data[: len(data) // 2])
        raise OSError("full")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_bytes", cut)
        with pytest.raises(OSError, match="full"):
            encode.write_video(tmp_path / "v.mp4", np.zeros((2, 16, 16, 3), np.uint8))
    assert not (tmp_path / "v.mp4").exists()


@pytest.mark.parametrize("hidden", [True, False], ids=["with plan", "copied without its hidden plan"])
def test_another_set_in_the_same_folder_is_refused(tmp_path, hidden):
    write_planted(tmp_path, design=SMALL, seed=3, **COUNTS)
    before = files(tmp_path)
    if not hidden:
        (tmp_path / ".plan.json").unlink()
        before.pop(".plan.json")
    for design, seed in ((replace(SMALL, noise=5.0), 3), (SMALL, 4)):
        with pytest.raises(DataError, match="another folder"):
            write_planted(tmp_path, design=design, seed=seed, **COUNTS)
    assert files(tmp_path) == before
    write_planted(tmp_path, design=SMALL, seed=3, **COUNTS)  # the same set may be written again


def test_the_manifest_gives_back_design_scenes_and_masks(tmp_path):
    written = write_planted(tmp_path, design=SMALL, seed=3, **COUNTS)
    planted = read_planted(tmp_path)
    assert (planted.design, planted.seed, planted.scenes) == (SMALL, 3, written.scenes)
    assert scan_folder(tmp_path, part="train").classes == SMALL.classes
    for name, scene in planted.scenes.items():
        video = tmp_path / name
        # What the counterfactuals render is what a reader sees: to the last bit.
        assert np.array_equal(read_video(video).frames, render(planted.scene(video)))
        stored = np.load((tmp_path / "masks" / name).with_suffix(".npz"))
        truth = masks(scene)
        assert sorted(stored.files) == sorted(truth)
        assert all(np.array_equal(stored[o], planted.masks(video)[o]) for o in truth)
    with pytest.raises(DataError, match="manifest lists"):
        planted.scene(tmp_path / "train" / "no.mp4")
    assert "videos=8" in repr(planted)


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"design": {"colour": 1}, "seed": 0, "videos": []}', '{"design": {}, "videos": []}']
)
def test_a_broken_manifest_is_one_sentence(tmp_path, text):
    (tmp_path / "manifest.json").write_text(text)
    with pytest.raises(DataError, match="planted set with a manifest"):
        read_planted(tmp_path)


def test_a_scene_survives_json():
    scene = draw_scene(replace(DESIGNS["standard"], shortcut="orbit"), "orbit", 5)
    assert scene_from_record(json.loads(json.dumps(scene_record(scene)))) == scene


@pytest.mark.parametrize("label", ["cross", "bounce", "nothing"])
def test_a_counterfactual_differs_inside_the_object_alone(label):
    scene = draw_scene(replace(DESIGNS["standard"], shortcut="bounce", frames=8, size=48), label, 1)
    whole = render(scene, codec=False)
    seen = masks(scene)
    for thing in scene.objects:
        cover = masks(only(scene, thing.name))[thing.name]
        near = np.stack([ndimage.binary_dilation(m, iterations=2) for m in cover])
        for changed in (without(scene, thing.name), freeze(scene, thing.name)):
            frames = render(changed, codec=False)
            allowed = near
            if changed.objects[0].frozen or any(o.frozen for o in changed.objects):
                held = masks(only(changed, thing.name))[thing.name]
                allowed = near | np.stack([ndimage.binary_dilation(m, iterations=2) for m in held])
            assert not (frames != whole).any(-1)[~allowed].any()
        gone = np.abs(render(without(scene, thing.name), codec=False).astype(int) - whole).max(-1)
        assert (gone[seen[thing.name]] > 8).mean() > 0.9
        assert without(scene, thing.name).objects == tuple(o for o in scene.objects if o.name != thing.name)
    with pytest.raises(DataError, match="objects"):
        without(scene, "dog")


@pytest.mark.parametrize("motion", sorted(MOTIONS))
def test_a_frozen_object_stays_at_its_middle_place(motion):
    design = replace(DESIGNS["standard"], motions=(motion,) if motion != "still" else ("right",), frames=8, size=48)
    scene = still(draw_scene(design, "cross", 2))
    scene = replace(scene, objects=tuple(replace(o, motion=motion) if o.name == "target" else o for o in scene.objects))
    before, after = masks(only(scene, "target"))["target"], masks(only(freeze(scene, "target"), "target"))["target"]
    assert all(np.array_equal(frame, before[4]) for frame in after)
    assert (before != after).any() == (motion != "still")


def test_masks_are_where_the_colours_are():
    scene = still(draw_scene(replace(DESIGNS["standard"], frames=4, size=48), "ring", 7))
    frames, seen = render(scene, codec=False), masks(scene)
    for thing in scene.objects:
        inside = np.stack([ndimage.binary_erosion(m, iterations=1) for m in seen[thing.name]])
        assert inside.any()
        assert np.abs(frames[inside].astype(float) - thing.colour).max() <= 0.5
    union = np.any(list(seen.values()), axis=0)
    ground = render(replace(scene, objects=()), codec=False)
    far = ~np.stack([ndimage.binary_dilation(m, iterations=2) for m in union])
    assert np.array_equal(frames[far], ground[far])
    assert sum(m.astype(int) for m in seen.values()).max() == 1  # the one on top is seen


@pytest.mark.parametrize(
    ("motion", "path"),
    [
        ("right", lambda t: (2 * t - 1, 0)),
        ("left", lambda t: (1 - 2 * t, 0)),
        ("up", lambda t: (0, 1 - 2 * t)),
        ("down", lambda t: (0, 2 * t - 1)),
        ("orbit", lambda t: (np.cos(2 * np.pi * t), np.sin(2 * np.pi * t))),
        ("counter", lambda t: (np.cos(2 * np.pi * t), -np.sin(2 * np.pi * t))),
        ("bounce", lambda t: (0, np.sin(4 * np.pi * t))),
        ("shuttle", lambda t: (np.sin(4 * np.pi * t), 0)),
    ],
)
def test_objects_move_as_their_motion_says(motion, path):
    thing = draw_scene(DESIGNS["standard"], "cross", 0).objects[-1]
    thing = replace(thing, shape="disk", motion=motion, x=32.0, y=32.0, radius=8.0, reach=12.0, phase=0.0)
    scene = Scene("x", 8, 64, 0, (thing,), 0.0, 0.0, (0.0, 0.0))
    for i, mask in enumerate(masks(scene)["target"]):
        y, x = ndimage.center_of_mass(mask)
        dx, dy = path((i + 0.5) / 8)
        assert (x, y) == pytest.approx((32 + 12 * dx, 32 + 12 * dy), abs=0.3)


def test_a_pulsing_object_changes_size_and_keeps_its_place():
    thing = draw_scene(DESIGNS["standard"], "cross", 0).objects[-1]
    thing = replace(thing, shape="disk", motion="pulse", x=32.0, y=32.0, radius=12.0, phase=0.0)
    seen = masks(Scene("x", 16, 64, 0, (thing,), 0.0, 0.0, (0.0, 0.0)))["target"]
    scale = 1 + 0.4 * np.sin(4 * np.pi * (np.arange(16) + 0.5) / 16)
    assert np.allclose(seen.sum((1, 2)), np.pi * (0.85 * 12 * scale) ** 2, rtol=0.06)


@pytest.mark.parametrize("name", sorted(SHAPES))
def test_shapes_fill_part_of_their_circle_and_differ(name):
    x, y = np.meshgrid(np.linspace(-1.5, 1.5, 301), np.linspace(-1.5, 1.5, 301))
    inside = SHAPES[name](x, y) < 0
    assert not inside[np.hypot(x, y) > 1.35].any()
    assert 0.15 < inside.sum() * 0.01**2 / np.pi < 0.95
    others = [SHAPES[other](x, y) < 0 for other in SHAPES if other != name]
    assert min((inside ^ other).sum() / (inside | other).sum() for other in others) > 0.1


def test_shake_moves_object_and_ground_together():
    scene = replace(draw_scene(DESIGNS["standard"], "cross", 4), noise=0.0, shake=3.0, drift=(0.0, 0.0))
    quiet = replace(scene, shake=0.0)
    moved = [
        np.subtract(ndimage.center_of_mass(a), ndimage.center_of_mass(b))
        for a, b in zip(masks(scene)["target"], masks(quiet)["target"], strict=True)
    ]
    assert np.ptp(moved, axis=0).max() > 1
    ground, fixed = (render(replace(s, objects=()), codec=False) for s in (scene, quiet))
    for t, (dy, dx) in enumerate(np.rint(moved).astype(int)):
        near = [np.roll(fixed[t], (dy + a, dx + b), (0, 1)) for a in (-1, 0, 1) for b in (-1, 0, 1)]
        assert any(np.array_equal(ground[t], shifted) for shifted in near)


def test_patch_rates_are_as_asked():
    design = replace(DESIGNS["standard"], shortcut="orbit", shortcut_rate=0.9)
    for label, rate in (("orbit", 0.9), ("cross", 0.1), ("nothing", 0.1)):
        n = sum(any(o.role == "shortcut" for o in draw_scene(design, label, s).objects) for s in range(400))
        assert stats.binomtest(n, 400, rate).pvalue > 1e-4, (label, n)
    plain = (draw_scene(DESIGNS["standard"], "orbit", s) for s in range(50))
    assert not any(o.role == "shortcut" for scene in plain for o in scene.objects)


def test_a_patch_is_ground_and_hides_nothing():
    design = replace(DESIGNS["standard"], shortcut="orbit", shortcut_rate=1.0)
    scene = draw_scene(design, "orbit", 0)
    assert scene.objects[0].role == "shortcut"
    square = masks(still(scene))["shortcut"]
    y, x = ndimage.center_of_mass(square[0])
    assert y > 44
    assert x < 20
    assert masks(only(scene, "target"))["target"].sum() == masks(scene)["target"].sum()


def test_distractors_say_nothing_of_the_class():
    design = DESIGNS["standard"]
    rows = {
        label: [[o for o in draw_scene(design, label, s).objects if o.role == "distractor"] for s in range(400)]
        for label in design.classes
    }
    for found in rows.values():
        assert all(tuple(o.shape for o in things) == design.distractors for things in found)
    kinds = sorted({o.motion for found in rows.values() for things in found for o in things})
    assert kinds == sorted((*design.motions, "still"))
    counts = [[sum(o.motion == kind for things in found for o in things) for kind in kinds] for found in rows.values()]
    assert stats.chi2_contingency(counts).pvalue > 1e-4
    for number in ("x", "y", "radius", "reach", "phase"):
        columns = [[getattr(o, number) for things in found for o in things] for found in rows.values()]
        assert stats.kruskal(*columns).pvalue > 1e-4, number
    hues = [[o.colour[0] for things in found for o in things] for found in rows.values()]
    assert stats.kruskal(*hues).pvalue > 1e-4


def test_motion_classes_share_shape_and_appearance_classes_share_motions():
    design = DESIGNS["standard"]
    targets = {
        label: [next((o for o in draw_scene(design, label, s).objects if o.role == "target"), None) for s in range(400)]
        for label in design.classes
    }
    assert set(targets.pop(design.empty)) == {None}
    for label in design.motions:
        assert {(o.shape, o.motion) for o in targets[label]} == {(design.carrier, label)}
    counts = []
    for label in design.appearance:
        assert {o.shape for o in targets[label]} == {label}
        counts.append([sum(o.motion == kind for o in targets[label]) for kind in (*design.motions, "still")])
    assert stats.chi2_contingency(counts).pvalue > 1e-4
    for number in ("x", "y", "radius", "reach"):
        assert stats.kruskal(*([getattr(o, number) for o in found] for found in targets.values())).pvalue > 1e-4


@pytest.mark.parametrize("name", sorted(DESIGNS))
def test_unrelated_scenes_hold_no_class_shape(name):
    design = DESIGNS[name]
    shapes = {o.shape for s in range(400) for o in draw_unrelated(design, s).objects}
    assert shapes == set(SHAPES) - set(design.shapes)


@pytest.mark.parametrize("name", sorted(DESIGNS))
def test_targets_stay_in_the_picture(name):
    design = DESIGNS[name]
    for label in design.decided:
        scene = draw_scene(design, label, 11)
        thing = scene.objects[-1]
        for frame in masks(still(only(scene, "target"), pan=(0.0, 0.0)))["target"]:
            assert not frame[[0, -1]].any(), (label, thing)
            assert not frame[:, [0, -1]].any(), (label, thing)


def test_classes_are_sorted_and_designs_differ():
    assert PlantedDesign().classes == tuple(sorted(PlantedDesign().classes))
    standard, held = (set(DESIGNS[n].decided) for n in ("standard", "held-out"))
    assert not standard & held


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"appearance": ("blob",)}, "blob"),
        ({"motions": ("jump",)}, "jump"),
        ({"carrier": "cross"}, "carrier"),
        ({"distractors": ("ring",)}, "distractors"),
        ({"distractors": ("square",)}, "distractors"),
        ({"shortcut": "dog"}, "shortcut"),
        ({"empty": "cross"}, "different class names"),
        ({"size": 33}, "even"),
        ({"size": 8}, "16"),
        ({"frames": 0}, "1 frame"),
    ],
)
def test_designs_that_cannot_be_true_are_refused(changes, word):
    with pytest.raises(DataError, match=word):
        PlantedDesign(**changes)


def test_videos_of_an_older_drawing_are_refused(tmp_path):
    write_planted(tmp_path, train=1, test=0, unrelated=0)
    manifest = tmp_path / "manifest.json"
    record = json.loads(manifest.read_text())
    manifest.write_text(json.dumps({**record, "drawing": 1}))
    with pytest.raises(DataError, match=r"expected a planted set of drawing \d+.*got 1"):
        read_planted(tmp_path)
