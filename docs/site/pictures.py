"""The pictures of the pages, from planted clips: ``python docs/site/pictures.py moving methods metrics``.

``moving`` is the README's picture and those of docs/gallery.md, ``methods`` (or ``methods:NAME,NAME``) and ``metrics`` are
those of the reference, with ``docs/site/costs.json``. All are written to docs/img and committed, since they take minutes.
"""

import json
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

import voxplain as vx
from voxplain.datasets.planted import PlantedDesign, draw_scene, masks, render
from voxplain.model.cost import counted

ROOT = Path(__file__).parents[2]
IMAGES, COSTS = ROOT / "docs" / "img", Path(__file__).parent / "costs.json"
LABEL, SEED = "ring", 40  # of the clip that all methods explain
# Fewer samples and steps than the defaults, so that all pictures together take minutes.
SMALLER = {
    "guided_ig": {"steps": 50},
    "rise": {"samples": 600},
    "lime": {"samples": 500},
    "kernel_shap": {"samples": 500},
    "ep_2d": {"iterations": 60, "areas": (0.1,)},
    "ep_3d": {"iterations": 60, "areas": (0.1,)},
    "step": {"iterations": 60, "areas": (0.1,)},
    "meaningful_perturbation": {"iterations": 100},
    "temporal_freeze": {"iterations": 60},
    "temporal_reverse": {"iterations": 60},
    "prediction_difference": {"stride": (0.25, 0.15, 0.15), "samples": 1},
    "score_cam": {"top_channels": 16},
    "smooth_grad": {"samples": 15},
    "smooth_grad_squared": {"samples": 15},
    "var_grad": {"samples": 15},
}
MAPS = ("lrp_gamma", "supervoxel_occlusion", "grad_cam", "gradient", "motion_energy", "random")  # that metrics measure


def the_clip() -> tuple[vx.VideoModel, vx.Clip, np.ndarray]:
    """The included network, one planted clip, and the mask of the object that decides its class."""
    scene = draw_scene(PlantedDesign(), LABEL, SEED)
    target = next(thing.name for thing in scene.objects if thing.role == "target")
    clip = vx.Clip.from_array(render(scene, codec=False), source=f"planted {LABEL}, seed {SEED}")
    return vx.load_model("planted"), clip, masks(scene)[target]


def enlarged(frames: np.ndarray, factor: int) -> np.ndarray:
    """Frames [...,H,W,3] with each pixel as a square of pixels."""
    return frames.repeat(factor, -3).repeat(factor, -2)


def row(frames: np.ndarray, moments: tuple[int, ...], *, factor: int = 2, gap: int = 4) -> np.ndarray:
    """Some frames side by side, uint8 [H',W',3]."""
    parts = []
    for t in moments:
        parts += [enlarged(frames[t], factor), np.full((frames.shape[1] * factor, gap, 3), 255, np.uint8)]
    return np.concatenate(parts[:-1], 1)


def save_webp(picture: np.ndarray, path: Path) -> None:
    """Write a picture in a few kilobytes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(picture).save(path, "WEBP", quality=78, method=6)


def draw_methods(names: tuple[str, ...] = ()) -> None:
    """A picture of each method's map of one clip, and what the map costs; of some methods, or all."""
    model, clip, _ = the_clip()
    moments = (2, 6, 10, 14)
    save_webp(row(clip.frames, moments), IMAGES / "methods" / "clip.webp")
    for name in names or tuple(vx.ATTRIBUTIONS):
        method = vx.ATTRIBUTIONS[name]()
        method = replace(method, **SMALLER.get(name, {}))  # type: ignore[type-var]
        try:
            with counted(model.net) as passes:
                heat = method(model, clip, LABEL)
        except vx.ModelError as error:
            print(f"{name}: {error}")
            continue
        costs = json.loads(COSTS.read_text("utf-8")) if COSTS.exists() else {}
        costs[name] = {"forward": passes.forwards, "backward": passes.backwards}
        COSTS.write_text(json.dumps(dict(sorted(costs.items())), indent=1) + "\n", "utf-8")
        save_webp(row(heat.overlay(), moments), IMAGES / "methods" / f"{name}.webp")
        print(name, costs[name])


def draw_metrics() -> None:
    """A bar a map for every metric that one clip is enough for."""
    from matplotlib import pyplot as plt

    model, clip, mask = the_clip()
    y = model.classes.index(LABEL)
    heats = {name: vx.ATTRIBUTIONS[name]()(model, clip, LABEL) for name in MAPS}
    small = {"parameter_randomisation": {"maps": 3}, "sensitivity": {"draws": 3}}
    (IMAGES / "metrics").mkdir(parents=True, exist_ok=True)
    cheap = tuple(name for name in MAPS if name != "supervoxel_occlusion")  # for metrics that call the method again
    for name, make in vx.METRICS.items():
        metric = replace(make(), **small.get(name, {}))  # type: ignore[type-var]
        needs = metric.needs
        if needs not in ("map", "mask", "method"):
            continue
        values, chance = {}, None
        for method in cheap if needs == "method" else MAPS:
            heat = heats[method]
            if needs == "mask":
                found = metric(heat, mask)
            elif needs == "map":
                found = metric(model, clip, heat, y)
            else:
                found = metric(model, clip, y, vx.ATTRIBUTIONS[method]())
            values[method], chance = found.value, found.chance
        figure, ax = plt.subplots(figsize=(5.6, 2.1))
        colours = ["#999999" if method in ("motion_energy", "random") else "#0b57a4" for method in values]
        ax.barh(list(values), list(values.values()), color=colours)
        ax.invert_yaxis()
        if chance is not None:
            ax.axvline(chance, color="#b5651d", linestyle="--", linewidth=1, label="chance")
            ax.legend(fontsize=7)
        ax.tick_params(labelsize=8)
        ax.set_xlabel(
            {True: "higher is better", False: "lower is better", None: ""}[metric.higher_is_better], fontsize=8
        )
        figure.savefig(IMAGES / "metrics" / f"{name}.png", dpi=100, bbox_inches="tight")
        plt.close(figure)
        print(name, {method: round(value, 2) for method, value in values.items()})


def concepts_of(label: str, folder: Path) -> vx.ConceptRun:
    """A small concept run of the included network, evaluated."""
    from voxplain.cli.demo import demo_settings

    vx.write_planted(folder / "data", train=12, test=8, unrelated=20, seed=2)
    model = vx.load_model("planted")
    run = vx.explain_concepts(
        model,
        folder / "data" / "train" / label,
        random=folder / "data" / "unrelated",
        target=label,
        settings=demo_settings(),
        store=folder / "store",
    )
    return vx.evaluate_concepts(run, folder / "data" / "test" / label)


def spotlight(clip: vx.Clip, mask: np.ndarray) -> np.ndarray:
    """Frames with all but a mask darkened."""
    return np.where(mask[..., None], clip.frames, clip.frames // 4).astype(np.uint8)


def draw_moving_and_gallery() -> None:
    """The README's GIF and the figures of the gallery, from one run a class."""
    from voxplain.datasets.planted import read_planted
    from voxplain.report.figures import figure_file

    (IMAGES / "gallery").mkdir(parents=True, exist_ok=True)
    model, columns = vx.load_model("planted"), []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for label in ("cross", "orbit"):
            run = concepts_of(label, folder)
            for kind in ("concepts", "curves", "removing", "map"):
                picture = Image.open(_file(figure_file(run, kind, ".png"))).convert("RGB")
                picture.thumbnail((1400, 1400))
                picture.save(IMAGES / "gallery" / f"{label}-{kind}.webp", "WEBP", quality=80, method=6)
            planted, clip = read_planted(folder / "data"), run.clips[0]
            objects = planted.scene(clip.source).objects
            target = next(thing.name for thing in objects if thing.role == "target")
            shown = run.supervoxels[0].masks(np.flatnonzero(np.isin(run.assigned[0], run.first)))
            heat = vx.LRP(rule="gamma")(model, clip, label)
            columns.append(
                (
                    label,
                    [
                        clip.frames,
                        spotlight(clip, planted.masks(clip.source)[target]),
                        heat.overlay(),
                        spotlight(clip, shown),
                    ],
                )
            )
    write_gif(columns, IMAGES / "moving.gif")


def _file(data: bytes) -> "object":
    import io

    return io.BytesIO(data)


def write_gif(rows: list[tuple[str, list[np.ndarray]]], path: Path, *, factor: int = 3) -> None:
    """One row a class, one column a kind of picture, with headings; plays forwards and back."""
    heads = ("the clip", "truth: decides the class", "where it looked (LRP-γ)", "concept on top")
    side, left, top, gap = rows[0][1][0].shape[1] * factor, 64, 24, 6
    font = ImageFont.truetype(_font(), 15)
    moments = len(rows[0][1][0])
    pictures = []
    for t in [*range(moments), *range(moments - 2, 0, -1)]:
        sheet = Image.new("RGB", (left + len(heads) * (side + gap), top + len(rows) * (side + gap)), "white")
        pen = ImageDraw.Draw(sheet)
        for i, head in enumerate(heads):
            pen.text((left + i * (side + gap) + side // 2, 4), head, "black", font, anchor="ma")
        for j, (label, columns) in enumerate(rows):
            y = top + j * (side + gap)
            pen.text((4, y + side // 2), label, "black", font, anchor="lm")
            for i, frames in enumerate(columns):
                sheet.paste(Image.fromarray(enlarged(frames[t], factor)), (left + i * (side + gap), y))
        pictures.append(sheet)
    palette = pictures[0].quantize(128, dither=Image.Dither.NONE)
    small = [picture.quantize(128, palette=palette, dither=Image.Dither.NONE) for picture in pictures]
    small[0].save(path, save_all=True, append_images=small[1:], duration=110, loop=0, optimize=True)
    print(path, path.stat().st_size)


def _font() -> str:
    from matplotlib import font_manager

    return font_manager.findfont("DejaVu Sans")


PARTS = {"moving": draw_moving_and_gallery, "methods": draw_methods, "metrics": draw_metrics}

if __name__ == "__main__":
    for part in sys.argv[1:] or list(PARTS):
        if part.startswith("methods:"):
            draw_methods(tuple(part.removeprefix("methods:").split(",")))
        else:
            PARTS[part]()
