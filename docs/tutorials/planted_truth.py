# %% [markdown]
# # Planted truth in ten minutes
#
# **Does an explanation show what the network really uses?**
#
# For a real video nobody knows what a network relies on, so an explanation of it cannot be checked. A planted clip is
# drawn from a scene, and the scene can be drawn again without one of its objects. The difference between the two
# predictions is what the network owes to that object: a truth that explanations are compared with here.

# %%
import numpy as np
from matplotlib import pyplot as plt

import voxplain as vx
from voxplain.datasets.planted import render, without

planted = vx.write_planted("data", train=12, test=2, unrelated=20, seed=5)
model = vx.load_model("planted")  # a small network that comes with voxplain
clip = model.read("data/test/cross/0001.mp4")
print(model.predict(clip))

# %% [markdown]
# ## The truth: draw the clip again without each object
#
# The class *cross* is decided by the shape of one object. The others are distractors.

# %%
scene, cross = planted.scene(clip.source), model.classes.index("cross")


def log_odds(frames: np.ndarray) -> float:
    """Log-odds of the class cross."""
    return float(vx.OBJECTIVES["log_odds"](model(frames).detach(), cross)[0])


whole = log_odds(render(scene))
drops = {thing.name: whole - log_odds(render(without(scene, thing.name))) for thing in scene.objects}
for name, drop in drops.items():
    print(f"without {name:12s} the log-odds of cross fall by {drop:5.1f}")

# %% [markdown]
# ## One clip: does the map lie on that object?
#
# *Energy inside* is the share of a map's positive values inside the object. A map that is the same everywhere has the
# object's share of the voxels, which is the chance level.

# %%
decides = max(drops, key=drops.get)
mask = planted.masks(clip.source)[decides]
methods = {
    "supervoxel occlusion": vx.SupervoxelOcclusion(),
    "LRP-γ": vx.LRP(rule="gamma"),
    "Grad-CAM": vx.GradCAM(),
    "control: motion": vx.MotionEnergy(),
}
heats = {name: method(model, clip, "cross") for name, method in methods.items()}
for name, heat in heats.items():
    found = vx.EnergyInside()(heat, mask)
    print(f"{name:22s} {found.value:.2f} inside {decides}, chance {found.chance:.2f}")

# %% [markdown]
# ## The class: is the concept on top that object?
#
# Concepts are found in twelve clips without knowing the scenes. Hiding each in the clips gives its effect, and the
# voxels of the first one are compared with the object.

# %%
settings = vx.ConceptSettings(videos=12, unrelated_videos=20, unrelated_crops=15)
run = vx.explain_concepts(
    model, "data/train/cross", random="data/unrelated", target="cross", settings=settings, store="store"
)
print(run.sentence())

# %%
top, overlaps = run.first, []
for found, supervoxels, assigned in zip(run.clips, run.supervoxels, run.assigned, strict=True):
    shown = supervoxels.masks(np.flatnonzero(np.isin(assigned, top)))
    true = planted.masks(found.source)[decides]
    overlaps.append((shown & true).sum() / (shown | true).sum())
print(f"overlap (IoU) of concept {top} with {decides}: mean {np.mean(overlaps):.2f} over {len(overlaps)} clips")

# %% [markdown]
# ## The picture
#
# One frame: the clip, the object that decides, and the maps. In the last picture the first concept of a training clip
# is in colour.

# %%
t = 8
concept_clip = run.clips[0]
shown = run.supervoxels[0].masks(np.flatnonzero(np.isin(run.assigned[0], top)))
panels = {"clip": clip.frames[t], f"truth: {decides}": np.where(mask[t, ..., None], clip.frames[t], 40)}
panels |= {name: heat.overlay()[t] for name, heat in heats.items()}
panels["first concept"] = np.where(shown[t, ..., None], concept_clip.frames[t], concept_clip.frames[t] // 4)
figure, axes = plt.subplots(1, len(panels), figsize=(13, 2.4))
for ax, (name, picture) in zip(axes, panels.items(), strict=True):
    ax.imshow(picture)
    ax.set_title(name, fontsize=9)
    ax.axis("off")

# %% [markdown]
# Methods differ, and none is exact: the same comparison over all methods, more clips and networks that no default was
# chosen on is in [attribution](../attribution.md#on-planted-videos-where-the-truth-is-known) and
# [results](../results.md#held-out-designs).
