# %% [markdown]
# # Find and repair a shortcut
#
# **Is the network right for the wrong reason, and can that be corrected?**
#
# In the training videos of this tutorial 95 % of the clips of *crescent* have a caption in a corner, so that a
# network can learn the caption in place of the crescent. The accuracy on test videos of the same kind would not show
# it. Here the test videos are of another kind, so that it can be measured whether the repair helps.

# %%
from dataclasses import replace
from pathlib import Path

import numpy as np
from matplotlib import pyplot as plt

import voxplain as vx
from voxplain.cli.demo_improve import demo_design, shortcut_network
from voxplain.corrections.improve import suspected
from voxplain.datasets.planted import render, with_defect, without_defect

design = demo_design()  # four classes, 8 frames of 48 × 48
vx.write_planted("data", design=design, train=80, test=0, unrelated=20, seed=3)
# Test videos in which the caption goes with no class: half of the videos of every class have it.
planted = vx.write_planted(
    "test_data", design=replace(design, shortcut_rate=0.5), train=0, test=20, unrelated=0, seed=4
)
model = shortcut_network(Path("data"), Path("weights.safetensors"))  # trains `tiny` for 12 epochs

# %% [markdown]
# ## The truth: how much the caption does
#
# Planted scenes can be drawn with and without the caption.

# %%
scenes = [scene for path, scene in planted.scenes.items() if path.startswith("test/")]
target = design.classes.index("crescent")


def called_crescent(model: vx.VideoModel, change) -> float:
    """Share of the test clips that are called crescent after a change of their scenes."""
    frames = np.stack([render(change(design, scene), codec=False) for scene in scenes])
    return float((model(frames).argmax(1) == target).float().mean())


print(f"called crescent, no caption anywhere: {100 * called_crescent(model, without_defect):.0f} %")
print(f"called crescent, a caption everywhere: {100 * called_crescent(model, with_defect):.0f} %")
print(f"true share of crescent: {100 / len(design.classes):.0f} %")

# %% [markdown]
# ## Find it without the truth
#
# The concepts of the class. `suspected` names the significant ones that are at one place in all clips, as captions
# and logos are. In real videos, look at the page before you believe that.

# %%
settings = vx.ConceptSettings(videos=12, unrelated_videos=20, unrelated_crops=15)
run = vx.explain_concepts(
    model, "data/train/crescent", random="data/unrelated", target="crescent", settings=settings, store="store"
)
print(run.table())
remove = suspected(run)
print("at one place in all clips:", remove)

# %% [markdown]
# ## Repair
#
# A copy of the network is trained for a few epochs on pairs of clips with and without the concept. It is compared
# with further training alone, and with the correction of a random concept.

# %%
better = vx.improve(model, run, remove=remove, data="data/train", test="test_data/test", seeds=1)
print(better.table())
print(
    f"a caption everywhere: {100 * called_crescent(model, with_defect):.0f} % called crescent before, "
    f"{100 * called_crescent(better.model, with_defect):.0f} % after"
)

# %% [markdown]
# ## The picture
#
# The concept that was removed, and what a caption does to the network before and after.

# %%
figure, axes = plt.subplots(1, 5, figsize=(13, 2.6), width_ratios=(1, 1, 1, 1, 1.6), layout="constrained")
for place, ax in enumerate(axes[:4]):
    clip, mask = run.member(remove[0], place)
    t = int(mask.sum((1, 2)).argmax())
    ax.imshow(np.where(mask[t, ..., None], clip.frames[t], clip.frames[t] // 4))
    ax.set_title(f"concept {remove[0]}", fontsize=9)
    ax.axis("off")
for name, net, colour in (("before", model, "#b5651d"), ("after", better.model, "#0b57a4")):
    shares = [100 * called_crescent(net, change) for change in (without_defect, with_defect)]
    axes[4].plot(["no caption", "caption"], shares, "o-", color=colour, label=name)
axes[4].axhline(100 / len(design.classes), color="grey", linewidth=0.8, linestyle=":")
axes[4].set_ylabel("% called crescent")
axes[4].set_ylim(0, 100)
axes[4].legend()

# %% [markdown]
# One network, one seed and 80 test clips: an example, not a measurement. [Improving a
# network](../improve.md#known-truth) has the figures over networks and defects, with those that were not corrected,
# and [the longer walk](../tutorial_improve.md) reads the table line by line.
