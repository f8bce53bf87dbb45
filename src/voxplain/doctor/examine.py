"""`examine`: which layer to explain a network at, and what would make its explanations wrong."""

from dataclasses import replace

import numpy as np
import torch
from torch import nn

from voxplain.doctor.checks import (
    about_feature,
    about_layers,
    about_mode,
    about_output,
    about_range,
    about_reuse,
    about_task,
    about_tokens,
    about_values,
    class_rows,
)
from voxplain.doctor.diagnosis import Diagnosis, LayerRow
from voxplain.errors import ModelError
from voxplain.model import ClipsLike, Task, VideoModel, as_frames
from voxplain.model.input_search import GRIDS, find_input
from voxplain.model.layer_choice import suggest_feature_layer
from voxplain.model.layouts import LAYOUTS, Layout
from voxplain.model.map_choice import last_map
from voxplain.model.outputs import Output
from voxplain.model.plain_network import plain_network
from voxplain.model.tasks import ASSUMED
from voxplain.model.token_pool import find_pool
from voxplain.model.trace import Trace, trace

__all__ = ["examine"]


def examine(
    model_or_net: VideoModel | nn.Module,
    *,
    grid: tuple[int, int, int] | None = None,
    layout: Layout | None = None,
    sample: ClipsLike | None = None,
    task: Task | None = None,
    output: Output | None = None,
) -> Diagnosis:
    """Run a network on a few clips, list its layers, suggest two, and warn of what commonly goes wrong.

    Parameters
    ----------
    model_or_net : VideoModel or nn.Module
        Left as it was found.
    grid : (T, H, W), optional
        By default the model's; for a bare network 16×112×112, or the first of `input_search.GRIDS` that it runs on.
    layout : {"BCTHW", "BTCHW", "TBCHW", "BTHWC"}, optional
        By default the model's; for a bare network the first in which it runs.
    sample : Clip or uint8 frames [T,H,W,3] or [N,T,H,W,3], optional
        Real video; by default coloured noise.
    task : {"classification", "multilabel", "binary", "regression"}, optional
        By default the model's, or what one pass shows.
    output : str, int or callable, optional
        Which tensor of the network's output holds the scores; by default the model's.

    Returns
    -------
    Diagnosis

    Raises
    ------
    ModelError
        A network that does not run on such input; the message names one that it runs on, if one was found.

    Examples
    --------
    >>> net = nn.Sequential(nn.Conv3d(3, 4, 3), nn.AdaptiveAvgPool3d(1), nn.Flatten(), nn.Linear(4, 2))
    >>> found = examine(net.eval(), grid=(8, 16, 16))
    >>> found.feature_layer, found.cam_layer, found.logits
    ('1', '0', (3, 2))
    """
    model = _as_model(model_or_net, grid, layout, task, output)
    frames = _frames(model, sample)
    warnings = list(about_mode(model.net))
    found = _run(model, frames)
    z = class_rows(found.output)
    feature = suggest_feature_layer(found, z.shape[-1], model.grid[0])
    given = (model.layer or None) if isinstance(model_or_net, VideoModel) else feature
    if feature is not None and feature != model.layer:
        pool = find_pool(replace(model, layer=feature, pool=True))
    else:
        pool = find_pool(model) if model.pool is True else model.pool
    model = replace(
        model, layer=given or model.layer, pool=model.pool if isinstance(model_or_net, VideoModel) else pool
    )
    alone = _run(model, frames[:1])
    map_layer = last_map(model, alone) if z.ndim == 2 else None
    cam = None if map_layer is None else map_layer.name
    if bool(torch.isfinite(z).all()):
        model = _with_task(model)
        warnings += about_task(model, z)
        model = replace(model, task="regression") if model.task is None and z.shape[-1] == 1 else model
        warnings += [*about_layers(found, [given, cam]), *about_tokens(model, alone), *about_reuse(found)]
        warnings += [*about_output(model, frames, z), *about_range(model, frames, z)]
        if given is not None:
            warnings += about_feature(model, frames)
    else:
        warnings += about_values(found)
    logits = tuple(found.output.shape)
    task = None if any("one number a clip" in w for w in warnings) else model.task or "classification"
    rows = _rows(model.net, found)
    assumed = ASSUMED if task is not None and model.task is None else ""
    return Diagnosis(
        rows,
        feature,
        cam,
        tuple(warnings),
        logits,
        task,
        bool(model.probabilities),
        pool,
        grid=model.grid,
        layout=model.layout,
        frames_in_batch=bool(model.frames_in_batch),
        assumed=assumed,
    )


def _with_task(model: VideoModel) -> VideoModel:
    """The model with the task that one pass shows, where it shows it."""
    try:
        return model.settled()
    except ModelError:
        return model


def _as_model(
    given: VideoModel | nn.Module,
    grid: tuple[int, int, int] | None,
    layout: Layout | None,
    task: Task | None,
    output: Output | None,
) -> VideoModel:
    if isinstance(given, VideoModel):
        kept = grid in (None, given.grid)
        geometry, sampler = (given.geometry, given.sampler) if kept else (None, None)
        changed = replace(
            given, grid=grid or given.grid, layout=layout or given.layout, geometry=geometry, sampler=sampler
        )
        changed = replace(changed, task=task, probabilities=None) if task else changed
        return changed if output is None else replace(changed, output=output)
    layer = next((name for name, _ in given.named_modules() if name), None)
    if layer is None:
        raise ModelError("expected a network with named layers, got one module without any; put it in another")
    folded, given = False, plain_network(given)
    try:
        found = find_input(given, layer=layer, layout=layout, output=output, grids=GRIDS if grid is None else (grid,))
        grid, layout, folded = found.grid, found.layout, found.frames_in_batch
    except ModelError:
        if grid is None:
            raise
    return VideoModel(
        net=given, layer=layer, grid=grid, layout=layout or "BCTHW", task=task, output=output, frames_in_batch=folded
    )


def _frames(model: VideoModel, sample: ClipsLike | None) -> np.ndarray:
    """Three clips or more, uint8 [N,T,H,W,3], the sample's first; the rest is coloured noise in blocks."""
    t, h, w = model.grid
    coarse = np.random.default_rng(0).integers(0, 256, (3, t, -(-h // 8), -(-w // 8), 3), dtype=np.uint8)
    noise = coarse.repeat(8, axis=2).repeat(8, axis=3)[:, :, :h, :w]
    if sample is None:
        return noise
    real = as_frames(sample, grid=model.grid)
    return np.concatenate([np.asarray(real[:2]), noise[:2]])


def _run(model: VideoModel, frames: np.ndarray) -> Trace:
    try:
        return trace(model.net, model.prepare(frames), model.raw)
    except ModelError:  # it runs, but does not say where its scores are
        raise
    except (RuntimeError, ValueError, TypeError, IndexError, AssertionError) as error:
        other = next((name for name in LAYOUTS if name != model.layout and _runs(model, name, frames)), None)
        advice = f"it does run with layout {other}: set that" if other else _proposed(model)
        first = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ModelError(
            f"expected the network to take clips of {model.grid} in layout {model.layout}, got: {first}; {advice}"
        ) from error


def _runs(model: VideoModel, layout: Layout, frames: np.ndarray) -> bool:
    """Whether the network gives a row a clip in another layout."""
    other = replace(model, layout=layout)
    try:
        return len(trace(model.net, other.prepare(frames), other.raw).output) == len(frames)
    except Exception:
        return False


def _proposed(model: VideoModel) -> str:
    """Advice: an input that the network does run on, where one is found."""
    try:
        found = find_input(model.net, layer=model.layer, output=model.output, pathways=model.pathways)
    except ModelError:
        return "check grid and layout"
    rows = ", frames in the batch" if found.frames_in_batch else ""
    return f"it does run with grid {found.grid} and layout {found.layout}{rows}: set these"


def _rows(net: nn.Module, found: Trace) -> tuple[LayerRow, ...]:
    counts, shapes = found.counts, {call.name: call.shape for call in found.calls}
    return tuple(
        LayerRow(n, type(m).__name__, shapes.get(n, ()), sum(p.numel() for p in m.parameters()), counts[n])
        for n, m in net.named_modules()
        if n
    )
