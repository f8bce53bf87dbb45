# %% [markdown]
# # Concepts of a class, and their proof
#
# **What makes the network say “orbit”, and how sure is that?**
#
# A concept explanation names the parts of a class's clips that the network relies on, measures how much, and tests
# the answer twice: against random regions of the same volume, and on held-out clips.

# %%
import numpy as np
from matplotlib import pyplot as plt

import voxplain as vx
from voxplain.concepts.evaluate import AddRemove

vx.write_planted("data", train=12, test=8, unrelated=20, seed=7)
model = vx.load_model("planted")

# %% [markdown]
# ## Find
#
# `data/train/orbit` are clips of the class, `data/unrelated` any other videos. The settings are smaller than the
# defaults, which take twice as many clips.

# %%
settings = vx.ConceptSettings(
    videos=12, unrelated_videos=20, unrelated_crops=15, evaluation=AddRemove(steps=4, draws=20, matched=3)
)
run = vx.explain_concepts(
    model, "data/train/orbit", random="data/unrelated", target="orbit", settings=settings, store="store"
)
print(run.recognition.sentence("orbit"))
print(run.sentence())

# %% [markdown]
# `run.table()` has a row for each concept. *Score* is the drop of the class's log-odds when the concept is hidden;
# *above chance* is what remains of it above random regions of the same volume, with its interval; *q* is corrected
# for all concepts.

# %%
print(run.table())

# %% [markdown]
# ## Test on held-out clips
#
# In clips that played no part so far, concepts are added to a blank clip and removed from the whole one: in the order
# of the ranking, in reverse, in random orders, and with random regions of the same volume.

# %%
run = vx.evaluate_concepts(run, "data/test/orbit")
for test in run.evaluation.order_tests:
    if test.measure == "accuracy":
        points = f"{100 * test.difference:5.1f} points [{100 * test.low:.1f}, {100 * test.high:.1f}]"
        print(f"{test.kind:8s} top − {test.other:22s} {points}, p = {test.p_value:.3f}")

# %% [markdown]
# ## Read the warnings
#
# What limits the answer is part of the run.

# %%
for warning in run.warnings:
    print(f"{warning.code}: {warning}")

# %% [markdown]
# ## The picture
#
# The concept on top in the clips that are nearest to its centre, one frame each, with the rest darkened. The page
# that `vx.write_report(run, "orbit.html")` writes shows all of this as looping clips.

# %%
vx.write_report(run, "orbit.html")
top = int(run.order[0])
figure, axes = plt.subplots(1, 6, figsize=(13, 2.4))
for place, ax in enumerate(axes):
    clip, mask = run.member(top, place)
    t = int(mask.sum((1, 2)).argmax())
    ax.imshow(np.where(mask[t, ..., None], clip.frames[t], clip.frames[t] // 4))
    ax.set_title(f"concept {top}, frame {t}", fontsize=9)
    ax.axis("off")

# %% [markdown]
# The words of the page are in the [glossary](../glossary.md), its parts in [the report](../report.md), and how often
# such answers are right where the truth is known in [results](../results.md#held-out-designs).
