"""Pairs, textures, camera pan, occluder and growth of planted designs, against what a scene's numbers say."""

import hashlib
import json
from collections import Counter
from dataclasses import asdict, replace

import numpy as np
import pytest
from scipy import ndimage, stats

from voxplain.datasets.planted import (
    DESIGNS,
    Occluder,
    PlantedDesign,
    PlantedObject,
    Scene,
    design_of,
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
from voxplain.datasets.planted.textures import TEXTURES
from voxplain.errors import DataError

HARDER = sorted(set(DESIGNS) - {"standard", "held-out"})
DISK = PlantedObject("target", "target", "disk", "still", (250.0, 40.0, 40.0), 32.0, 32.0, 12.0, 8.0)
NEW = {"pairs", "alone", "radius", "reach", "growth", "textures", "contrast", "same_colour", "drift", "pan"} | {
    "occluder",
    "free_motions",
}
NEW_IN_SCENES = {"pan", "occluder"}
NEW_IN_OBJECTS = {"texture", "second", "angle", "growth"}


def quiet(*objects: PlantedObject, **changes: object) -> Scene:
    return replace(Scene("x", 8, 64, 5, objects, 0.0, 0.0, (0.0, 0.0)), **changes)


def left_out(record: dict, names: set[str]) -> dict:
    return {k: v for k, v in record.items() if k not in names}


@pytest.mark.parametrize(
    ("name", "digest"), [("standard", "e0419da5ebd66d8a"), ("held-out", "c7a7ba3db1bffa8d")], ids=lambda x: x[:8]
)
def test_scenes_of_the_two_plain_designs_are_those_drawn_before_there_were_harder_ones(name, digest):
    design, found = DESIGNS[name], hashlib.sha256()
    trap = replace(design, shortcut=design.appearance[0], shortcut_rate=0.5)
    for scene in [draw_scene(x, label, 5) for x in (design, trap) for label in x.classes] + [draw_unrelated(design, 5)]:
        found.update(render(scene, codec=False).tobytes())
        for thing, mask in masks(scene).items():
            found.update(thing.encode() + mask.tobytes())
    assert found.hexdigest()[:16] == digest


def test_a_set_written_before_there_were_harder_designs_is_read_and_continued(tmp_path):
    design = PlantedDesign(frames=2, size=16)
    written = write_planted(tmp_path, design=design, train=1, test=0, unrelated=1)
    manifest, plan = tmp_path / "manifest.json", tmp_path / ".plan.json"
    old = json.loads(manifest.read_text())
    old["design"] = left_out(old["design"], NEW)
    for video in old["videos"]:
        video["scene"] = left_out(video["scene"], NEW_IN_SCENES)
        video["scene"]["objects"] = [left_out(o, NEW_IN_OBJECTS) for o in video["scene"]["objects"]]
    manifest.write_text(json.dumps(old))
    head = json.loads(plan.read_text())
    plan.write_text(json.dumps({**head, "design": left_out(head["design"], NEW)}))
    assert (read_planted(tmp_path).design, read_planted(tmp_path).scenes) == (design, written.scenes)
    write_planted(tmp_path, design=design, train=1, test=0, unrelated=1)
    plan.unlink()
    write_planted(tmp_path, design=design, train=1, test=0, unrelated=1)
    with pytest.raises(DataError, match="another folder"):
        write_planted(tmp_path, design=replace(design, pan=1.0), train=1, test=0, unrelated=1)


@pytest.mark.parametrize("name", HARDER)
def test_harder_scenes_survive_json_and_a_counterfactual_changes_one_object(name):
    design = DESIGNS[name]
    assert PlantedDesign(**asdict(design)) == design
    scene = draw_scene(design, design.decided[-1], 3)
    assert scene_from_record(json.loads(json.dumps(scene_record(scene)))) == scene
    whole, bar = render(scene, codec=False), scene.occluder
    for thing in scene.objects:
        bare = replace(scene, objects=(thing,), occluder=None)
        alone = masks(bare)[thing.name]
        held = masks(freeze(bare, thing.name))[thing.name]
        for changed, cover in ((without(scene, thing.name), alone), (freeze(scene, thing.name), alone | held)):
            near = np.stack([ndimage.binary_dilation(m, np.ones((3, 3)), iterations=3) for m in cover])  # sharp corners
            assert not (render(changed, codec=False) != whole).any(-1)[~near].any()
            assert changed.occluder == bar


@pytest.mark.parametrize("name", HARDER)
def test_a_harder_set_is_read_back(tmp_path, name):
    design = replace(DESIGNS[name], frames=2, size=16)
    written = write_planted(tmp_path, design=design, train=1, test=0, unrelated=1)
    assert (read_planted(tmp_path).design, read_planted(tmp_path).scenes) == (design, written.scenes)


def test_held_out_designs_share_neither_shapes_nor_motions_with_those_for_tuning():
    for name in [n for n in DESIGNS if "held-out" not in n]:
        tuning, held = DESIGNS[name], DESIGNS["held-out" if name == "standard" else f"held-out-{name}"]
        assert not set(tuning.decided) & set(held.decided)
        assert not set(tuning.shapes) & set(held.shapes)
        assert len(tuning.classes) == len(held.classes) <= 7


def test_a_pan_moves_ground_and_objects_together():
    scene = quiet(DISK, pan=(2.0, -1.0))
    offset = (np.arange(8) - 3.5)[:, None] * [2.0, -1.0]
    centres = [ndimage.center_of_mass(m) for m in masks(scene)["target"]]
    assert np.allclose(centres, 32 + offset, atol=0.1)
    ground, fixed = (render(replace(s, objects=()), codec=False) for s in (scene, quiet()))
    for frame, first, shift in zip(ground, fixed, np.rint(offset).astype(int), strict=True):
        assert np.array_equal(frame, np.roll(first, tuple(shift), (0, 1)))


@pytest.mark.parametrize("name", ["camera", "held-out-camera"])
def test_pans_are_several_pixels_a_frame_and_leave_the_target_in_the_picture(name):
    design = DESIGNS[name]
    scenes = [draw_scene(design, label, seed) for label in design.decided for seed in range(5)]
    assert all(0.69 * design.pan < np.hypot(*scene.pan) < 1.01 * design.pan for scene in scenes)
    assert max(np.hypot(*np.add(scene.pan, scene.drift)) for scene in scenes) > 2
    for scene in scenes:
        panned, fixed = (masks(s)["target"].sum((1, 2)) for s in (scene, replace(scene, pan=(0.0, 0.0))))
        assert (panned > 0.3 * fixed).all()


@pytest.mark.parametrize("axis", [0, 1])
def test_an_occluder_hides_what_is_behind_it_and_nothing_else(axis):
    plain = quiet(DISK)
    scene = replace(plain, occluder=Occluder(axis, 6.0, 62.0, 15.0))
    centre = np.linspace(6, 62, 8)
    bar = np.abs(np.arange(64) - centre[:, None]) < 7.5  # [T,64]
    bar = np.broadcast_to(bar[:, None, :] if axis == 1 else bar[:, :, None], (8, 64, 64))
    assert np.array_equal(masks(scene)["target"], masks(plain)["target"] & ~bar)
    assert masks(scene)["target"].sum() < 0.9 * masks(plain)["target"].sum()
    gone = (render(scene, codec=False) != render(without(scene, "target"), codec=False)).any(-1)
    edge = np.stack([ndimage.binary_dilation(b) ^ ndimage.binary_erosion(b) for b in bar])
    assert not gone[bar & ~edge].any()
    assert gone[masks(scene)["target"]].all()
    assert np.array_equal(render(scene, codec=False)[~bar & ~edge], render(plain, codec=False)[~bar & ~edge])


def test_a_growing_object_has_the_area_of_its_radius():
    thing = replace(DISK, growth=(0.6, 1.4))
    scale = 0.6 + 0.8 * (np.arange(8) + 0.5) / 8
    area = masks(quiet(thing))["target"].sum((1, 2))
    assert np.allclose(area, np.pi * (0.85 * 12 * scale) ** 2, rtol=0.05)
    held = masks(quiet(replace(thing, frozen=True)))["target"].sum((1, 2))
    assert (held == area[4]).all()


@pytest.mark.parametrize("texture", sorted(set(TEXTURES) - {"plain"}))
def test_a_texture_has_two_colours_that_move_with_the_object(texture):
    first, second = np.array([250.0, 40, 40]), np.array([20.0, 200, 240])
    thing = replace(DISK, radius=20.0, texture=texture, second=tuple(second), angle=0.4)
    frames, inside = render(quiet(thing), codec=False), masks(quiet(thing))["target"][0]
    pixels = frames[0][ndimage.binary_erosion(inside, iterations=2)].astype(float)
    share = (pixels - first) @ (second - first) / ((second - first) @ (second - first))
    assert np.abs(pixels - first - share[:, None] * (second - first)).max() <= 1  # no third colour
    assert 0.25 < share.mean() < 0.75
    assert (np.minimum(share, 1 - share) < 0.05).mean() > 0.5
    moved = render(quiet(replace(thing, x=36.0, y=29.0)), codec=False)
    kept = ndimage.binary_erosion(inside, iterations=2)
    assert np.array_equal(np.roll(moved[0], (3, -4), (0, 1))[kept], frames[0][kept])
    turned = render(quiet(replace(thing, angle=1.2)), codec=False)[0]
    assert (turned != frames[0]).any(-1)[kept].mean() > 0.2


def test_textures_contrast_and_growth_say_nothing_of_the_class():
    design = replace(DESIGNS["textured"], growth=(0.6, 1.4))
    rows = {x: [o for s in range(200) for o in draw_scene(design, x, s).objects] for x in design.classes}
    for kind in ("texture", "growth"):
        values = sorted({getattr(o, kind) for found in rows.values() for o in found})
        assert len(values) == (3 if kind == "texture" else 2)
        counts = [[sum(getattr(o, kind) == v for o in found) for v in values] for found in rows.values()]
        assert stats.chi2_contingency(counts).pvalue > 1e-4
    plain = draw_scene(replace(design, contrast=1.0), "cross", 0).objects
    for low, high in zip(draw_scene(design, "cross", 0).objects, plain, strict=True):
        assert np.allclose(np.subtract(low.colour, 85), 0.7 * np.subtract(high.colour, 85), atol=0.02)


def test_all_objects_of_a_clip_have_one_colour():
    design = DESIGNS["same-colour"]
    for label in design.classes:
        scenes = [draw_scene(design, label, seed) for seed in range(5)]
        assert all(len({o.colour for o in scene.objects}) == 1 for scene in scenes)
        assert len({scene.objects[0].colour for scene in scenes}) == 5


@pytest.mark.parametrize("name", ["pair", "held-out-pair", "conjunction", "held-out-conjunction"])
def test_both_shapes_of_a_pair_are_shown_apart_and_both_are_needed(name):
    design = DESIGNS[name]
    for label, pair in design.pair_of.items():
        for seed in range(20):
            scene = draw_scene(design, label, seed)
            target, partner = (next(o for o in scene.objects if o.name == n) for n in ("target", "partner"))
            assert (target.shape, partner.shape, target.role, partner.role) == (*pair, "target", "target")
            seen = masks(scene)
            assert min(seen["target"].sum((1, 2)).min(), seen["partner"].sum((1, 2)).min()) > 20
    shown = Counter(shape for pair in design.pairs for shape in pair)
    if name.endswith("pair"):
        assert shown == dict.fromkeys(design.appearance, 2)  # one of a pair alone is another class
        assert not design.motions
        assert all(o.role == "distractor" for s in range(20) for o in draw_scene(design, design.empty, s).objects)
        return
    empty = [[o.shape for o in draw_scene(design, "nothing", s).objects if o.role == "alone"] for s in range(600)]
    assert stats.binomtest(sum(map(bool, empty)), 600, 0.75).pvalue > 1e-4
    assert {shape for shapes in empty for shape in shapes} == set(shown)
    assert not any(set(pair) <= set(shapes) for pair in design.pairs for shapes in empty)
    assert {len(shapes) for shapes in empty} == {0, 1, 2}


@pytest.mark.parametrize("held_out", [False, True])
@pytest.mark.parametrize("classes", range(2, 11))
def test_a_design_of_so_many_classes(classes, held_out):
    design, other = design_of(classes, held_out=held_out), design_of(classes, held_out=not held_out)
    assert len(design.classes) == classes
    assert not set(design.decided) & set(other.decided)
    moving = [x for x in design.decided if x not in design.shapes]
    assert len(moving) != 1
    scene = draw_scene(design, design.appearance[0], 1)
    assert {o.motion for s in range(60) for o in draw_scene(design, design.appearance[0], s).objects} == {
        *design.motions,
        *design.free_motions,
        "still",
    }
    assert scene.objects[-1].shape == design.appearance[0]


@pytest.mark.parametrize("classes", [1, 11])
def test_other_numbers_of_classes_are_refused(classes):
    with pytest.raises(DataError, match="2 to 10 classes"):
        design_of(classes)


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"textures": ("wool",)}, "texture"),
        ({"pairs": (("cross", "blob"),)}, "blob"),
        ({"pairs": (("disk", "cross"),)}, "distractors"),
        ({"pairs": (("square", "cross"),)}, "carrier"),
        ({"free_motions": ("jump",)}, "motion"),
        ({"alone": 0.5}, "pairs"),
    ],
)
def test_harder_designs_that_cannot_be_true_are_refused(changes, word):
    with pytest.raises(DataError, match=word):
        PlantedDesign(**changes)
