"""Concepts given by example clips: tints, for a network whose classes are tints."""

from collections import OrderedDict
from contextlib import contextmanager
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy import stats
from torch import nn

from voxplain.concepts.settings import ConceptSettings
from voxplain.errors import DataError, ModelError, VideoError
from voxplain.explain import score_own_concepts
from voxplain.model import VideoModel
from voxplain.perturb import base_clip, hide
from voxplain.segment import SLIC
from voxplain.video import Clip

GRID = (4, 8, 8)
SMALL = ConceptSettings(random_sets=10, random_size=12)


def tinted(colour: tuple[int, int, int], count: int, seed: int, frames: int = 4) -> list[Clip]:
    """Clips of sixteen still patches of any colour near grey, some noise, and a tint."""
    rng = np.random.default_rng(seed)
    patches = rng.normal(0, 15, (count, 1, 4, 4, 3)).repeat(2, 2).repeat(2, 3)
    made = 110 + patches + np.array(colour) + rng.normal(0, 5, (count, frames, 8, 8, 3))
    return [Clip.from_array(f, source=f"{seed}-{i}.mp4") for i, f in enumerate(made.clip(0, 255).astype(np.uint8))]


def tint_model(bent: bool = False) -> VideoModel:
    """The class named after a colour gains from that tint and loses from the others."""
    torch.manual_seed(0)
    head = nn.Linear(48, 3)
    with torch.no_grad():
        head.weight.copy_(torch.eye(3).repeat_interleave(16, dim=1) / 4)  # features are three channels of 16 patches
        head.bias.zero_()
    rest = [("bend", nn.Softplus())] if bent else []
    net = nn.Sequential(
        OrderedDict([("mean", nn.AdaptiveAvgPool3d((1, 4, 4))), ("colour", nn.Flatten()), *rest, ("head", head)])
    )
    return VideoModel(net=net.eval(), layer="colour", grid=GRID, classes=("red", "green", "blue"))


CONCEPTS = {
    "bluish": tinted((0, 0, 70), 15, 1),
    "reddish": tinted((70, 0, 0), 15, 2),
    "plain": tinted((0, 0, 0), 15, 3),
    "reddish, dim": tinted((35, 0, 0), 10, 4),
}
RANDOM = tinted((0, 0, 0), 60, 5)


def explained(model: VideoModel | None = None, target: str | int = "red", **options):
    settings = options.pop("settings", SMALL)
    clips = options.pop("clips", tinted((60, 0, 0), 8, 6))
    random = options.pop("random", RANDOM)
    concepts = options.pop("concepts", CONCEPTS)
    return score_own_concepts(
        model or tint_model(), concepts, clips, random=random, target=target, settings=settings, **options
    )


def test_log_odds_also_know_what_speaks_against_a_class():
    """The logit of red does not know blue; its lead over blue does."""
    value = {}
    for objective in ("logit", "log_odds"):
        got = explained(settings=replace(SMALL, objective=objective))
        value[objective] = dict(zip(got.names, got.scores.value, strict=True))
    assert value["log_odds"]["plain"] > value["log_odds"]["bluish"]
    assert value["log_odds"]["bluish"] < -0.1
    assert abs(value["logit"]["bluish"]) < 0.1


@pytest.mark.parametrize("bent", [False, True])
def test_a_class_rests_on_its_colour(bent):
    got = explained(tint_model(bent))
    value = dict(zip(got.names, got.scores.value, strict=True))
    assert list(value) == list(CONCEPTS)
    assert value["reddish"] > 0.3
    assert value["reddish"] > 3 * max(abs(value["plain"]), abs(value["bluish"]))
    q = dict(zip(got.names, got.scores.q_value, strict=True))
    assert q["reddish"] < 0.05 < q["plain"]
    accuracy = dict(zip(got.names, got.cavs.accuracy.mean(1), strict=True))
    assert accuracy["reddish"] > 0.95
    assert abs(accuracy["plain"] - 0.5) < 0.2
    assert explained(tint_model(bent), "blue").names[explained(tint_model(bent), "blue").scores.rank[0]] == "bluish"


def test_directions_similarity_and_profile():
    got = explained()
    reddish, bluish, dim = (got.names.index(n) for n in ("reddish", "bluish", "reddish, dim"))
    red, _, blue = np.eye(3).repeat(16, axis=1) / 4  # unit directions of even tints
    assert got.cavs.vectors.shape == (4, 10, 48)
    assert (got.cavs.vectors[reddish] @ red > 0.8).all()
    assert (got.cavs.vectors[bluish] @ blue > 0.8).all()
    np.testing.assert_allclose(np.diag(got.similarity), 1, atol=1e-5)
    assert got.similarity[reddish, dim] > 0.75 > 0.4 > abs(got.similarity[reddish, bluish])
    clips = tinted((60, 0, 0), 8, 6)
    normal = (np.stack([c.frames for c in clips]) / 255 - 0.5) / 0.25
    feature = normal.reshape(8, 4, 4, 2, 4, 2, 3).mean((1, 3, 5)).transpose(0, 3, 1, 2).reshape(8, 48)
    np.testing.assert_allclose(got.profile, feature @ got.cavs.vectors.mean(1).T, atol=1e-4)


def test_the_score_s_variants():
    sign = explained(settings=replace(SMALL, tcav="sign_count", objective="logit"))
    assert sign.scores.chance == 0.5
    assert sign.scores.name == "tcav (sign_count, logit)"
    assert set(np.unique(sign.scores.scores)) <= {0, 1}  # one linear map above the layer: the clips say nothing
    assert sign.scores.value[sign.names.index("reddish")] == 1
    size = explained()
    assert size.scores.chance == 0
    assert size.scores.name == "tcav (magnitude, logit)"


def test_what_is_tested_by_hand():
    """The mean gradient of the red class is the mean of the red channel: its change from unrelated to reddish clips."""
    got = explained()
    red = [
        np.array([(c.frames[..., 0] / 255 - 0.5).mean() / 0.25 for c in own]) for own in (CONCEPTS["reddish"], RANDOM)
    ]
    k = got.names.index("reddish")
    assert got.scores.tested[k] == pytest.approx(4 * (red[0].mean() - red[1].mean()), rel=1e-4)
    assert got.scores.p_value[k] == pytest.approx(stats.ttest_ind(*red).pvalue, rel=1e-3)
    excluded = (got.scores.tested_interval[:, 0] > 0) | (got.scores.tested_interval[:, 1] < 0)
    np.testing.assert_array_equal(got.scores.q_value < 0.05, excluded)


@pytest.mark.parametrize("pool", [8, 16, 40])
def test_unrelated_concepts_are_significant_at_the_level_also_with_few_unrelated_clips(pool):
    """Every concept is fresh clips like the unrelated ones: 5 % come out below 0.05."""
    shares = []
    for repeat in range(20):
        concepts = {f"plain {i}": tinted((0, 0, 0), 3 + i, 100 * repeat + i) for i in range(6)}
        random = tinted((0, 0, 0), pool, 5000 + repeat)
        got = explained(concepts=concepts, random=random, settings=replace(SMALL, random_sets=1))
        shares.append((got.scores.p_value < 0.05).mean())
    # Concepts of a repeat share the unrelated clips: the interval is over repeats.
    assert abs(np.mean(shares) - 0.05) < 4 * max(np.std(shares), 0.1) / np.sqrt(len(shares))


def masked(present: bool, seed: int) -> tuple[list[Clip], list[np.ndarray]]:
    """Clips with a red square, and where it is; or the same masks where nothing is."""
    clips, masks = tinted((0, 0, 0), 8, seed), []
    for i, clip in enumerate(clips):
        mask = np.zeros(GRID, bool)
        mask[:, i % 5 : i % 5 + 3, 2:5] = True
        clip.frames[mask] = (250, 20, 20) if present else clip.frames[mask]
        masks.append(mask)
    return clips, masks


def test_masks_add_the_direct_effect():
    square, nothing = masked(True, 20), masked(False, 21)
    concepts, masks = {"square": square[0], "nothing": nothing[0]}, {"nothing": nothing[1], "square": square[1]}
    settings = replace(SMALL, segmenter=SLIC(segments=(4, 8)))
    got = explained(concepts=concepts, masks=masks, settings=settings)
    assert got.names == ("square", "nothing")
    assert got.effect.scores.shape == (2, 16)
    assert np.isnan(got.effect.scores).tolist() == [[False] * 8 + [True] * 8, [True] * 8 + [False] * 8]
    assert got.effect.q_value[0] < 0.05 < got.effect.q_value[1]
    model = tint_model()
    hidden = []
    for clip, mask in zip(square[0], square[1], strict=True):
        both = np.stack([clip.frames, hide(clip.frames, mask, base_clip(clip.frames, "blur", model.mean_colour))])
        z = model.logits(both).double()
        lead = z[:, 0] - torch.logsumexp(z[:, 1:], 1)
        hidden.append(float(lead[0] - lead[1]))
    assert got.effect.value[0] == pytest.approx(np.mean(hidden), rel=1e-4)
    assert explained(concepts=concepts).effect is None
    assert "above random" in got.table()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda m: {"other": m}, r"masks of the concepts \['square'\], got \['other'\]"),
        (lambda m: {"square": m[:-1]}, "for each clip of 'square'"),
        (lambda m: {"square": [x[1:] for x in m]}, "for each clip of 'square'"),
        (lambda m: {"square": [x.astype(int) for x in m]}, r"of \['int64'\]"),
    ],
)
def test_masks_belong_to_their_clips(change, said):
    clips, masks = masked(True, 20)
    with pytest.raises(DataError, match=said):
        explained(concepts={"square": clips}, masks=change(masks))


def test_same_seed_same_bytes():
    first, again = explained(), explained()
    other = explained(settings=replace(SMALL, seed=1))
    assert first.cavs.vectors.tobytes() == again.cavs.vectors.tobytes()
    assert first.scores.p_value.tobytes() == again.scores.p_value.tobytes()
    assert first.profile.tobytes() == again.profile.tobytes()
    assert first.cavs.vectors.tobytes() != other.cavs.vectors.tobytes()


def test_long_clips_are_scored_at_their_middle():
    short = tinted((60, 0, 0), 4, 8)
    ends = np.zeros((2, 8, 8, 3), np.uint8)
    long = [Clip.from_array(np.concatenate([ends, c.frames, ends + 255])) for c in short]
    a, b = explained(clips=short), explained(clips=long)
    np.testing.assert_allclose(a.scores.scores, b.scores.scores, atol=1e-6)
    assert not np.allclose(a.profile, b.profile)  # features are of whole clips


def test_table_lists_the_best_first():
    got = explained()
    head, *lines = got.table().splitlines()
    assert head.startswith("concept")
    assert [line[:26].strip() for line in lines] == [got.names[k] for k in got.scores.rank]
    assert lines[0][26:].split()[0] == f"{got.scores.value.max():.3f}"


def test_targets_by_name_or_index():
    by_name, by_index = explained(target="green"), explained(target=1)
    assert by_name.target == by_index.target == "green"
    np.testing.assert_array_equal(by_name.scores.value, by_index.scores.value)
    assert explained(replace(tint_model(), classes=()), 1).target == "1"
    with pytest.raises(ModelError, match="did you mean"):
        explained(target="gren")


def test_progress_ends_where_it_said():
    told = []

    @contextmanager
    def progress(what: str, total: int):
        steps = []
        yield lambda *_: steps.append(1)
        told.append((total, len(steps)))

    explained(progress=progress)
    assert told == [(6, 6)]


def test_a_concept_without_a_direction_is_named_and_does_not_lose_the_others():
    """Behind a threshold that grey never reaches, plain clips and unrelated ones have the same features."""
    model = tint_model()
    first = [("mean", model.net.mean), ("colour", model.net.colour)]
    net = nn.Sequential(OrderedDict([*first, ("over", nn.Threshold(0.3, 0.0)), ("head", model.net.head)]))
    grey = np.full((4, 8, 8, 3), 70, np.uint8)
    plain = [Clip.from_array(grey, source=f"{i}.mp4") for i in range(12)]
    concepts = {"reddish": CONCEPTS["reddish"], "grey": plain[:4]}
    behind = VideoModel(
        net.eval(), layer="over", grid=GRID, classes=("red", "green", "blue"), mean=(0, 0, 0), std=(1, 1, 1)
    )
    got = explained(behind, concepts=concepts, random=plain)
    alone = explained(behind, concepts={"reddish": CONCEPTS["reddish"]}, random=plain)
    assert np.isnan(got.scores.value).tolist() == [False, True]
    assert got.scores.value[0] == alone.scores.value[0] > 0
    assert list(got.scores.rank) == [0, 1]
    (note,) = got.notes
    assert "no TCAV score, of 'grey'" in note
    assert "'reddish'" not in note
    assert got.table().endswith(note)
    assert explained().notes == ()


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"concepts": {"one": CONCEPTS["plain"], "few": CONCEPTS["plain"][:2]}}, "'few'"),
        ({"concepts": {}}, "the concepts"),
        ({"random": RANDOM[:7]}, "the random sets"),
        ({"clips": []}, "the class"),
    ],
)
def test_too_few_clips_are_refused(options, named):
    with pytest.raises(DataError, match=f"at least 3 clips a concept, .* got too few for {named}; give more example"):
        explained(**options)


def test_a_clip_shorter_than_the_networks_is_named():
    concepts = {**CONCEPTS, "short": tinted((0, 0, 0), 3, 9, frames=3)}
    with pytest.raises(VideoError, match=r"at least 4 frames, got 3 of 9-0\.mp4"):
        explained(concepts=concepts)
