"""The pictures of the pages, from planted clips: ``python docs/site/pictures.py methods moving metrics gallery``.

``methods`` and ``metrics`` (some: ``methods:NAME,NAME``) are those of the reference, with ``docs/site/costs.json``;
``moving`` is the README's, from those of methods; ``gallery`` those of docs/gallery.md. All are written to docs/img and
committed, since they take minutes.
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

ROOT = Path(__file__).parents[2]
IMAGES, COSTS = ROOT / "docs" / "img", Path(__file__).parent / "costs.json"
LABEL, SEED = "ring", 40  # of the clip that all methods explain
MOMENTS = (2, 6, 10, 14)  # frames of it that are shown
GAP = 4  # white pixels between them
# Methods in the README's picture, with their headings.
SHOWN = {
    "supervoxel_occlusion": "supervoxel occlusion",
    "integrated_gradients": "integrated gradients",
    "grad_cam": "Grad-CAM",
}
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
    "igos": {"iterations": 8},
    "igos_plus_plus": {"iterations": 8},
    "rate_distortion": {"iterations": 15},
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


def row(frames: np.ndarray, moments: tuple[int, ...], *, factor: int = 2, gap: int = GAP) -> np.ndarray:
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
    from voxplain.model.cost import counted

    model, clip, _ = the_clip()
    save_webp(row(clip.frames, MOMENTS), IMAGES / "methods" / "clip.webp")
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
        save_webp(row(heat.overlay(), MOMENTS), IMAGES / "methods" / f"{name}.webp")
        print(name, costs[name])


def draw_metrics(names: tuple[str, ...] = ()) -> None:
    """A bar a map for every metric that one clip is enough for; for some metrics, or all."""
    from matplotlib import pyplot as plt

    model, clip, mask = the_clip()
    y = model.classes.index(LABEL)
    heats = {name: vx.ATTRIBUTIONS[name]()(model, clip, LABEL) for name in MAPS}
    small = {
        "parameter_randomisation": {"maps": 3},
        "smooth_randomisation": {"maps": 2, "draws": 4},
        "sensitivity": {"draws": 3},
    }
    (IMAGES / "metrics").mkdir(parents=True, exist_ok=True)
    cheap = tuple(name for name in MAPS if name != "supervoxel_occlusion")  # for metrics that call the method again
    for name in names or tuple(vx.METRICS):
        metric = replace(vx.METRICS[name](), **small.get(name, {}))  # type: ignore[type-var]
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


def draw_gallery() -> None:
    """The figures of concepts in the gallery, from one run a class."""
    from io import BytesIO

    from voxplain.report.figures import figure_file

    (IMAGES / "gallery").mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as name:
        for label in ("cross", "orbit"):
            run = concepts_of(label, Path(name))
            for kind in ("concepts", "curves", "removing", "map"):
                picture = Image.open(BytesIO(figure_file(run, kind, ".png"))).convert("RGB")
                picture.thumbnail((1400, 1400))
                picture.save(IMAGES / "gallery" / f"{label}-{kind}.webp", "WEBP", quality=80, method=6)


def strip(name: str) -> np.ndarray:
    """The frames in a picture of a method, uint8 [T,H,W,3]."""
    picture = np.asarray(Image.open(IMAGES / "methods" / f"{name}.webp").convert("RGB"))
    side = picture.shape[0]
    return np.stack([picture[:, x : x + side] for x in range(0, picture.shape[1], side + GAP)])


def draw_moving() -> None:
    """The README's GIF, from the pictures of methods: the clip, the truth, and maps, moment by moment."""
    scene = draw_scene(PlantedDesign(), LABEL, SEED)
    target = next(thing.name for thing in scene.objects if thing.role == "target")
    frames = render(scene, codec=False)[list(MOMENTS)]
    true = np.where(masks(scene)[target][list(MOMENTS)][..., None], frames, frames // 4).astype(np.uint8)
    columns = {"the clip": enlarged(frames, 2), "truth: this decides": enlarged(true, 2)}
    columns |= {heading: strip(name) for name, heading in SHOWN.items()}
    write_gif(columns, IMAGES / "moving.gif")


def write_gif(columns: dict[str, np.ndarray], path: Path, *, gap: int = 6) -> None:
    """Films side by side under their headings, as a GIF that repeats."""
    side, top = next(iter(columns.values())).shape[1], 22
    font = ImageFont.truetype(_font(), 12)
    pictures = []
    for t in range(len(next(iter(columns.values())))):
        sheet = Image.new("RGB", (len(columns) * (side + gap) - gap, top + side), "white")
        pen = ImageDraw.Draw(sheet)
        for i, (heading, frames) in enumerate(columns.items()):
            pen.text((i * (side + gap) + side // 2, 4), heading, "black", font, anchor="ma")
            sheet.paste(Image.fromarray(frames[t]), (i * (side + gap), top))
        pictures.append(sheet.quantize(200, dither=Image.Dither.NONE))
    pictures[0].save(path, save_all=True, append_images=pictures[1:], duration=500, loop=0, optimize=True)


def _font() -> str:
    from matplotlib import font_manager

    return font_manager.findfont("DejaVu Sans")


PARTS = {"methods": draw_methods, "moving": draw_moving, "metrics": draw_metrics, "gallery": draw_gallery}

if __name__ == "__main__":
    for part in sys.argv[1:] or list(PARTS):
        kind, _, some = part.partition(":")
        if some:
            {"methods": draw_methods, "metrics": draw_metrics}[kind](tuple(some.split(",")))
        else:
            PARTS[kind]()
