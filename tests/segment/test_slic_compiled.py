"""Compiled SLIC against scikit-image, voxel for voxel, and the choice between the two."""

import sys

import numpy as np
import pytest
from segment_clips import textured
from skimage.segmentation import slic

from voxplain import compiled
from voxplain.segment import SLIC
from voxplain.segment import slic_backend as engine

here = pytest.mark.skipif(not engine.compilable(), reason="needs numba on x86-64")
PLAIN = {"compactness": 20.0, "sigma": 1.0, "spacing": (1.0, 1.0, 1.0), "slico": False}


def reference(frames, segments, *, slico, **parameters):
    return [slic(frames, n_segments=n, slic_zero=slico, start_label=0, **parameters) for n in segments]


def flat(value, shape=(4, 20, 20)):
    return np.full((*shape, 3), value, np.uint8)


def halves():
    """Two colours without a texture: nearly every voxel is a tie in colour."""
    frames = flat(40, (9, 33, 41))
    frames[:, 16:] = (200, 10, 90)
    return frames


def noise(seed, shape):
    return np.random.default_rng(seed).integers(0, 256, (*shape, 3), dtype=np.uint8)


CASES = {
    "defaults": (textured(0, (16, 40, 48)), {}),
    "slico": (textured(1, (8, 40, 33)), {"slico": True}),
    "no blur": (textured(2, (16, 33, 47)), {"sigma": 0.0}),
    "wide blur": (textured(3, (3, 30, 20)), {"sigma": 2.5}),  # the blur reaches beyond the clip
    "spacing": (textured(4, (10, 30, 30)), {"spacing": (3.3, 1.0, 0.5)}),
    "colour alone": (textured(5, (8, 30, 30)), {"compactness": 0.01}),
    "place alone": (textured(6, (8, 30, 30)), {"compactness": 1000.0}),
    "ties": (halves(), {}),
    "ties, slico": (halves(), {"slico": True, "sigma": 0.0}),
    "one colour": (flat(117), {}),
    "noise": (noise(7, (16, 24, 40)), {"compactness": 5.0, "sigma": 0.0}),
    "one frame": (noise(8, (1, 50, 50)), {}),
    "one voxel": (noise(9, (1, 1, 1)), {}),
    "a thread": (noise(10, (60, 1, 2)), {}),
    "smaller than a tile": (noise(11, (3, 5, 7)), {}),
}


@here
@pytest.mark.parametrize("name", CASES)
def test_every_voxel_has_the_label_of_scikit_image(name):
    from voxplain.segment.slic_compiled import slic_levels

    frames, changed = CASES[name]
    before = frames.copy()
    segments = (4, 15, 50, 300)
    found = slic_levels(frames, segments, **(PLAIN | changed))
    for ours, theirs in zip(found, reference(frames, segments, **(PLAIN | changed)), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    assert (frames == before).all()


@here
def test_views_of_a_clip_have_the_labels_of_their_copies():
    from voxplain.segment.slic_compiled import slic_levels

    view = textured(2, (8, 24, 56))[::-1, :, ::2]
    for a, b in zip(slic_levels(view, (9, 20), **PLAIN), slic_levels(view.copy(), (9, 20), **PLAIN), strict=True):
        np.testing.assert_array_equal(a, b)


@here
def test_scikit_image_begins_and_compiled_loops_take_over(monkeypatch):
    calls = []

    def counted(*arguments, **parameters):
        calls.append("scikit-image")
        return slic(*arguments, **parameters)

    monkeypatch.setattr("skimage.segmentation.slic", counted)
    monkeypatch.setattr(engine, "_kept", lambda: False)
    monkeypatch.setattr(engine, "_spent", 0.0)
    frames, find = textured(3), SLIC(segments=(5,))
    first = find(frames)
    assert calls == ["scikit-image"]
    assert engine._spent > 0
    monkeypatch.setattr(engine, "_spent", engine.PATIENCE + 1)
    np.testing.assert_array_equal(find(frames).labels, first.labels)
    assert calls == ["scikit-image"]
    monkeypatch.setattr(engine, "_spent", 0.0)
    monkeypatch.setattr(engine, "_kept", lambda: True)
    np.testing.assert_array_equal(find(frames).labels, first.labels)
    assert calls == ["scikit-image"]


@pytest.mark.parametrize("missing", ["numba", "x86-64"])
def test_scikit_image_does_it_all_where_the_loops_cannot(monkeypatch, missing):
    if missing == "numba":
        monkeypatch.setattr(compiled, "available", lambda: False)
    else:
        monkeypatch.setattr("platform.machine", lambda: "arm64")
    monkeypatch.setattr(engine, "_spent", engine.PATIENCE + 1)
    monkeypatch.setitem(sys.modules, "voxplain.segment.slic_compiled", None)  # an import would fail
    frames = textured(4)
    assert not engine.compilable()
    expected = reference(frames, (7,), **PLAIN)[0]
    np.testing.assert_array_equal(SLIC(segments=(7,))(frames).labels[0], expected)


@here
def test_an_installation_where_nothing_can_be_written_compiles_all_the_same(monkeypatch):
    import numba

    plain, asked = numba.njit, []

    def nowhere_to_write(*arguments, **options):
        asked.append(options)
        if options.get("cache"):
            raise RuntimeError("cannot cache function: no locator available")
        return plain(*arguments, **options)

    monkeypatch.setattr(numba, "njit", nowhere_to_write)
    double = compiled.compiled(lambda x: x + x)
    assert double(3) == 6
    assert [o.get("cache", False) for o in asked] == [True, False]


def test_code_older_than_its_source_does_not_count_as_kept(monkeypatch, tmp_path):
    import os

    source, code = tmp_path / "slic_kernels.py", tmp_path / "__pycache__" / "slic_kernels.assign-1.py311.nbi"
    source.touch()
    monkeypatch.setattr(engine, "__file__", str(tmp_path / "engine.py"))
    assert not engine._kept()
    code.parent.mkdir()
    code.touch()
    os.utime(source, (100, 100))
    assert engine._kept()
    os.utime(code, (99, 99))
    assert not engine._kept()


def test_the_note_says_what_to_install(monkeypatch):
    monkeypatch.setattr(compiled, "available", lambda: False)
    assert "voxplain[fast]" in engine.note()
    monkeypatch.setattr(compiled, "available", lambda: True)
    monkeypatch.setattr("platform.machine", lambda: "x86_64")
    assert "compiled loops" in engine.note()
