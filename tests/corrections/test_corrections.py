"""Corrections against known truth: a linear network that takes a lit corner for a class."""

import copy
from dataclasses import replace

import numpy as np
import pytest
import torch
from shortcut_task import CORNER, cheating_model, task

from voxplain.corrections import CORRECTIONS, FurtherTraining, KeepConcepts, ProjectConcept, RefitHead
from voxplain.corrections.attribution_penalty import masked_gradient
from voxplain.corrections.dfr import group_weights
from voxplain.corrections.examples import removed, swap
from voxplain.corrections.head import concept_directions, directions_of, head_inputs
from voxplain.corrections.layer_direction import layer_direction
from voxplain.errors import DataError, ModelError
from voxplain.nets import weights_digest
from voxplain.train.recipe import Recipe

SHORT = Recipe(epochs=6, batch=16, lr=0.005, lr_step=40, flip=0.0)
# concept_whitening needs a convolution and camera_swap a motion: tests of their own
REMOVING = [name for name in CORRECTIONS if name not in ("keep_concepts", "concept_whitening", "camera_swap")]


def quick(name):
    method = CORRECTIONS[name]
    changes = {"recipe": SHORT} if hasattr(method, "recipe") else {}
    if name == "p_clarc":
        changes = {"directions": 1}
    if name == "attribution_penalty":
        changes["strength"] = 0.1
    return replace(method, **changes)


def right_of(model, examples):
    return (model.logits(examples.frames).argmax(1).numpy() == examples.labels).mean()


def reliance(model):
    """Change of the log-odds when the corner is lit; 8 before any correction."""
    having = task(4, 1.0, 3).some(np.arange(4, 8))
    dark = having.frames.copy()
    dark[having.unwanted] = 0
    z = [model.logits(f).double().numpy() for f in (having.frames, dark)]
    return float(np.abs((z[0] - z[1]) @ [-1, 1]).mean())


@pytest.mark.parametrize("name", REMOVING)
def test_every_correction_lowers_the_reliance_and_leaves_the_original_alone(name):
    model, train, test = cheating_model(), task(40, 0.9, 0), task(20, 0.0, 1)  # the test's corner is of the other class
    before = weights_digest(model.net)
    assert right_of(model, test) == 0.5  # all lit clips are wrong
    corrected = quick(name)(model, train)
    assert reliance(model) == pytest.approx(8.0, rel=1e-4)
    assert reliance(corrected) < (7.5 if name == "a_clarc" else 3.0)
    assert right_of(corrected, task(20, 0.9, 2)) >= 0.9
    assert weights_digest(model.net) == before
    assert not model.net.training
    assert not corrected.net.training
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in corrected.net.modules())


@pytest.mark.parametrize("name", [name for name in REMOVING if name != "a_clarc"])
def test_a_correction_beats_further_training_and_a_random_concept(name):
    model, train = cheating_model(), task(40, 0.9, 0)
    method, other = quick(name), train.random_concept(np.random.default_rng(0))
    corrected = reliance(method(model, train))
    assert corrected < 0.7 * reliance(model if method.uncorrected is None else method.uncorrected(model, train))
    if name != "p_clarc":  # of four features a random direction is no small part
        assert corrected < 0.7 * reliance(method(model, other))


def test_with_the_concept_in_every_clip_a_clarc_tells_the_classes_apart():
    model, train, test = cheating_model(), task(40, 0.9, 0), task(20, 0.0, 1)
    lit = test.frames.copy()
    lit[(slice(None), *CORNER)] = 255
    shown = replace(test, frames=lit)
    assert right_of(model, shown) == 0.5
    assert right_of(quick("a_clarc")(model, train), shown) >= 0.95


def test_the_projection_is_that_of_the_formula():
    model, train = cheating_model(), task(10, 0.8, 0)
    v, absent = concept_directions(model, train, 1, np.random.default_rng(0))
    a, z0 = head_inputs(model, train.frames), absent.mean(0)
    projected = a - (a - z0) @ v.T @ v
    w, b = (p.detach().double().numpy() for p in (model.net.head.weight, model.net.head.bias))
    got = ProjectConcept(directions=1)(model, train).logits(train.frames).double().numpy()
    np.testing.assert_allclose(got, projected @ w.T + b, atol=1e-5)


def test_the_direction_is_that_of_the_corner_alone_although_it_goes_with_a_class():
    model, train = cheating_model(), task(40, 0.9, 0)
    v, _ = concept_directions(model, train, 1, np.random.default_rng(0))
    np.testing.assert_allclose(np.abs(v[0]), [0, 0, 1, 0], atol=1e-5)
    at_layer, having = layer_direction(model, train, np.random.default_rng(0))
    np.testing.assert_allclose(at_layer.numpy(), [0, 0, 1, 0], atol=1e-5)
    assert having[2] == 1


def test_directions_are_orthonormal_and_the_first_points_along_the_mean():
    differences = np.random.default_rng(0).normal(1.0, 0.3, (50, 6))
    v = directions_of(differences, 3)
    np.testing.assert_allclose(v @ v.T, np.eye(3), atol=1e-12)
    assert v[0] @ differences.mean(0) > 0


def test_the_balanced_refit_agrees_with_repeating_the_clips_of_rare_groups():
    labels = np.array([0] * 6 + [1] * 8)
    present = np.array([True] * 2 + [False] * 4 + [True] * 6 + [False] * 2)
    weights = group_weights(labels, present, balanced=True, smallest=1)
    totals = [weights[(labels == k) & (present == p)].sum() for k in (0, 1) for p in (True, False)]
    np.testing.assert_allclose(totals, [3.5] * 4)
    plain = group_weights(labels, present, balanced=False, smallest=1)
    assert plain[labels == 0].sum() == pytest.approx(plain[labels == 1].sum())
    np.testing.assert_allclose(plain[labels == 0], plain[0])


def test_the_masked_gradient_is_that_by_hand():
    # z = (w·x, 0): ∂ Σ_c log p_c / ∂x = (1 − 2p) w with p the probability of class 0
    torch.manual_seed(0)
    w, x = torch.randn(3, 2, 4, 4), torch.randn(2, 3, 2, 4, 4, requires_grad=True)
    masks = torch.rand(2, 2, 4, 4) > 0.5
    z = torch.stack([(x * w).flatten(1).sum(1) * 0.1, torch.zeros(2)], 1)
    p = z.softmax(1)[:, 0].detach()
    per_voxel = ((0.1 * w).pow(2).sum(0) * masks).flatten(1).sum(1)
    expected = ((1 - 2 * p).pow(2) * per_voxel).mean()
    assert masked_gradient(x, z, masks, "BCTHW").item() == pytest.approx(expected.item(), rel=1e-5)


def test_swapped_voxels_are_the_donors_and_no_others():
    train = task(5, 0.8, 0)
    donors = np.zeros_like(train.frames)
    swapped = swap(train.frames, train.unwanted, donors)
    assert (swapped[train.unwanted] == 0).all()
    assert (swapped[~train.unwanted] == train.frames[~train.unwanted]).all()
    gone = removed(train, np.random.default_rng(0))
    assert (gone[train.present][(slice(None), *CORNER)] == 0).all()


def test_a_random_concept_has_the_same_volume_in_other_clips_and_places():
    train = task(20, 0.9, 0)
    other = train.random_concept(np.random.default_rng(0))
    assert other.unwanted.sum() == train.unwanted.sum()
    assert other.present.sum() == train.present.sum()
    assert not (other.unwanted & train.unwanted).any()
    assert (other.frames == train.frames).all()


def test_keep_concepts_learns_from_what_is_kept():
    model, train, test = cheating_model(), task(40, 0.9, 0), task(20, 0.0, 1)
    upper = np.zeros_like(train.unwanted)
    upper[:, :, :4] = True
    kept = replace(train, wanted=upper)
    assert right_of(KeepConcepts(share=1.0, recipe=SHORT)(model, kept), test) >= 0.9
    with pytest.raises(DataError, match="expected concepts to keep"):
        KeepConcepts()(model, train)


def test_a_killed_training_goes_on_to_the_same_weights(tmp_path):
    model, train, path = cheating_model(), task(20, 0.9, 0), tmp_path / "part.safetensors"
    method = quick("concept_swap")
    whole = method(model, train)
    calls, real = [], copy.copy(torch.optim.SGD.step)

    def killed(self, *given, **named):
        calls.append(1)
        if len(calls) > 7:
            raise KeyboardInterrupt
        return real(self, *given, **named)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch.optim.SGD, "step", killed)
        with pytest.raises(KeyboardInterrupt):
            method(model, train, checkpoint=path)
    assert path.exists()
    assert weights_digest(method(model, train, checkpoint=path).net) == weights_digest(whole.net)
    with pytest.raises(DataError, match="another"):
        FurtherTraining(recipe=SHORT)(model, train, checkpoint=path)


def test_a_broken_training_is_one_sentence():
    with pytest.raises(ModelError, match="finite loss"):
        FurtherTraining(recipe=Recipe(epochs=30, batch=8, lr=1e38, flip=0.0))(cheating_model(), task(20, 0.9, 0))


def test_clips_without_the_concept_are_needed():
    train = task(10, 1.0, 0)
    for name in ("concept_swap", "p_clarc", "rr_clarc"):
        with pytest.raises(DataError, match="expected clips with"):
            quick(name)(cheating_model(), train.some(~train.present))
        with pytest.raises(DataError, match="expected clips with"):
            quick(name)(cheating_model(), train.some(train.present))
    with pytest.raises(DataError, match="of all 2 classes"):
        RefitHead()(cheating_model(), train.some(train.labels == 1))
