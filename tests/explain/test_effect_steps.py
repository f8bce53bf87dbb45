"""Effects of a class by an engine: the store, threads and the count of forward passes."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from known_nets import colour_model, conv_model, noise, two_levels
from voxplain.concepts.context import ContextFeatures
from voxplain.concepts.effect import ARRAYS, Effects, HideConcepts, join_effects
from voxplain.concepts.embedders import Embedder
from voxplain.concepts.features import MaskedCrops
from voxplain.concepts.rank import rank_by_effect
from voxplain.concepts.sequential_effects import SequentialEffects
from voxplain.concepts.settings import ConceptSettings
from voxplain.explain.effect_steps import EngineClips
from voxplain.explain.session import Session
from voxplain.explain.tasks import ClipPass
from voxplain.inference import Accelerated
from voxplain.model import VideoModel
from voxplain.model.fingerprint import fingerprint
from voxplain.runtime import Engine, ThreadExecutor, identify
from voxplain.store import Store

M, K, TARGET = 9, 3, 1
CROPS = MaskedCrops()
CLIPS = [noise(i) for i in range(M)]
ASSIGNED = [np.array([2, -1, 0, 1, 2]) if i % 2 else np.array([-1, -1, 0, 1, 0]) for i in range(M)]


def source(
    folder: Path,
    method: SequentialEffects | HideConcepts,
    *,
    workers: int = 1,
    embedder: Embedder = CROPS,
    model: VideoModel | None = None,
) -> tuple[EngineClips, list[int]]:
    """The clips on an engine, and the sizes of the batches that go through the network."""
    model = model or colour_model(batch_size=5)
    seen: list[int] = []
    model.net.register_forward_pre_hook(lambda _, args: seen.append(len(args[0])))
    found = fingerprint(model)
    seen.clear()
    store = Store(folder)
    engine = Engine(identify(store, found, "fp32"), store, ThreadExecutor(model, workers))
    settings = replace(ConceptSettings(), effect=method, embedder=embedder)
    session = Session(model, found, Accelerated(model, "fp32", "", {}), settings, engine)
    return EngineClips(session, CLIPS, [two_levels()] * M, ASSIGNED, K, TARGET), seen


def assert_equal(a: Effects, b: Effects) -> None:
    assert (a.variants, a.fills, a.forwards) == (b.variants, b.fills, b.forwards)
    for name in (*ARRAYS, "clips", "variant_logits"):
        np.testing.assert_array_equal(getattr(a, name), getattr(b, name))


def measured(clips: EngineClips):
    found = clips.effects()
    scores = rank_by_effect(found, TARGET, recognised=True)
    return clips.details(found, replace(scores, q_value=np.zeros(K), value=np.arange(1.0, K + 1)))


def test_the_forwards_are_counted_and_none_is_made_twice(tmp_path):
    clips, seen = source(tmp_path, SequentialEffects(clips=6, passes=200, batch=1, detail_clips=3))
    first = measured(clips)
    assert sum(seen) == first.forwards + len(first.base)  # and the unmodified clips
    again, seen = source(tmp_path, SequentialEffects(clips=6, passes=200, batch=1, detail_clips=3))
    second = measured(again)
    assert not seen
    assert_equal(second, first)


def test_logits_of_unmodified_clips_come_with_their_features(tmp_path):
    context = ContextFeatures()
    clips, seen = source(tmp_path, SequentialEffects(clips=6, passes=1), embedder=context, model=conv_model())
    session = clips.session
    for clip in CLIPS:
        session.features(clip, two_levels(), np.arange(5), TARGET)
    logits = {i: session.logits(clip, TARGET) for i, clip in enumerate(CLIPS)}
    seen.clear()
    found = measured(clips)
    assert sum(seen) == found.forwards
    np.testing.assert_array_equal(found.base, np.stack([logits[int(i)] for i in found.clips]))
    unrelated = noise(99)
    session.features(unrelated, two_levels(), np.arange(2), None)
    seen.clear()
    other = session.logits(unrelated, None)
    assert not seen
    np.testing.assert_allclose(other, session.model.logits(unrelated.frames[None])[0].numpy(), atol=1e-5)
    gradient = session.model.gradient(CLIPS[0].frames[None], TARGET, objective=session.settings.objective)[0].numpy()
    seen.clear()
    np.testing.assert_allclose(session.gradient(CLIPS[0], TARGET), gradient, rtol=1e-4, atol=1e-7)
    assert not seen
    for wanted, kept in ((TARGET, logits[0]), (None, other)):
        task = ClipPass(CLIPS[0] if wanted else unrelated, *session._embedder(wanted))
        assert task.compute(session.model)["logits"].tobytes() == kept.tobytes()  # what is kept is what is computed


def test_threads_change_nothing(tmp_path):
    one, many = (
        measured(source(tmp_path / str(n), SequentialEffects(clips=6, detail_clips=3), workers=n)[0]) for n in (1, 3)
    )
    assert_equal(many, one)


def test_a_killed_run_goes_on(tmp_path, monkeypatch):
    method = SequentialEffects(clips=6, detail_clips=3)
    whole = measured(source(tmp_path / "whole", method)[0])
    clips, seen = source(tmp_path / "cut", method)
    clips.effects()
    before = sum(seen)
    clips, seen = source(tmp_path / "cut", method)
    rest = measured(clips)
    assert sum(seen) == whole.forwards + len(whole.base) - before
    np.testing.assert_array_equal(rest.variant_logits, whole.variant_logits)


@pytest.mark.parametrize("fill", ["blur", "median"])
def test_thorough_with_one_fill_measures_what_hiding_each_concept_does(tmp_path, fill):
    every = source(tmp_path / "every", SequentialEffects(fills=(fill,), thorough=True))[0].effects()
    each = source(tmp_path / "each", HideConcepts(fill=fill))[0].effects()
    for name in ("alone", "blank"):
        np.testing.assert_allclose(getattr(every, name)[0], getattr(each, name), atol=1e-6)
    np.testing.assert_allclose(every.base, each.base, atol=1e-6)
    np.testing.assert_allclose(every.volume, each.volume, atol=1e-6)
    for name in ("hidden", "control"):  # here with the voxels at the rim
        np.testing.assert_array_equal(np.isnan(getattr(every, name)[0]), np.isnan(getattr(each, name)))


def test_hiding_each_concept_is_one_task_a_clip_as_before(tmp_path):
    clips, _ = source(tmp_path, HideConcepts(seed=3))
    got = clips.effects()
    model = colour_model(batch_size=5)
    parts = [
        HideConcepts(seed=3)(model, clip, two_levels(), assigned, K, place=i)
        for i, (clip, assigned) in enumerate(zip(CLIPS, ASSIGNED, strict=True))
    ]
    truth = join_effects(parts)
    for name in ("base", "hidden", "control", "alone", "blank", "volume"):
        assert getattr(got, name).tobytes() == getattr(truth, name).tobytes()
    assert measured(clips).variants == ()
