"""Effects in rounds, on clips whose every logit is known: what is measured, how often, and what comes out."""

from collections import Counter
from dataclasses import dataclass, field

import numpy as np
import pytest

from voxplain.concepts.sequential_effects import BLANK, UNMODIFIED, SequentialEffects
from voxplain.errors import DataError

TARGET, CLASSES = 1, 3
FILLS = ("blur", "median")


@dataclass
class KnownClips:
    """Clips in which hiding concept k lowers the logit by ``drop[m,k]``, with fill f times ``by_fill[f]``."""

    drop: np.ndarray
    by_fill: tuple[float, ...] = (1.0, 1.0)
    present: np.ndarray | None = None
    asked: Counter = field(default_factory=Counter)

    def volume(self):
        return np.where(self.drop * 0 == 0 if self.present is None else self.present, 0.1, 0.0).astype(np.float32)

    def in_each(self, method):
        raise AssertionError("not for methods that measure in rounds")

    def measure(self, title, asked, *, fills, seed, shared):
        found = {}
        for i, variants in asked.items():
            self.asked.update((i, variant) for variant in variants)
            rows = np.zeros((len(fills), len(variants), CLASSES), np.float32)
            for v, (kind, concepts) in enumerate(variants):
                lost = sum(self.drop[i, k] for k in concepts if self.volume()[i, k])
                if kind == "alone":
                    lost = self.drop[i].sum() - lost
                elif kind not in ("hidden", "frozen"):
                    lost = 0.1 * lost
                share = (
                    1.0 if (kind, concepts) == UNMODIFIED else np.array([self.by_fill[FILLS.index(f)] for f in fills])
                )
                rows[:, v, TARGET] = 10 - share * lost
            found[i] = rows
        return found

    def count(self, kind):
        return sum(n for (_, (name, concepts)), n in self.asked.items() if name == kind and len(concepts) == 1)


def clips(means, m=100, spread=1.0, **options):
    rng = np.random.default_rng(0)
    return KnownClips(np.asarray(means) + spread * rng.standard_normal((m, len(means))), **options)


def test_a_clear_order_takes_one_round_and_gives_the_drops():
    known = clips([5.0, 1.0, 0.0, -1.0], by_fill=(1.0, 0.5))
    method = SequentialEffects(fill_clips=8, clips=24, passes=1)
    got = method.of_class(known, TARGET)
    chosen = sorted(method.order(100)[:24])
    np.testing.assert_array_equal(got.clips, chosen)
    least = np.where(known.drop[chosen].mean(0) > 0, 0.5, 1.0)
    np.testing.assert_allclose(got.drop(TARGET, "logit"), least * known.drop[chosen], atol=1e-5)
    every = np.isin(got.clips, method.order(100)[:8])
    by_fill = got.drop_by_fill(TARGET, "logit")
    np.testing.assert_allclose(by_fill[0][every], known.drop[chosen][every], atol=1e-5)
    np.testing.assert_array_equal(np.isnan(by_fill[0][~every]).all(0), least < 1)
    np.testing.assert_array_equal(np.isnan(by_fill[1][~every]).all(0), least == 1)
    control = got.control_drop(TARGET, "logit")[:, :2]
    np.testing.assert_allclose(control, 0.05 * known.drop[chosen][:, :2], atol=1e-5)
    assert max(known.asked.values()) == 1  # nothing twice
    assert known.count("hidden") == 24 * 4
    assert known.count("alone") == 0
    compared = {k for (_, (kind, ks)), _n in known.asked.items() if kind == "control" for k in ks}
    assert compared == {0, 1} | (
        {2} if known.drop[chosen, 2].mean() > 1.96 * known.drop[chosen, 2].std(ddof=1) / 24**0.5 else set()
    )
    assert got.forwards == 24 * (4 + len(compared)) + 8 * 4 + 8 * 2
    np.testing.assert_array_equal(np.isfinite(got.blank).all((0, 2)), every)
    assert np.isnan(got.control[:, :, 3]).all()
    assert got.measured.all()


@pytest.mark.parametrize("close", [0, 1])  # the first two, and the last two
def test_concepts_of_uncertain_rank_are_measured_in_more_clips(close):
    known = clips([[9.0, 8.9, -6.0], [9.0, 0.0, -0.1]][close], spread=1.0)
    got = SequentialEffects(clips=10, batch=5).of_class(known, TARGET)
    assert len(got.clips) == 100
    assert got.measured[:, close : close + 2].all()
    assert got.measured[:, 2 - 2 * close].sum() == 10
    assert np.isfinite(got.control_drop(TARGET)[:, 0]).sum() == 10
    separate = SequentialEffects(clips=10, batch=5).of_class(clips([9.0, 4.0, 0.0], spread=0.5), TARGET)
    assert len(separate.clips) == 10


@pytest.mark.parametrize("passes", [240, 300])
def test_further_clips_leave_passes_for_what_comes_after_them(passes):
    known = clips([3.0, 2.9, 0.01, 0.0], spread=2.0)
    method = SequentialEffects(clips=12, batch=4, passes=passes, detail_clips=3)
    got = method.of_class(known, TARGET)
    assert 12 < len(got.clips) < 100
    got = method.details(known, got, TARGET, [0, 1], [0, 1])
    assert passes - 3 * 4 * 4 < got.forwards <= passes


def test_where_nothing_lowers_the_class_there_is_one_round():
    got = SequentialEffects(clips=8).of_class(clips([-1.0, -1.1]), TARGET)
    assert len(got.clips) == 8
    assert np.isnan(got.control).all()


def test_a_clip_without_a_concept_has_no_effect_of_it():
    present = np.ones((30, 3), bool)
    present[::2, 1] = False
    known = clips([4.0, 2.0, 0.0], 30, present=present)
    got = SequentialEffects(clips=30).of_class(known, TARGET)
    np.testing.assert_array_equal(np.isnan(got.drop(TARGET)), ~present)
    assert got.measured.all()
    assert not any(1 in ks and i % 2 == 0 for (i, (_, ks)) in known.asked)


@pytest.mark.parametrize(("options", "kind"), [({"thorough": True}, "drop"), ({}, "alone"), ({}, "over-control")])
def test_thorough_measures_everything(options, kind):
    known = clips([4.0, 2.0, -1.0], 30)
    got = SequentialEffects(clips=5, **options).of_class(known, TARGET, kind)
    assert len(got.clips) == 30
    for values in (got.hidden, got.control, got.alone, got.blank):
        assert np.isfinite(values).all()
    assert got.forwards == 30 * 2 * (1 + 3 * 3)


def test_details_of_the_first_concepts():
    known = clips([5.0, 2.0, 0.0, 1.0], 40)
    method = SequentialEffects(clips=20, top=2, detail_clips=6)
    first = method.of_class(known, TARGET)
    got = method.details(known, first, TARGET, [0, 1, 3], [0, 1, 3])
    assert got.forwards == first.forwards + 6 * (2 * 4 + 1 + 2)  # the blank clips are known
    kinds = {(kind, ks) for kind, ks in got.variants}
    assert kinds == {
        *((kind, (k,)) for kind in ("frozen", "shuffled", "moved") for k in (0, 1)),
        ("hidden", (0, 1)),
        ("hidden", (0, 1, 3)),
        ("alone", (0, 1, 3)),
    }
    known_rows = ~np.isnan(got.variant("frozen", (1,))[0, :, 0])
    assert known_rows.sum() == 6
    drops = known.drop[got.clips[known_rows]]
    np.testing.assert_allclose(10 - got.variant("frozen", (1,))[0, known_rows, TARGET], drops[:, 1], atol=1e-5)
    np.testing.assert_allclose(
        10 - got.variant("hidden", (0, 1))[0, known_rows, TARGET], drops[:, :2].sum(1), atol=1e-5
    )
    np.testing.assert_allclose(10 - got.variant("alone", (0,))[0, known_rows, TARGET], drops[:, 1:].sum(1), atol=1e-5)
    assert np.isnan(got.variant("moved", (3,))).all()
    assert max(known.asked.values()) == 1
    assert method.details(known, first, TARGET, [], []).variants == ()


def test_the_seed_chooses_the_clips_and_the_rest_follows():
    def run(seed):
        return SequentialEffects(clips=10, seed=seed).of_class(clips([3.0, 1.0]), TARGET)

    assert run(0).hidden.tobytes() == run(0).hidden.tobytes()
    assert set(run(0).clips) != set(run(1).clips)


def test_forwards_are_estimated_for_a_clear_order():
    method = SequentialEffects()
    known = clips([5.0, 1.0, 1.0, *[-1.0] * 6], 200)
    got = method.of_class(known, TARGET)
    got = method.details(known, got, TARGET, [0, 1, 2], [0, 1])
    assert got.forwards == pytest.approx(method.forwards(200, 9), rel=0.1)
    assert BLANK in {variant for _, variant in known.asked}


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"fills": ("white",)}, "white"),
        ({"fills": ()}, r"\(\)"),
        ({"fills": ("blur", "blur")}, "blur"),
        ({"top": 0}, "'top': 0"),
    ],
)
def test_wrong_parameters_are_refused(options, named):
    with pytest.raises(DataError, match=named):
        SequentialEffects(**options)
