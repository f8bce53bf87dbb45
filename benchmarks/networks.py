"""Which networks of five libraries can be explained, by what, with one line of user code; each "works" is checked.

    python benchmarks/networks.py [--work DIR] [--quick] [--only hf:vivit …] [--again] [--docs docs/networks.md]

Networks are those of `networks_zoo.py`, with random weights and nothing downloaded, so that this shows that methods run
and what they compute, not that maps mean something. A cell is one of

works   the result passed these checks: maps are finite, not constant, on the clip's grid; gradients equal autograd by
        hand on another instance of the library's network; the doctor's layer gives features; the layer of Grad-CAM is
        not the logits, all of the logits depend on the clip through it, and more than one step in time reaches them;
        relevance of LRP (ε → 0) is that of the voxels and of constants to 1 %;
        features of concepts have the channels of the last map, the class's gradient there is not zero, and there is a
        ranking of concepts with finite scores
n/a     an error of voxplain in one sentence, which is the reason
wrong   a check failed
error   another exception

and each row further tells how far logits are from the library's own call. Rows are kept in the folder of work, and
computed again with --again; --docs writes them into the table of a page, whose other rows stay. The last line is one
JSON object.
"""

import argparse
import json
import os
import time
import traceback
from collections.abc import Callable
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

import voxplain as vx
from networks_table import NetworkRow, merged, render
from networks_zoo import CASES, Case, input_by_hand, load, own_call, write_folders
from voxplain.concepts import feature_maps
from voxplain.concepts.cluster import KMeans
from voxplain.concepts.cluster_filter import ClusterFilter
from voxplain.concepts.context import ContextFeatures
from voxplain.concepts.sequential_effects import SequentialEffects
from voxplain.doctor import examine
from voxplain.inference import Inference
from voxplain.model import VideoModel
from voxplain.model.layers import record_output
from voxplain.segment import SLIC, Grid

COLUMNS = ("doctor", "gradient", "grad_cam", "lrp", "rise", "occlusion", "concepts")
EQUAL = 1e-5
CONSERVED = 0.01
Found = dict[str, Any]


class Wrong(Exception):
    """A result that failed a check."""


def require(holds: bool, what: str) -> None:
    if not holds:
        raise Wrong(what)


def clips_for(model: VideoModel, count: int, seed: int = 0) -> np.ndarray:
    """Clips uint8 [N,T,H,W,3] of coarse noise that drifts, with a bright square that moves."""
    t, h, w = model.grid
    rng, out = np.random.default_rng(seed), np.empty((count, t, h, w, 3), np.uint8)
    for clip in out:
        coarse = rng.integers(0, 200, (-(-h // 8) + 1, -(-w // 8) + 1, 3)).astype(np.uint8)
        still, side = coarse.repeat(8, 0).repeat(8, 1), h // 4
        for i in range(t):
            clip[i] = still[i % 8 : h + i % 8, :w]
            left = int((w - side) * i / max(t - 1, 1))
            clip[i, side : 2 * side, left : left + side] = rng.integers(200, 256, 3)
    return out


def check_map(model: VideoModel, heat: vx.Attribution) -> Found:
    values = np.asarray(heat)
    require(values.shape == model.grid, f"map {values.shape} on the grid {model.grid}")
    require(bool(np.isfinite(values).all()), "map with values that are not finite")
    require(float(values.max() - values.min()) > 0, f"constant map; notes: {heat.notes}")
    return {}


def doctor(case: Case, model: VideoModel, frames: np.ndarray) -> Found:
    found = examine(model)
    require(found.logits[1] == len(model.classes), f"logits {found.logits} for {len(model.classes)} classes")
    require(found.feature_layer is not None, "no feature layer")
    again = replace(model, layer=found.feature_layer, pool=found.pool)
    features = again.embed(frames[:2])
    require(features.shape[0] == 2 and bool(torch.isfinite(features).all()), f"features {tuple(features.shape)}")
    same = (again.layer, again.pool) == (model.layer, model.pool)  # then it would find the same once more
    warned = found.warnings if same else examine(again).warnings
    against = [w for w in warned if "reaches the logits" in w or w.startswith("expected")]
    require(not against, f"warns of its own layer: {against}")
    return {"layer": found.feature_layer, "warnings": len(found.warnings)}


def gradient(case: Case, model: VideoModel, frames: np.ndarray) -> Found:
    y = int(model(frames[:1])[0].argmax())
    heat = vx.Gradient()(model, frames[0], y)
    check_map(model, heat)
    x = input_by_hand(case, model, frames[:1]).requires_grad_(True)
    (g,) = torch.autograd.grad(own_call(case, model)(x)[0, y], x)
    colours = 2 if case.library in ("hf", "timm") else 1
    truth = g.abs().mean(colours)[0].numpy()
    gap = float(np.abs(np.asarray(heat) - truth).max() / truth.max())
    require(gap <= EQUAL, f"{gap:.1e} from autograd by hand")
    return {"gap": gap}


def grad_cam(case: Case, model: VideoModel, frames: np.ndarray) -> Found:
    order = model(frames[:1])[0].argsort(descending=True).tolist()
    heat = vx.GradCAM()(model, frames[0], order[0])
    for y in order[1:]:  # of a class against which every place speaks, the map is zero and says so
        if heat.max() > 0 or not heat.notes:
            break
        heat = vx.GradCAM()(model, frames[0], y)
    check_map(model, heat)
    name, (steps, high, wide) = heat.details["layer"], heat.details["positions"]
    require(high * wide > 1, f"{name} has one position in space")
    module, outputs, seen = model.net.get_submodule(name), list[Tensor](), list[Tensor]()

    def cut(a: Tensor) -> Tensor:
        outputs.append(a)
        return torch.ones_like(a)

    with record_output(module, [], cut):
        z = model(frames[:2])
    require(torch.allclose(z[0], z[1], atol=1e-6), f"logits depend on the clip beside {name}")
    require(outputs[0].numel() > 2 * steps * z.shape[1], f"{name} gives the logits")

    def leaf(a: Tensor) -> Tensor:
        seen.append(a.detach().clone().requires_grad_(True))
        return seen[-1]

    with record_output(module, [], leaf):
        score = model.forward(model.prepare(frames[:1]))[0].square().sum()
    grads = [(g != 0).any(-1) for g in torch.autograd.grad(score, seen)]
    used = [float((g if g.ndim == 2 else g.any(-1)).float().mean()) for g in grads]  # of tokens, or rows of maps
    require(len(seen) > 1 or used[0] > 1 / max(steps, 1.9), f"{used[0]:.2f} of {name} reaches the logits")
    return {"layer": name, "positions": [steps, high, wide]}


def lrp(case: Case, model: VideoModel, frames: np.ndarray) -> Found:
    heat = vx.LRP("epsilon")(model, frames[0])
    check_map(model, heat)
    exact = vx.LRP("epsilon", epsilon=0.0)(model, frames[0])
    parts = {name: float(exact.details.get(name, 0.0)) for name in ("start", "constants", "softmax_constants")}
    left = parts["start"] - float(exact.values.sum(dtype=np.float64)) - parts["constants"] - parts["softmax_constants"]
    lost = abs(left / parts["start"])
    require(lost < CONSERVED, f"{100 * lost:.1f} % of the relevance is nowhere")
    return {"gap": round(float(exact.details["conservation_gap"]), 4), "lost": lost}


def rise(case: Case, model: VideoModel, frames: np.ndarray) -> Found:
    return check_map(model, vx.RISE(samples=6, cells=(2, 3, 3), objective="logit")(model, frames[0]))


def occlusion(case: Case, model: VideoModel, frames: np.ndarray) -> Found:
    return check_map(model, vx.SupervoxelOcclusion(SLIC(segments=(12,)))(model, frames[0]))


SETTINGS = vx.ConceptSettings(
    segmenter=Grid(cells=((1, 2, 2),)),
    embedder=ContextFeatures(steps=1),  # not 4: no check is of the size of contributions
    clusterer=KMeans(clusters=2),
    cluster_filter=ClusterFilter(clauses=((0.0, 0.0),), min_members=1),
    keep=2,
    unrelated_crops=3,
    random_sets=3,
    random_size=4,
    effect=SequentialEffects(fills=("blur",), fill_clips=1, clips=2, passes=8, batch=1, top=1, detail_clips=1),
    inference=Inference(precision="fp32"),
)


def concepts(case: Case, model: VideoModel, frames: np.ndarray) -> Found:
    own = [vx.Clip.from_array(clip) for clip in frames[:2]]
    others = [vx.Clip.from_array(clip) for clip in clips_for(model, 4, seed=1)]
    y = int(model(frames[:1])[0].argmax())
    places = feature_maps.last_maps(model)
    maps = feature_maps.feature_maps(model, frames[:1], gradient_of=(y, "logit"))
    channels = maps.feature.shape[1]
    require(channels == case.width, f"the last map has {channels} channels, where the network has {case.width}")
    require(maps.gradient is not None and bool(maps.gradient.any()), "no gradient of the class at the last map")
    run = vx.explain_concepts(model, own, random=others, target=y, settings=SETTINGS)
    require(len(run.bank) > 0, "no concept")
    require(run.cavs.vectors.shape[2] in (case.width, model.embed(frames[:1]).shape[1]), "CAVs of another width")
    scores = [one.value for one in run.scores.values()]
    require(bool(np.isfinite(scores).all()), "scores that are not finite")
    return {"layers": [p.layer for p in places], "channels": channels, "tokens": places[-1].tokens is not None}


CELLS: dict[str, Callable[[Case, VideoModel, np.ndarray], Found]] = {
    "doctor": doctor,
    "gradient": gradient,
    "grad_cam": grad_cam,
    "lrp": lrp,
    "rise": rise,
    "occlusion": occlusion,
    "concepts": concepts,
}


def run_cell(name: str, case: Case, model: VideoModel, frames: np.ndarray) -> Found:
    start = time.perf_counter()
    try:
        found = {"state": "works"} | CELLS[name](case, model, frames)
    except Wrong as error:
        found = {"state": "wrong", "reason": str(error)}
    except vx.VoxplainError as error:
        found = {"state": "n/a", "reason": str(error)}
    except Exception as error:
        found = {"state": "error", "reason": f"{type(error).__name__}: {error}", "trace": traceback.format_exc()}
    return found | {"seconds": round(time.perf_counter() - start, 2)}


def run_case(case: Case) -> Found:
    start, row = time.perf_counter(), {"network": case.key, "line": case.line, "lines": case.lines}
    try:
        model = load(case)
        frames = clips_for(model, 2)
        with torch.no_grad():
            own = own_call(case, model)(input_by_hand(case, model, frames))
        z = model(frames)
        if float((z[0] - z[1]).abs().max()) < EQUAL:
            return row | {"failed": "logits of the random weights do not depend on the clip"}
        row["logits_gap"] = float((z - own).abs().max() / max(1.0, float(own.abs().max())))
        if row["logits_gap"] > EQUAL:
            return row | {"failed": f"logits {row['logits_gap']:.1e} from the library's own"}
    except Exception as error:
        return row | {"failed": f"{type(error).__name__}: {error}", "trace": traceback.format_exc()}
    row |= {"grid": list(model.grid), "cells": {name: run_cell(name, case, model, frames) for name in COLUMNS}}
    return row | {"seconds": round(time.perf_counter() - start, 1)}


def shown(row: Found) -> NetworkRow:
    """A row for the table."""
    if "failed" in row:
        return NetworkRow(row["network"], "not loaded", (row["failed"],))
    cells = [row["cells"][name] for name in COLUMNS]
    texts = tuple("works" if cell["state"] == "works" else f"{cell['state']}: {cell['reason']}" for cell in cells)
    ends = (row["logits_gap"], row["cells"]["gradient"].get("gap"), row["cells"]["lrp"].get("lost"))
    return NetworkRow(row["network"], "×".join(map(str, row["grid"])), texts, tuple(map(_power, ends)))


def _power(value: float | None) -> str:
    return "–" if value is None else f"{value:.0e}"


def summary(rows: list[Found]) -> Found:
    good = [row for row in rows if "failed" not in row]
    states = [cell["state"] for row in good for cell in row["cells"].values()]
    gaps = [row["cells"]["gradient"]["gap"] for row in good if "gap" in row["cells"]["gradient"]]
    return {
        "networks": len(rows),
        "libraries": len({row["network"].partition(":")[0] for row in rows}),
        "not_loaded": len(rows) - len(good),
        **{state.replace("/", ""): states.count(state) for state in ("works", "n/a", "wrong", "error")},
        "lines_of_user_code": max((row["lines"] for row in rows), default=0),
        "logits_gap": max((row["logits_gap"] for row in good), default=None),
        "gradient_gap": max(gaps, default=None),
        "seconds": round(sum(row["seconds"] for row in good), 1),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, default=Path("runs/networks"))
    parser.add_argument("--only", nargs="+", help="networks, such as hf:vivit")
    parser.add_argument("--quick", action="store_true", help="without networks that take a second or more for a clip")
    parser.add_argument("--again", action="store_true", help="compute rows that are kept")
    parser.add_argument("--docs", type=Path, help="the page whose table gets the rows")
    asked = parser.parse_args()
    page = asked.docs and asked.docs.resolve()
    asked.work.mkdir(parents=True, exist_ok=True)
    os.chdir(asked.work)
    write_folders(Path()) if find_spec("transformers") else None
    rows = []
    for case in CASES:
        if (asked.only and case.key not in asked.only) or (asked.quick and case.heavy):
            continue
        kept = Path(f"{case.key.replace(':', '-')}.json")
        if asked.again or not kept.exists():
            row = run_case(case)
            kept.write_text(json.dumps(row, indent=1))
            told = row.get("failed") or " ".join(f"{n}={c['state']}" for n, c in row["cells"].items())
            print(f"{case.key}: {told}, {row.get('seconds')} s", flush=True)
        rows.append(json.loads(kept.read_text()))
    found = [shown(row) for row in rows]
    print(f"\n{render(found)}\n")
    if page is not None:
        page.write_text(merged(page.read_text(), found, [case.key for case in CASES]))
    print(json.dumps(summary(rows)))


if __name__ == "__main__":
    main()
