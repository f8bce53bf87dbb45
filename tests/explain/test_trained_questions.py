"""Small networks trained on the planted questions: explanations agree with the counterfactuals of the scenes."""

from functools import cache

import numpy as np
import pytest
import torch
from torch import nn

import voxplain as vx
from question_nets import GRID, NAMES
from voxplain.concepts.cluster import KMeans
from voxplain.datasets.planted import PlantedAnswer, planted_answers, render, without
from voxplain.model import VideoModel, stack
from voxplain.segment import Grid


@cache
def trained(question: str) -> VideoModel:
    """A network of two convolutions, trained on 256 clips with the loss of its task."""
    torch.manual_seed(0)
    outputs = 3 if question == "labels" else 1
    net = nn.Sequential(
        nn.Conv3d(3, 8, 3, stride=2, padding=1),
        nn.ReLU(),
        nn.Conv3d(8, 16, 3, padding=1),
        nn.ReLU(),
        nn.AdaptiveAvgPool3d(1),
        nn.Flatten(),
        nn.Linear(16, outputs),
    )
    task = "multilabel" if question == "labels" else "regression"
    names = NAMES if question == "labels" else (question,)
    model = VideoModel(net, layer="3", grid=GRID, task=task, classes=names, probabilities=False)
    shown = planted_answers(question, 256, seed=1)
    x = model.prepare(stack([p.clip for p in shown]))
    y = torch.from_numpy(np.stack([p.answer for p in shown]))
    loss = nn.functional.binary_cross_entropy_with_logits if task == "multilabel" else nn.functional.mse_loss
    optimiser = torch.optim.Adam(net.parameters(), lr=1e-2)
    order = torch.Generator().manual_seed(0)
    for epoch in range(30):
        for group in optimiser.param_groups:
            group["lr"] = 1e-2 if epoch < 22 else 1e-3
        for rows in torch.randperm(len(x), generator=order).split(32):
            optimiser.zero_grad()
            loss(net(x[rows]), y[rows]).backward()
            optimiser.step()
    net.eval()
    return model


def objects(planted: PlantedAnswer, shape: str) -> np.ndarray:
    masks = [m for name, m in planted.masks().items() if name.startswith(shape)]
    return np.any(masks, axis=0) if masks else np.zeros(GRID, bool)


def shares(run: vx.ConceptRun, own: list[PlantedAnswer], shape: str, concepts: np.ndarray) -> tuple[float, float]:
    """Share of the objects' voxels that concepts cover, and share of the concepts' voxels that are the objects'."""
    masks = [s.masks(np.flatnonzero(np.isin(a, concepts))) for s, a in zip(run.supervoxels, run.assigned, strict=True)]
    truth = [objects(p, shape) for p in own]
    both = sum(int((m & t).sum()) for m, t in zip(masks, truth, strict=True))
    return both / sum(int(t.sum()) for t in truth), both / max(sum(int(m.sum()) for m in masks), 1)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("question", "target", "shape", "off"), [("count", "rise", "disk", 0.6), ("labels", "square", "square", None)]
)
def test_maps_agree_with_the_counterfactuals(question, target, shape, off):
    model = trained(question)
    held = planted_answers(question, 60, seed=7)
    z = model.logits([p.clip for p in held]).numpy()
    answers = np.stack([p.answer for p in held])
    if off is None:
        assert ((z > 0) == (answers > 0)).mean() > 0.95
    else:
        assert np.abs(z - answers).mean() < off
    column = 0 if question == "count" else NAMES.index(shape)
    shown = [p for p in held if objects(p, shape).any() and not objects(p, shape).all()][:4]
    energy = []
    for planted in shown:
        thing = next(o.name for o in planted.scene.objects if o.shape == shape)
        fall = z[held.index(planted), column] - float(
            model.logits(render(without(planted.scene, thing), codec=False))[0, column]
        )
        assert fall > 0.4, "the network answers by its objects"
        heat = vx.Occlusion(fill="median")(model, planted.clip, target)
        positive, truth = np.maximum(heat.values, 0), objects(planted, shape)
        energy.append(positive[truth].sum() / positive.sum() / truth.mean())
    assert np.mean(energy) > 2.5, energy


@pytest.mark.slow
def test_significant_concepts_are_what_is_counted():
    model, shape = trained("count"), "disk"
    settings = vx.ConceptSettings(
        segmenter=Grid(cells=((2, 6, 6),)), clusterer=KMeans(clusters=3), keep=3, unrelated_crops=12, random_sets=4
    )
    own = [p for p in planted_answers("count", 60, seed=8) if objects(p, shape).any()][:12]
    others = [p.clip for p in planted_answers("count", 80, seed=9) if not objects(p, shape).any()][:12]
    run = vx.explain_concepts(model, [p.clip for p in own], random=others, target="rise", settings=settings)
    top, significant = run.order[:1], np.flatnonzero(run.scores[run.ranking].q_value < 0.05)
    # The regions are cells as large as an object: those inside it and those at its border are concepts of their own.
    covered, precise = shares(run, own, shape, significant)[0], shares(run, own, shape, top)[1]
    assert covered > 0.8, covered
    assert precise > 3 * np.mean([objects(p, shape).mean() for p in own]), precise
    others_cover = shares(run, own, shape, np.setdiff1d(run.order, significant))[0]
    assert others_cover < 0.2, others_cover
    assert run.recognition is not None
    assert run.recognition.holds
