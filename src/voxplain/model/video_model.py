"""`VideoModel`: any `torch.nn.Module` that classifies video, with its input and the layer it is explained at.

Letters: N clips, T×H×W the network's grid, K classes, D feature dimensions, z the logits [N,K], y the target.
Clips go in as uint8 frames; the model normalises them, orders the axes, and runs them in batches.
"""

import difflib
import os
from collections.abc import Callable, Iterator
from dataclasses import KW_ONLY, dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from voxplain.errors import ModelError
from voxplain.model.cost import uncounted
from voxplain.model.input_search import GRIDS, find_input, noise_input
from voxplain.model.inputs import ClipLike, ClipsLike, Frames, as_frames
from voxplain.model.layers import (
    Pool,
    clip_rows,
    evaluation_mode,
    find_layer,
    pool_features,
    pooled_gradient,
    record_output,
    start_gradient,
)
from voxplain.model.layouts import LAYOUTS, Layout, clip_count
from voxplain.model.objectives import OBJECTIVES, Objective
from voxplain.model.outputs import Output, Pathways, run_network
from voxplain.model.plain_network import plain_name, plain_network
from voxplain.model.prediction import Prediction
from voxplain.model.target import Narrowed, Target, narrow
from voxplain.model.tasks import ONE_OUTPUT, TASKS, Task, as_logits, find_task
from voxplain.model.token_pool import find_pool
from voxplain.model.tokens import Tokens, channel_axis, token_layout
from voxplain.video import Clip, ClipReader, FrameGeometry, Geometry, Middle, OwnGeometry, Sampler

__all__ = ["ModelOutput", "VideoModel", "as_model", "move"]

CLIPS_ON_CPU = 4  # R3D-18 at 112 pixels, clips/s on two cores by 1 to 16 in a pass: 11.9, 11.3, 12.3, 10.5, 10.3
FIND: Any = None  # default of a field that is found out when it is not given; never the value of one


@dataclass(frozen=True)
class ModelOutput:
    """What one pass over N clips gives.

    Parameters
    ----------
    logits : float32 [N,K]
    features : float32 [N,D]
        Output of the model's layer, averaged over positions with `VideoModel.pool`, flattened without.
    """

    logits: Tensor
    features: Tensor


@dataclass(frozen=True, eq=False)
class VideoModel:
    """A video classifier, how it is called, and the layer it is explained at; the network is left as it was found.

    Only the network is needed. Where ``layer`` or ``grid`` is left out, the network is run on one clip of noise in
    all layouts and on the sizes of `input_search.GRIDS` until it gives logits; the layer is then the last vector or
    map before its head, or "" where there is none: attribution needs no layer, concepts do. What is given is kept.
    Mean and standard deviation cannot be found out: give those that the network was trained with.

    Parameters
    ----------
    net : nn.Module
        Gives scores [N,K], alone, in a tuple, list or dict, or in an attribute.
    layer : str, optional
        Dotted name of the layer whose output is the feature.
    mean, std : 3 floats
        Of RGB in 0 to 1; the input is (frames / 255 − mean) / std.
    layout : {"BCTHW", "BTCHW", "TBCHW", "BTHWC"}, optional
        Axes of the network's input; BCTHW where layer and grid are given.
    grid : (T, H, W), optional
        Size of the network's input: frames, pixels high, pixels wide.
    classes : tuple of str
        Names in the order of the logits; empty for none.
    pool : bool or {"class_token", "last"}
        Average the layer's map over its positions, or its tokens without the class token; False flattens it;
        "class_token" takes the first token, "last" the last step. Where the layer is found and only one of its
        positions reaches the logits, that one is taken.
    channel_axis : int, optional
        Of the layer's output; by default 2 for tokens [N,S,D], and for maps 1, or the last where the layer works on
        the last.
    tokens : Tokens, optional
        Positions of a transformer's tokens; by default inferred from the network and its input.
    stride : int
        Frames of a video from one frame of the input to the next.
    geometry : Geometry, ShortSide, LongSide or callable, optional
        Resize and crop of videos; by default to 128/112·H × 171/112·W, then the centre H×W. A callable takes the frames
        of a video, uint8 [T,H,W,3], and returns them in the size of the grid.
    sampler : Sampler, optional
        Frames of a video that the network is given: `Middle`, `Uniform`, `Dense` (several clips, whose scores are
        averaged) or a callable, T frames each. By default the middle T frames, ``stride`` apart, and for attribution
        windows over the whole video.
    channels_last : bool
        Memory order of the input: faster, but a network that uses ``.view`` raises an error.
    batch_size : int
        Clips that go through the network at once; bounds memory. On a processor at most 4 go through it, whatever
        larger number is given, so that the result is the same to the last bit; see `pass_size`.
    name : str
        For reports.
    task : {"classification", "multilabel", "binary", "regression"}, optional
        What the scores mean, see `voxplain.model.tasks`. Left out, the network is run on one clip of noise when it is
        first used: a sigmoid at the end makes labels or a binary decision, and other outputs are classes. With one
        output and no sigmoid the task must be given.
    probabilities : bool, optional
        The outputs are probabilities already: their logits are explained. Left out, it is found out as the task is.
    output : str, int or callable, optional
        Which tensor of the network's output holds the scores [N,K]: its key, attribute or index, or a function of the
        output. Needed where there are several and ``classes`` do not single one out.
    pathways : callable, optional
        From the normalised clips, one tensor, to what the network takes: a list of tensors (SlowFast), a tuple of
        arguments, or a dict of arguments by name. It is part of the graph, so maps are on the clip's own grid.
    frames_in_batch : bool
        The network takes frames [N·T,3,H,W], as TSM and networks for pictures do; outputs of frames are averaged.
    units : str
        Unit of the outputs of a regression, for texts.
    narrowed : Narrowed, optional
        The one score that `narrow` chose; not to be given by hand.

    Raises
    ------
    ModelError
        An unknown layer, a field out of range, or a network that runs on no candidate. Methods raise it on clips of
        another size or type, and on outputs that are not finite logits.

    Examples
    --------
    >>> net = nn.Sequential(nn.Conv3d(3, 4, 3), nn.AdaptiveAvgPool3d(1), nn.Flatten(), nn.Linear(4, 2))
    >>> model = VideoModel(net, classes=("sit", "walk"))
    >>> model
    VideoModel(net, layer='1', grid=(16, 112, 112), layout='BCTHW', classes=2)
    >>> model(np.zeros((16, 112, 112, 3), np.uint8)).shape
    torch.Size([1, 2])
    """

    net: nn.Module
    _: KW_ONLY
    layer: str = FIND
    mean: tuple[float, float, float] = (0.5, 0.5, 0.5)
    std: tuple[float, float, float] = (0.25, 0.25, 0.25)
    layout: Layout = FIND
    grid: tuple[int, int, int] = FIND
    classes: tuple[str, ...] = ()
    pool: Pool = True
    channel_axis: int | None = None
    tokens: Tokens | None = None
    stride: int = 1
    geometry: FrameGeometry | Callable[[np.ndarray], np.ndarray] | None = None
    sampler: Sampler | None = None
    channels_last: bool = False
    batch_size: int = 16
    name: str = "net"
    task: Task | None = None
    probabilities: bool | None = None
    output: Output | None = None
    pathways: Pathways | None = None
    frames_in_batch: bool = FIND
    units: str = ""
    narrowed: Narrowed | None = None

    def __post_init__(self) -> None:
        """Find what was not given, and check the fields once, before any work is done."""
        object.__setattr__(self, "net", plain_network(self.net))
        if self.layout not in (FIND, *LAYOUTS):
            raise ModelError(f"expected layout {', '.join(LAYOUTS)}, got {self.layout!r}; choose one of them")
        if self.task not in (None, *TASKS):
            raise ModelError(f"expected a task among {', '.join(TASKS)}, got {self.task!r}; choose one")
        if self.layer not in (FIND, ""):
            self._set(layer=plain_name(self.layer))
            find_layer(self.net, self.layer)
        if self.layer is FIND or self.grid is FIND:
            chosen = self.layer is FIND
            self._find()
            if chosen and self.layer and self.pool is True:
                object.__setattr__(self, "pool", find_pool(self))
        elif self.layout is FIND:
            self._set(layout="BTCHW" if self.frames_in_batch else "BCTHW")
        if self.frames_in_batch is FIND:
            self._set(frames_in_batch=False)
        if self.task == "regression" and self.probabilities is None:
            self._set(probabilities=False)
        if self.pool not in (True, False, "class_token", "last"):
            raise ModelError(f"expected pool as True, False, 'class_token' or 'last', got {self.pool!r}; choose one")
        if len(self.grid) != 3 or min(self.grid) < 1 or min(self.batch_size, self.stride) < 1:
            raise ModelError(
                f"expected grid (T, H, W), batch_size and stride of 1 or more, got {self.grid}, "
                f"{self.batch_size} and {self.stride}; give positive whole numbers"
            )
        if len(self.mean) != 3 or len(self.std) != 3 or min(self.std) <= 0:
            raise ModelError(
                f"expected mean and std of the three colours, std above 0, got {self.mean} and {self.std}; "
                "give them for RGB in 0–1"
            )
        if self.geometry is not None and not hasattr(self.geometry, "crop"):
            self._set(geometry=OwnGeometry(self.geometry, (self.grid[1], self.grid[2])))
        crop = getattr(self.geometry, "crop", self.grid[1:])
        if tuple(crop) != tuple(self.grid[1:]):
            raise ModelError(
                f"expected a geometry that gives the grid's {self.grid[1:]}, got {crop}; set one to the other"
            )
        if self.sampler is not None and (frames := self.sampler(10_000).shape[1]) != self.grid[0]:
            raise ModelError(
                f"expected a sampler of the grid's {self.grid[0]} frames, got one of {frames}; set one to the other"
            )

    def _find(self) -> None:
        """Set layer, layout and grid where they were not given."""
        if self.grid is not FIND:
            grids: tuple[tuple[int, int, int], ...] = (self.grid,)
        elif (crop := getattr(self.geometry, "crop", None)) is not None:
            height, width = crop
            grids = tuple((frames, height, width) for frames in dict.fromkeys(t for t, _, _ in GRIDS))
        else:
            grids = GRIDS
        found = find_input(
            self.net,
            layer=self.layer,
            layout=self.layout,
            grids=grids,
            classes=self._picked_from,
            output=self.output,
            pathways=self.pathways,
            frames_in_batch=self.frames_in_batch,
        )
        self._set(layer=found.layer, layout=found.layout, grid=found.grid, frames_in_batch=found.frames_in_batch)

    def _set(self, **values: Any) -> None:
        for name, value in values.items():
            object.__setattr__(self, name, value)

    @property
    def _picked_from(self) -> int | None:
        """K of the network's own scores, where it is known."""
        return self.narrowed.count if self.narrowed is not None else len(self.classes) or None

    def settled(self) -> "VideoModel":
        """The model itself, once its task is known and whether its outputs are probabilities.

        What was not given is found by one pass of a clip of noise. The task stays None where several outputs are
        taken as logits of exclusive classes because nothing says otherwise.

        Raises
        ------
        ModelError
            A network with one output that is no probability, whose task must be given, or a task that does not fit.
        """
        if self.probabilities is None:
            with evaluation_mode(self.net), uncounted():
                found = find_task(self.raw, noise_input(self))
            if self.task is None and found.task is None and found.outputs == 1:
                raise ModelError(ONE_OUTPUT)
            self._set(task=self.task or found.task, probabilities=found.probabilities)
        return self

    @property
    def exclusive(self) -> bool:
        """Whether the outputs are classes of which one holds, known or assumed."""
        return self.settled().task in (None, "classification")

    @property
    def assumed(self) -> bool:
        """Whether the outputs are taken as logits of exclusive classes without anything that says so."""
        return self.task is None and self.settled().task is None

    @property
    def meaning(self) -> str:
        """What the outputs are taken as: the task, and whether they are logits or probabilities; for a record."""
        values = "" if self.task == "regression" else f", {'probabilities' if self.probabilities else 'logits'}"
        return f"{self.task or 'classification (assumed)'}{values}"

    def narrow(self, target: Target) -> "VideoModel":
        """The model with one score of each clip as its only question: that of a target.

        Its logits are (s, 0), s the score, so that the softmax is the probability for and against; for a regression
        and for functions they are s alone.

        Parameters
        ----------
        target : str, int, Difference or callable
            A label, "not" and a label, "rise of" or "fall of" a quantity, "X vs Y", or a function of the network's
            output that gives one score a clip.

        Returns
        -------
        VideoModel
            Itself where the target is one of several classes.

        Raises
        ------
        ModelError
            A target that the model does not have.

        Examples
        --------
        >>> import voxplain as vx
        >>> vx.load_model("planted").narrow("cross vs orbit").classes
        ('cross vs orbit', 'orbit vs cross')
        """
        return narrow(self, target)[0]

    def widened(self) -> "VideoModel":
        """The model with all scores of its network again, without their names."""
        if self.narrowed is None:
            return self
        return replace(self, narrowed=None, classes=tuple(map(str, range(self.narrowed.count or 0))))

    def __repr__(self) -> str:
        """Name, layer and input; task and target where they are not classes."""
        other = "" if self.task in (None, "classification") else f", task={self.task!r}"
        one = f", narrowed={self.narrowed.name!r}" if self.narrowed is not None else ""
        return (
            f"VideoModel({self.name}, layer={self.layer!r}, grid={self.grid}, layout={self.layout!r}, "
            f"classes={len(self.classes)}{other}{one})"
        )

    def __call__(self, clips: ClipsLike) -> Tensor:
        """Logits of clips.

        Parameters
        ----------
        clips : Clip, uint8 frames [T,H,W,3] or [N,T,H,W,3], or a sequence of clips

        Returns
        -------
        float32 tensor [N,K]
            On the network's device.

        Raises
        ------
        ModelError
            Float tensors, whose normalisation would be applied twice, and frames of another size than ``grid``.

        Examples
        --------
        >>> import voxplain as vx
        >>> model = vx.load_model("planted")
        >>> model(np.zeros((2, *model.grid, 3), np.uint8)).shape
        torch.Size([2, 7])
        """
        return self.logits(clips)

    def predict(self, clip: ClipLike | str | os.PathLike[str]) -> Prediction:
        """Classes of one clip, or of a video, and their probabilities, best first.

        Parameters
        ----------
        clip : Clip, uint8 frames [T,H,W,3], or path of a video
            Of a video the logits are the mean over the clips of the model's sampler.

        Returns
        -------
        Prediction
            Printed as a table.

        Raises
        ------
        ModelError
            More than one clip, or a clip that the model cannot take.

        Examples
        --------
        >>> import voxplain as vx
        >>> model = vx.load_model("planted")
        >>> len(model.predict(np.zeros((*model.grid, 3), np.uint8)))
        7
        """
        if isinstance(clip, str | os.PathLike):
            frames: Frames = as_frames(self.reader().windows(clip), grid=self.grid)
        else:
            frames = as_frames(clip, grid=self.grid)
            if len(frames) != 1:
                raise ModelError(
                    f"expected one clip, got {len(frames)}; call predict for each, or the model for logits"
                )
        settled = self.settled()
        task = "classification" if self.narrowed and settled.task != "regression" else settled.task
        return Prediction.from_logits(self.logits(frames).mean(0), self.classes, task=task, units=self.units)

    def read(self, path: str | os.PathLike[str], *, sampler: Sampler | None = None) -> Clip:
        """The clip of a video that the model classifies: its reader's frames, resized and cropped to the grid.

        Parameters
        ----------
        path : str or path
            Video file, folder of pictures or `.npy` array.
        sampler : Sampler, optional
            Which frames; by default the model's.

        Returns
        -------
        Clip

        Raises
        ------
        VideoError
            A video that cannot be read.
        """
        return self.reader(sampler)(path)

    def to(self, device: str | torch.device) -> "VideoModel":
        """Move the network to a device, as `torch.nn.Module.to` does, and return the model itself.

        Raises
        ------
        ModelError
            A device that this machine does not have.

        Examples
        --------
        >>> import voxplain as vx
        >>> vx.load_model("planted").to("cpu").device
        device(type='cpu')
        """
        move(self.net, device)
        return self

    @property
    def device(self) -> torch.device:
        """Where the network's weights are."""
        return next((p.device for p in self.net.parameters()), torch.device("cpu"))

    @property
    def pass_size(self) -> int:
        """Clips in one pass of the network: ``batch_size``, on a processor 4 at most.

        Products of matrices with another number of rows can differ in the last bit, and what is sorted, clustered or
        drawn by them then differs visibly. Passes of 4 clips are the fastest on a processor or nearly so.
        """
        return min(self.batch_size, CLIPS_ON_CPU) if self.device.type == "cpu" else self.batch_size

    @property
    def mean_colour(self) -> np.ndarray:
        """The colour that normalisation maps to zero, uint8 [3]."""
        return np.clip(np.rint(np.asarray(self.mean) * 255), 0, 255).astype(np.uint8)

    @property
    def dtype(self) -> torch.dtype:
        """The number type of the network's weights; its input is given in it."""
        return next((p.dtype for p in self.net.parameters() if p.is_floating_point()), torch.float32)

    def reader(self, sampler: Sampler | None = None) -> ClipReader:
        """The reader of videos for this model: frames of ``sampler`` or of the model's, resized and cropped."""
        t, h, w = self.grid
        geometry: Any = self.geometry or Geometry((round(h * 128 / 112), round(w * 171 / 112)), (h, w))
        return ClipReader(sampler or self.sampler or Middle(t, self.stride), geometry)

    def class_index(self, target: str | int) -> int:
        """The logit index of a class.

        Parameters
        ----------
        target : str or int
            Name or index.

        Returns
        -------
        int

        Raises
        ------
        ModelError
            A class that the network does not have; the message lists similar names.
        """
        if isinstance(target, int | np.integer):
            if target >= 0 and (not self.classes or target < len(self.classes)):
                return int(target)
            last = f"to {len(self.classes) - 1}" if self.classes else "on"
            raise ModelError(f"expected a class index from 0 {last}, got {target}; choose one")
        if target in self.classes:
            return self.classes.index(target)
        if not self.classes:
            raise ModelError(
                f"expected a class index, because the model has no class names, got {target!r}; "
                "give the index, or build the model with classes=(…)"
            )
        near = difflib.get_close_matches(target, self.classes, n=3, cutoff=0.4) or self.classes[:5]
        raise ModelError(f"expected a class of the network, got {target!r}; did you mean {', '.join(near)}?")

    def prepare(self, frames: Frames) -> Tensor:
        """The network's normalised input, in its layout and the number type of its weights.

        Parameters
        ----------
        frames : uint8 [N,T,H,W,3]

        Returns
        -------
        float tensor [N,3,T,H,W] or [N,T,3,H,W]
            On the network's device.
        """
        frames = as_frames(frames, grid=self.grid)
        if isinstance(frames, np.ndarray):
            # torch does not accept negative strides (mirrored clips) and warns of memory it may not write to.
            frames = torch.from_numpy(np.require(frames, requirements=["C", "W"]))
        frames, colours = frames.to(self.device), (self.mean, self.std)
        if self.channels_last and self.layout == "BCTHW":
            # The frames' own order is channels last already: no byte moves, and a row of colours meets a row of pixels.
            mean, std = (torch.tensor(v, device=self.device).repeat(frames.shape[3]) for v in colours)
            x = frames.contiguous().flatten(3).to(torch.float32).div_(255).sub_(mean).div_(std).to(self.dtype)
            return x.view(frames.shape).permute(0, 4, 1, 2, 3)
        # Channels before positions while the frames are still bytes: the arithmetic then runs along whole rows.
        order = tuple("BTHWC".index(axis) for axis in self.layout)
        sides = (3,) + (1,) * (4 - self.layout.index("C"))
        mean, std = (torch.tensor(v, device=self.device).view(sides) for v in colours)
        x = frames.permute(order).contiguous().to(torch.float32).div_(255)
        return x.sub_(mean).div_(std).to(self.dtype)

    def raw(self, x: Tensor) -> Tensor:
        """Scores of the network as it gives them, before any task and target.

        Parameters
        ----------
        x : float tensor
            What `prepare` returns.

        Returns
        -------
        tensor [N,K]

        Raises
        ------
        ModelError
            No tensor of scores, or several and none that is named.
        """
        z = run_network(
            self.net,
            x,
            layout=self.layout,
            output=self.output,
            classes=self._picked_from,
            pathways=self.pathways,
            frames_in_batch=self.frames_in_batch,
        )
        return z.flatten(2).mean(2) if z.ndim > 2 else z

    def forward(self, x: Tensor) -> Tensor:
        """Logits [N,K] of one prepared batch, inside whatever autograd and hooks the caller has set up.

        Every pass of the network goes through here: predictions, attribution methods, metrics and concepts.

        Parameters
        ----------
        x : float tensor
            What `prepare` returns.

        Returns
        -------
        tensor [N,K]
            In the number type of the network; one column (s, 0) or s for a model that was narrowed.

        Raises
        ------
        ModelError
            No tensor of scores, or several and none that is named.
        """
        z = self.raw(x)
        if z.ndim == 2 and z.shape[1] == 1 and self.task in (None, "classification") and self.narrowed is None:
            raise ModelError(ONE_OUTPUT)
        if self.task == "binary" and z.ndim == 2 and z.shape[1] != 1:
            raise ModelError(
                f"expected one output a clip of a binary network, got {tuple(z.shape)}; two exclusive classes are "
                "task='classification'"
            )
        z = as_logits(z, self.task, bool(self.probabilities))
        if self.narrowed is None:
            return z
        s = self.narrowed.of(z)
        return s if self.task == "regression" else torch.cat([s, torch.zeros_like(s)], 1)

    def _forward(self, x: Tensor, take: Callable[[Tensor], Tensor] = torch.clone) -> tuple[Tensor, Tensor]:
        """Logits [N,K] and ``take`` of the layer's output of one prepared batch."""
        seen: list[Tensor] = []
        if not self.layer:
            raise ModelError(
                f"expected a layer to explain {self.name} at, got none, because no module before the head gives one "
                "vector or map a clip; name one, layer='…' (`voxplain doctor` lists all)"
            )
        with record_output(find_layer(self.net, self.layer), seen, take):
            z = self.checked_logits(x)
        self._check_layer(seen, clip_count(x, self.layout))
        return z, seen[0]

    def checked_logits(self, x: Tensor) -> Tensor:
        """What `forward` gives, of the expected shape and finite.

        Parameters
        ----------
        x : float tensor
            What `prepare` returns.

        Returns
        -------
        tensor [N,K]

        Raises
        ------
        ModelError
            Another shape, NaN or infinity.
        """
        z = self.forward(x)
        self._check(z, clip_count(x, self.layout))
        return z

    def _check(self, z: Tensor, n: int, *, finite: bool = True) -> None:
        """That a pass over ``n`` clips gave logits, finite ones where asked for."""
        if z.ndim != 2 or len(z) != n or (self.classes and z.shape[1] != len(self.classes)):
            raise ModelError(
                f"expected logits [{n},{len(self.classes) or 'classes'}], got {tuple(z.shape)}; "
                "give the classes of the network, or wrap it so that it gives one row of class scores a clip"
            )
        if finite and not bool(torch.isfinite(z).all()):
            raise ModelError(
                f"expected finite logits, got NaN or infinity from {self.name}; check the weights and the input range"
            )

    def _check_layer(self, seen: list[Tensor], n: int) -> None:
        """That the layer ran and gave a row a clip, or a row a frame."""
        if not seen:
            raise ModelError(
                f"expected layer {self.layer!r} to run, got no call of it; name a layer that the forward pass uses"
            )
        if len(seen[0]) not in (n, n * self.grid[0]):
            raise ModelError(
                f"expected a row a clip or a frame, [{n},…] or [{n * self.grid[0]},…], from layer {self.layer!r}, got "
                f"{tuple(seen[0].shape)}; name a layer with rows of clips"
            )

    def _frames(self, clips: ClipsLike) -> Frames:
        """Frames uint8 [N,T,H,W,3] of at least one clip."""
        frames = as_frames(clips, grid=self.grid)
        if not len(frames):
            raise ModelError("expected at least one clip, got none; pass frames [N,T,H,W,3] with N ≥ 1")
        return frames

    def _batches(self, clips: ClipsLike) -> Iterator[Frames]:
        frames = self._frames(clips)
        return (frames[i : i + self.pass_size] for i in range(0, len(frames), self.pass_size))

    # Not inference mode: its tensors, also those that a network caches, can take part in no later gradient.
    @torch.no_grad()
    def outputs(self, clips: ClipsLike) -> ModelOutput:
        """Logits and features of clips in one pass.

        Parameters
        ----------
        clips : Clip, uint8 frames [T,H,W,3] or [N,T,H,W,3], or a sequence of clips

        Returns
        -------
        ModelOutput

        Raises
        ------
        ModelError
            Clips that the model cannot take, a layer that does not run, or outputs that are not finite logits.
        """
        batches = self._batches(clips)
        self.settled()
        with evaluation_mode(self.net):
            passes = [
                (z.float(), self.feature_of(a, len(z)))
                for z, a in (self._forward(self.prepare(part)) for part in batches)
            ]
        return ModelOutput(torch.cat([z for z, _ in passes]), torch.cat([a for _, a in passes]))

    @torch.no_grad()
    def logits(self, clips: ClipsLike, *, finite: bool = True) -> Tensor:
        """Logits of clips; the same as calling the model. The layer is not used.

        Parameters
        ----------
        clips : as for `outputs`
        finite : bool
            Raise an error for NaN and infinity. False: such a clip has NaN for all logits.

        Returns
        -------
        float32 [N,K]

        Raises
        ------
        ModelError
            Clips that the model cannot take, and outputs that are not finite logits.
        """
        batches = self._batches(clips)
        self.settled()
        found = []
        with evaluation_mode(self.net):
            for part in batches:
                z = self.forward(self.prepare(part))
                self._check(z, len(part), finite=finite)
                bad = ~torch.isfinite(z).all(1, keepdim=True)
                found.append((z.masked_fill(bad, torch.nan) if bool(bad.any()) else z).float())
        return torch.cat(found)

    def embed(self, clips: ClipsLike) -> Tensor:
        """Features of clips at the layer, float32 [N,D]."""
        return self.outputs(clips).features

    def gradient(self, clips: ClipsLike, target: str | int, *, objective: Objective = "log_odds") -> Tensor:
        """Gradient of the objective with respect to the layer.

        For a pooled map it is the derivative along a change that is the same at every position: the sum of the map's
        gradient over positions.

        Parameters
        ----------
        clips : as for `outputs`
        target : str or int
            Class.
        objective : str
            A key of `OBJECTIVES`.

        Returns
        -------
        float32 [N,D]

        Raises
        ------
        ModelError
            What `outputs` raises, an unknown class or objective, and logits that do not depend on the layer.
        """
        y = self.settled().class_index(target)
        _check_objective(objective)
        with evaluation_mode(self.net), torch.inference_mode(False), torch.no_grad():
            return torch.cat([self._derive(part, y, OBJECTIVES[objective])[2] for part in self._batches(clips)])

    def outputs_and_gradient(
        self, clips: ClipsLike, target: int | None = None, *, objective: Objective = "log_odds"
    ) -> tuple[int, ModelOutput, Tensor]:
        """Outputs and gradient of one batch in one pass.

        Parameters
        ----------
        clips : as for `outputs`
            At most as many as the device holds at once.
        target : int, optional
            Logit index; by default that of the first clip's greatest logit.
        objective : str
            A key of `OBJECTIVES`.

        Returns
        -------
        tuple of int, ModelOutput and float32 [N,D]
            The class, what `outputs` returns, and what `gradient` returns for the class.
        """
        _check_objective(objective)
        frames = self._frames(clips)
        self.settled()
        with evaluation_mode(self.net), torch.inference_mode(False), torch.no_grad():
            return self._derive(frames, target, OBJECTIVES[objective])

    def _derive(
        self, frames: Frames, y: int | None, objective: Callable[[Tensor, int], Tensor]
    ) -> tuple[int, ModelOutput, Tensor]:
        with torch.no_grad():  # recording starts at the layer, also when every parameter is frozen
            z, activation = self._forward(self.prepare(frames), start_gradient)
            y = int(z[0].argmax()) if y is None else y
            if y >= z.shape[1]:
                raise ModelError(f"expected a class index from 0 to {z.shape[1] - 1}, got {y}; choose one")
            score = objective(z.float(), y).sum()
            g = torch.autograd.grad(score, activation, allow_unused=True)[0] if score.requires_grad else None
        if g is None:
            raise ModelError(
                f"expected logits that depend on layer {self.layer!r}, got no gradient there; "
                "name a layer on the way to the logits, and let the network run with gradients"
            )
        g, seen = g.float(), activation.detach().float()
        return y, ModelOutput(z.detach().float(), self.feature_of(seen, len(z))), self.gradient_of_feature(g, len(z))

    def feature_of(self, activation: Tensor, clips: int) -> Tensor:
        """The feature float32 [N,D] of ``clips`` clips that the layer's output gives; the mean of rows of frames."""
        return clip_rows(pool_features(activation.float(), self.pool, *self._axis_and_prefix(activation)), clips)

    def gradient_of_feature(self, gradient: Tensor, clips: int) -> Tensor:
        """The gradient [N,D] of the feature, from that of the layer's output; for means the sum over positions."""
        rows = pooled_gradient(gradient, self.pool, *self._axis_and_prefix(gradient))
        return clip_rows(rows, clips, total=True)  # along a change that is the same in all frames

    def _axis_and_prefix(self, activation: Tensor) -> tuple[int | None, int]:
        """The channels' axis in the layer's output, and the tokens before those with positions."""
        if activation.ndim < 3 or not self.pool:
            return None, 0
        axis = self.channel_axis
        if axis is None:
            axis = channel_axis(find_layer(self.net, self.layer), activation.shape)
        tokens = activation.ndim == 3 and self.pool is True and axis in (2, -1)
        found = token_layout(self, activation.shape[1]) if tokens else None
        return axis, 0 if found is None else found.prefix


def _check_objective(objective: str) -> None:
    if objective not in OBJECTIVES:
        raise ModelError(f"expected an objective of {', '.join(OBJECTIVES)}, got {objective!r}; choose one")


def move(net: nn.Module, device: str | torch.device) -> nn.Module:
    """Move a network to a device. Raises ModelError where this machine does not have it."""
    try:
        return net.to(device)
    except (RuntimeError, AssertionError) as error:
        first = str(error).splitlines()[0]
        raise ModelError(f"expected a device of this machine, got {str(device)!r}: {first}; try 'cpu'") from error


def as_model(model_or_net: VideoModel | nn.Module, clips: ClipsLike | None = None) -> VideoModel:
    """A `VideoModel` as it is; a bare network wrapped as ``VideoModel(net)`` would.

    Parameters
    ----------
    model_or_net : VideoModel or nn.Module
    clips : whatever `as_frames` accepts, optional
        What is to be explained: a bare network is then tried on the size of these clips alone.

    Returns
    -------
    VideoModel

    Raises
    ------
    ModelError
        Something else, or a network that does not run.
    """
    if isinstance(model_or_net, VideoModel):
        return model_or_net
    if not isinstance(model_or_net, nn.Module):
        raise ModelError(f"expected a VideoModel or a torch.nn.Module, got {type(model_or_net).__name__}; wrap it")
    if clips is None:
        return VideoModel(model_or_net)
    frames = as_frames(clips)
    t, h, w = frames.shape[1:4]
    return VideoModel(model_or_net, grid=(t, h, w))
