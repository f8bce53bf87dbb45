# %% [markdown]
# # A video transformer of Hugging Face
#
# **Which methods explain a video transformer, and do they find what it uses?**
#
# A checkpoint of `transformers` is loaded with one line, with its labels and its input. Here it is a tiny VideoMAE
# that is trained in place on planted clips, so that nothing is downloaded and the truth is known: the class *cross*
# always comes with a checkerboard patch, and the network may learn that instead of the cross.

# %%
import numpy as np
import torch
import transformers
from matplotlib import pyplot as plt

import voxplain as vx
from voxplain.datasets.planted import draw_scene, masks, render, without_defect

transformers.logging.set_verbosity_error()
design = vx.PlantedDesign(
    appearance=("cross",),
    motions=(),
    distractors=("disk",),
    frames=8,
    size=32,
    shortcut="cross",
    shortcut_rate=1.0,
    shortcut_kind="patch",
)
scenes = [draw_scene(design, label, seed) for seed in range(150) for label in design.classes]
labels = torch.tensor([design.classes.index(scene.label) for scene in scenes])
frames = np.stack([render(scene, codec=False) for scene in scenes])
print(design.classes, frames.shape)

# %% [markdown]
# ## A checkpoint
#
# Its folder holds what `save_pretrained` writes, network and processor, as a folder of your own would.

# %%
torch.manual_seed(0)
config = transformers.VideoMAEConfig(
    image_size=32,
    patch_size=8,
    num_frames=8,
    hidden_size=48,
    intermediate_size=96,
    num_hidden_layers=3,
    num_attention_heads=4,
    id2label=dict(enumerate(design.classes)),
    label2id={name: i for i, name in enumerate(design.classes)},
)
net = transformers.VideoMAEForVideoClassification(config)
x = torch.from_numpy(frames).permute(0, 1, 4, 2, 3).float() / 255
x = (x - torch.tensor([0.485, 0.456, 0.406]).view(3, 1, 1)) / torch.tensor([0.229, 0.224, 0.225]).view(3, 1, 1)
steps = torch.optim.AdamW(net.parameters(), lr=1e-3)
for _epoch in range(12):
    for batch in torch.randperm(len(x)).split(20):
        loss = torch.nn.functional.cross_entropy(net(x[batch]).logits, labels[batch])
        steps.zero_grad()
        loss.backward()
        steps.step()
net.save_pretrained("my-checkpoint")
size = {"size": {"shortest_edge": 32}, "crop_size": {"height": 32, "width": 32}}
transformers.VideoMAEImageProcessor(**size).save_pretrained("my-checkpoint")

# %% [markdown]
# ## Loaded
#
# Layout, size, normalisation and class names come from the checkpoint.

# %%
model = vx.load_model("hf:my-checkpoint")
print(model.classes, model.grid, model.layout)
held_out = [draw_scene(design, label, seed) for seed in range(1000, 1030) for label in design.classes]
right = [design.classes[int(model(render(scene, codec=False)).argmax())] == scene.label for scene in held_out]
print(f"{100 * np.mean(right):.0f} % of {len(right)} held-out clips are right")

# %% [markdown]
# ## What it uses: the truth
#
# The same held-out clips of *cross*, drawn without the patch.

# %%
with torch.no_grad():
    crosses = [scene for scene in held_out if scene.label == "cross"]
    target = design.classes.index("cross")
    as_drawn = [int(model(render(s, codec=False)).argmax()) == target for s in crosses]
    no_patch = [int(model(render(without_defect(design, s), codec=False)).argmax()) == target for s in crosses]
print(f"recognised as cross: {100 * np.mean(as_drawn):.0f} %, without the patch {100 * np.mean(no_patch):.0f} %")

# %% [markdown]
# ## The maps
#
# Methods that need attention, relevance through attention, gradients, or scores alone. For each: the share of its
# positive values inside the patch, over ten clips.

# %%
methods = {
    "attention rollout": vx.AttentionRollout(),
    "gradient × attention": vx.GradientWeightedAttention(),
    "LRP-ε": vx.LRP(rule="epsilon"),
    "integrated gradients": vx.IntegratedGradients(),
    "Grad-CAM": vx.GradCAM(),
    "occlusion": vx.Occlusion(window=(0.5, 0.25, 0.25), stride=(0.25, 0.125, 0.125)),
}
shown, inside = {}, {name: [] for name in methods}
patch = next(thing.name for thing in crosses[0].objects if thing.role == "shortcut")
for scene in crosses[:10]:
    clip = vx.Clip.from_array(render(scene, codec=False), source=f"seed {scene.seed}")
    for name, method in methods.items():
        heat = method(model, clip, "cross")
        shown.setdefault(name, heat)
        inside[name].append(vx.EnergyInside()(heat, masks(scene)[patch]).value)
chance = np.mean([masks(scene)[patch].mean() for scene in crosses[:10]])
for name, shares in inside.items():
    print(f"{name:22s} {np.mean(shares) / chance:5.1f} times chance inside the patch")

# %% [markdown]
# ## The picture

# %%
t = 4
figure, axes = plt.subplots(1, len(shown) + 1, figsize=(13, 2.4))
axes[0].imshow(render(crosses[0], codec=False)[t])
axes[0].set_title("clip", fontsize=9)
for ax, (name, heat) in zip(axes[1:], shown.items(), strict=True):
    ax.imshow(heat.overlay()[t])
    ax.set_title(name, fontsize=9)
for ax in axes:
    ax.axis("off")

# %% [markdown]
# Other checkpoints, and what was tried of five libraries: [networks of other libraries](../networks.md). A concept
# explanation of a checkpoint is [in get started](../get_started.md#a-hugging-face-folder).
