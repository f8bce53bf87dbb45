# %% [markdown]
# # A long video
#
# **Where in a long video does the network see the class?**
#
# A network takes a clip of 16 frames. A longer video is cut into overlapping windows, each is explained, and the maps
# are merged, so that one map covers all frames. Here the video is joined from planted clips, so the right moments are
# known: two clips of *ring* and one of *cross* among clips of the class *nothing*, which have distractors only.

# %%
import numpy as np
from matplotlib import pyplot as plt

import voxplain as vx
from voxplain.datasets.planted import draw_scene, render
from voxplain.video.encode import write_video

model, design = vx.load_model("planted"), vx.PlantedDesign()
order = ["nothing"] * 4 + ["ring"] + ["nothing"] * 3 + ["ring"] + ["nothing"] * 3 + ["cross"]
scenes = [draw_scene(design, label, seed) for seed, label in enumerate(order, start=100)]
frames = np.concatenate([render(scene, codec=False) for scene in scenes])
write_video("long.mp4", frames)
print(len(frames), "frames,", len(frames) // model.grid[0], "times the network's clip")

# %% [markdown]
# ## The probability over time
#
# What the network says to each window, without any explanation.

# %%
length, step = model.grid[0], 4
starts = range(0, len(frames) - length + 1, step)
windows = np.stack([frames[s : s + length] for s in starts])
ring = model.classes.index("ring")
probability = model(windows).softmax(1)[:, ring].detach().numpy()
print(f"largest probability of ring: {probability.max():.2f} at frame {starts[int(probability.argmax())]}")

# %% [markdown]
# ## One map over all frames
#
# By two methods, for *ring*, whatever each window would be called. `voxplain attribute long.mp4 --net planted
# --target ring` does the same, frame by frame and without holding the video in memory.

# %%
run = vx.explain_clip(model, "long.mp4", ["lrp_gamma", "grad_cam"], target="ring")
print(run, "in", run.windows, "windows")
true = np.repeat([label == "ring" for label in order], length)
for name in run:
    positive = np.maximum(np.asarray(run[name]), 0).sum((1, 2))
    print(
        f"{name:10s} {positive[true].sum() / positive.sum():.2f} of its positive values in the clips of ring, "
        f"which are {true.mean():.2f} of the frames"
    )

# %% [markdown]
# ## The picture
#
# Grey: the clips of *ring*. Below, the frame with the most evidence in each of six equal parts of the video.

# %%
figure = plt.figure(figsize=(13, 6))
top, bottom = figure.subfigures(2, 1, height_ratios=(1.2, 1))
ax = top.subplots()
ax.fill_between(range(len(true)), 0, true, color="#dddddd", step="mid", label="clips of ring")
centres = [s + length // 2 for s in starts]
ax.plot(centres, probability, color="black", label="probability of ring in the window")
for name, colour in (("lrp_gamma", "#0b57a4"), ("grad_cam", "#b5651d")):
    positive = np.maximum(np.asarray(run[name]), 0).sum((1, 2))
    ax.plot(positive / positive.max(), color=colour, label=f"{name}, sum over the frame")
ax.set_xlabel("frame")
ax.legend(fontsize=8, ncols=4, loc="upper left")
ax.set_ylim(0, 1.25)
heat = run["lrp_gamma"]
drawn = heat.overlay()
evidence = np.maximum(np.asarray(heat), 0).sum((1, 2))
for ax, part in zip(bottom.subplots(1, 6), np.array_split(np.arange(len(drawn)), 6), strict=True):
    t = int(part[evidence[part].argmax()])
    ax.imshow(drawn[t])
    ax.set_title(f"frame {t}", fontsize=9)
    ax.axis("off")

# %% [markdown]
# Each window is explained for the same class, so a map also has values where the class is not: read it together with
# the probability. Memory and time for hours of video: [time and scale](../performance.md).
