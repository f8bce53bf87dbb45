# %% [markdown]
# # Compare attribution methods
#
# **Which attribution method should I trust for my network?**
#
# Methods disagree. A benchmark measures each on the same clips: is the map faithful (do predictions follow it), does
# it lie on the object where that is known, and does it depend on the network at all? Controls that never see the
# network show what a figure is worth.

# %%
import numpy as np
from matplotlib import pyplot as plt

import voxplain as vx
from voxplain.benchmark.comparison import compare, comparison_markdown
from voxplain.benchmark.paired_tests import paired, pairs_markdown
from voxplain.benchmark.run import BenchmarkClip, run_benchmark

planted = vx.write_planted("data", train=1, test=3, unrelated=1, seed=21)
model = vx.load_model("planted")
shapes = ("cross", "ring", "triangle")  # classes that an object decides
cases = []
for label in shapes:
    for clip in vx.read_clips(f"data/test/{label}", model.reader()).clips:
        scene = planted.scene(clip.source)
        name = next(thing.name for thing in scene.objects if thing.role == "target")
        cases.append(BenchmarkClip(clip, model.classes.index(label), mask=planted.masks(clip.source)[name]))
print(len(cases), "clips")

# %% [markdown]
# ## Measure
#
# Results are kept in a store: the same call goes on where it was stopped. `voxplain benchmark` does the same for all
# methods and metrics from the command line.

# %%
methods = {
    name: vx.ATTRIBUTIONS[name]()
    for name in (
        "supervoxel_occlusion",
        "lrp_gamma",
        "lrp_epsilon_plus_flat",
        "integrated_gradients",
        "gradient",
        "grad_cam",
        "motion_energy",
        "centre_prior",
        "random",
    )
}
metrics = {
    "insertion": vx.Insertion(steps=16),
    "deletion": vx.Deletion(steps=16),
    "energy_inside": vx.EnergyInside(),
    "rank_accuracy": vx.RankAccuracy(),
}
results = run_benchmark(model, cases, methods, metrics, store=vx.Store("store"))
found = compare(results, metrics)
print(comparison_markdown(found))

# %% [markdown]
# ## Is the difference more than chance?
#
# Two methods on the same clips, clip by clip, with p-values corrected for the comparisons that were asked for.

# %%
pairs = paired(results, {"rank_accuracy": metrics["rank_accuracy"]}, {"grad_cam": ["lrp_gamma", "gradient"]})
print(pairs_markdown(pairs))

# %% [markdown]
# ## The picture
#
# Faithfulness across, localisation up, a point a clip and the mean of each method.

# %%
figure, ax = plt.subplots(figsize=(8, 5))
for name in methods:
    own = [result.values for result in results if result.method == name]
    across = np.array([values["insertion"][0] for values in own])
    up = np.array([values["rank_accuracy"][0] for values in own])
    control = name in ("random", "centre_prior", "motion_energy")
    colour = "#999999" if control else None
    (line,) = ax.plot(across.mean(), up.mean(), "s" if control else "o", color=colour, markersize=9)
    ax.plot(across, up, ".", color=line.get_color(), alpha=0.35)
    ax.annotate(name, (across.mean(), up.mean()), xytext=(6, 5), textcoords="offset points", fontsize=9)
ax.set_xlabel("insertion AUC (higher: predictions follow the map)")
ax.set_ylabel("rank accuracy (higher: the map lies on the object)")
ax.grid(alpha=0.3)

# %% [markdown]
# Nine clips of one network settle little. [Attribution](../attribution.md) has all methods and metrics on planted
# and real videos, with the sanity checks that several popular methods do not pass.
