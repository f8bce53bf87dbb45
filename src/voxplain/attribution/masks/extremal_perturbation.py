"""Extremal perturbations: the mask of a fixed area that keeps (or destroys) the class best; 2D-EP, 3D-EP and STEP.

Letters: P problems (one clip and one area each), T×H×W the network's grid, H'×W' with the margin of masks.
Fong, Patrick, Vedaldi 2019 (arXiv 1910.08485); Li et al. 2021 for video (arXiv 2005.00375, 2109.00222).
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from torch import Tensor

from voxplain.attribution.call import Batch, Maps, attribution_call
from voxplain.attribution.masks.blur_pyramid import Perturbation, pixels
from voxplain.attribution.masks.extremal_search import ExtremalSearch, MaskSearch, check
from voxplain.attribution.masks.mask_descent import Variant, check_field
from voxplain.attribution.masks.mask_losses import CoreCount, CoreShape, area_loss, core_kernel, core_loss

__all__ = ["STEP", "ExtremalPerturbation2D", "ExtremalPerturbation3D", "MaskSearch"]

# Shares of the clip. The study's on UCF101 and EPIC-Kitchens, 0.05, 0.1, 0.15 and 0.5 with equal weights, put at most
# 2.9 times chance into a planted object of a tenth of the clip even where every mask is right (docs/defaults.md).
AREAS = (0.05, 0.1)
# Fong et al. took 800, the video study logged 1200. Fewer take longer steps, see `MaskSearch.learning_rate`: on eight
# planted clips 100 ranked the object's voxels above others better than 800 did (ROC area: 3D-EP 0.93, 0.84; STEP 0.92,
# 0.89).
ITERATIONS = 200
# The area's weight at the end over that at the start: × 1.0008668 an iteration makes 2 in 800 and 2.83 in the study's
# 1200; 1 for 2D-EP and 3D-EP in the WACV code.
GROWTH = 2.0
# The core's length where none is given: the study's for its clips of 16 frames.
CORE_FRAMES = 8


@dataclass(frozen=True)
class ExtremalPerturbation2D:
    """Extremal perturbation in 2D (2D-EP): the mask of a fixed area in every frame that keeps the class best.

    For each area a: minimise w·R(x⊗m) + λ_t·L_a(m) over the mask's parameters, with L_a the mean over frames of the
    squared difference between the sorted mask and a share a of ones, and λ_t = area_weight·area_growth^(t/iterations).
    The map is the sum of the masks over areas, weighted by `MaskSearch.weights`, each frame smoothed, divided by its
    maximum. One backward pass an iteration and area. Nothing is drawn at random: voxels of equal value share what the
    authors' code gives to some of them.

    Parameters
    ----------
    areas : tuple of float
        Shares of the clip that masks keep, one mask each; 0.05, 0.1, 0.15 and 0.5 in the video attribution study on
        UCF101 and EPIC-Kitchens.
    variant : {"preserve", "delete", "dual"}
        "preserve": R = −log p, what suffices for the class; "delete": −log(1−p) of the clip without the mask, what is
        needed; "dual": both.
    perturbation : {"blur", "fade"}
        What a mask does where it is low: "blur", or "fade" to the mean colour.
    iterations : int
        For each area. 800 in Fong et al., 1200 in the study; fewer take longer steps, see `MaskSearch`.
    area_weight : float
        λ_0.
    area_growth : float
        λ at the end over λ at the start.
    search : MaskSearch
        What the three methods have in common.

    References
    ----------
    Fong, Patrick and Vedaldi 2019, Understanding deep networks via extremal perturbations and smooth masks, arXiv
        1910.08485
    Li et al. 2021, Towards visually explaining video understanding networks with perturbation, arXiv 2005.00375

    Examples
    --------
    >>> ExtremalPerturbation2D(areas=(0.1,), iterations=3)(model, clip).shape
    (8, 32, 32)
    """

    areas: tuple[float, ...] = AREAS
    variant: Variant = "preserve"
    perturbation: Perturbation = "blur"
    iterations: int = ITERATIONS
    area_weight: float = 300.0
    area_growth: float = GROWTH
    search: MaskSearch = field(default_factory=MaskSearch)

    def __post_init__(self) -> None:
        """Check the fields before any work is done."""
        check(self.areas, self.variant, self.iterations)

    @attribution_call("ep_2d")
    def __call__(self, batch: Batch) -> Maps:
        def regulariser(masks: Tensor, areas: Sequence[float], iteration: int) -> Tensor:
            return (
                self.area_weight
                * self.area_growth ** (iteration / self.iterations)
                * area_loss(masks.flatten(2), areas)
            )

        search = ExtremalSearch(batch, self.variant, self.perturbation, self.iterations, regulariser, self.search)
        return search.maps(self.areas)


@dataclass(frozen=True)
class ExtremalPerturbation3D:
    """Extremal perturbation in 3D (3D-EP): the mask of a fixed area of the whole volume that keeps the class best.

    As `ExtremalPerturbation2D`, with the mask sorted over all frames at once, so that frames compete for the area.

    Parameters
    ----------
    areas : tuple of float
        Shares of the clip that masks keep, one mask each; 0.05, 0.1, 0.15 and 0.5 in the video attribution study on
        UCF101 and EPIC-Kitchens.
    variant : {"preserve", "delete", "dual"}
        "preserve": R = −log p, what suffices for the class; "delete": −log(1−p) of the clip without the mask, what is
        needed; "dual": both.
    perturbation : {"blur", "fade"}
        What a mask does where it is low: "blur", or "fade" to the mean colour.
    iterations : int
        For each area. 800 in Fong et al., 1200 in the study; fewer take longer steps, see `MaskSearch`.
    area_weight : float
        λ_0.
    area_growth : float
        λ at the end over λ at the start.
    search : MaskSearch
        What the three methods have in common.

    References
    ----------
    Fong, Patrick and Vedaldi 2019, Understanding deep networks via extremal perturbations and smooth masks, arXiv
        1910.08485
    Li et al. 2021, Towards visually explaining video understanding networks with perturbation, arXiv 2005.00375

    Examples
    --------
    >>> ExtremalPerturbation3D(areas=(0.1,), iterations=3)(model, clip).shape
    (8, 32, 32)
    """

    areas: tuple[float, ...] = AREAS
    variant: Variant = "preserve"
    perturbation: Perturbation = "blur"
    iterations: int = ITERATIONS
    area_weight: float = 300.0
    area_growth: float = GROWTH
    search: MaskSearch = field(default_factory=MaskSearch)

    def __post_init__(self) -> None:
        """Check the fields before any work is done."""
        check(self.areas, self.variant, self.iterations)

    @attribution_call("ep_3d")
    def __call__(self, batch: Batch) -> Maps:
        def regulariser(masks: Tensor, areas: Sequence[float], iteration: int) -> Tensor:
            volume = masks.flatten(1)[:, None]
            return self.area_weight * self.area_growth ** (iteration / self.iterations) * area_loss(volume, areas)

        search = ExtremalSearch(batch, self.variant, self.perturbation, self.iterations, regulariser, self.search)
        return search.maps(self.areas)


@dataclass(frozen=True)
class STEP:
    """STEP, spatio-temporal perturbation: 3D-EP whose mask consists of compact lumps in space and time.

    Adds core_weight·C_a(m), see `core_loss`, to the loss of `ExtremalPerturbation3D` from iteration ``core_start`` on.

    Parameters
    ----------
    areas : tuple of float
        Shares of the clip that masks keep, one mask each; 0.05, 0.1, 0.15 and 0.5 in the video attribution study on
        UCF101 and EPIC-Kitchens.
    variant : {"preserve", "delete", "dual"}
        "preserve": R = −log p, what suffices for the class; "delete": −log(1−p) of the clip without the mask, what is
        needed; "dual": both.
    perturbation : {"blur", "fade"}
        What a mask does where it is low: "blur", or "fade" to the mean colour.
    iterations : int
        For each area. 800 in Fong et al., 1200 in the study; fewer take longer steps, see `MaskSearch`.
    area_weight : float
        λ_0.
    area_growth : float
        λ at the end over λ at the start.
    core_weight : float
        Weight of the core loss.
    core_start : float
        Share of the iterations without the core loss: 100 of 800; the study's 100.
    core_frames : int, optional
        Length of the kernel, at most T; the study logged 5, 8, 11 and 14 of 16. By default 8, but for clips of less
        than 16 frames the largest odd number up to T/2: a core over the whole clip is at odds with a mask on an object
        that moves, and a small ellipsoid of an even length has no middle frame and is little more than its axis.
    core_size : float
        Side of the kernel, pixels at 112 rows.
    core_shape : {"ellipsoid", "cylinder"}
        "ellipsoid" or "cylinder".
    core_count : {"true", "paper"}
        Of the kernel's voxels: "true", or the authors' formula "paper", see `core_places`.
    search : MaskSearch
        What the three methods have in common.

    References
    ----------
    Li et al. 2021, arXiv 2109.00222
    Li et al. 2021, Towards visually explaining video understanding networks with perturbation, arXiv 2005.00375

    Examples
    --------
    >>> STEP(areas=(0.1,), iterations=3)(model, clip).shape
    (8, 32, 32)
    """

    areas: tuple[float, ...] = AREAS
    variant: Variant = "preserve"
    perturbation: Perturbation = "blur"
    iterations: int = ITERATIONS
    area_weight: float = 300.0
    area_growth: float = GROWTH
    core_weight: float = 300.0
    core_start: float = 0.125
    core_frames: int | None = None
    core_size: float = 11.0
    core_shape: CoreShape = "ellipsoid"
    core_count: CoreCount = "true"
    search: MaskSearch = field(default_factory=MaskSearch)

    def __post_init__(self) -> None:
        """Check the fields before any work is done."""
        check(self.areas, self.variant, self.iterations)
        check_field(self.core_frames is None or self.core_frames >= 1, "core_frames of 1 or more", self.core_frames)
        check_field(
            0 <= self.core_start < 1, "core_start from 0 to below 1, a share of the iterations", self.core_start
        )

    @attribution_call("step")
    def __call__(self, batch: Batch) -> Maps:
        frames, rows, columns = batch.model.grid
        start = int(self.core_start * self.iterations)
        size = min(rows, columns, max(1, round(pixels(self.core_size, rows))))
        kernel = core_kernel(self._length(frames), size, self.core_shape).to(batch.x.device)

        def regulariser(masks: Tensor, areas: Sequence[float], iteration: int) -> Tensor:
            volume = masks.flatten(1)[:, None]
            loss = self.area_weight * self.area_growth ** (iteration / self.iterations) * area_loss(volume, areas)
            if iteration < start:
                return loss
            return loss + self.core_weight * core_loss(masks, areas, kernel, self.core_count)

        how = self.variant, self.perturbation, self.iterations
        return ExtremalSearch(batch, *how, regulariser, self.search, settled=start).maps(self.areas)

    def _length(self, frames: int) -> int:
        """Of the kernel, in frames, for a clip of that many."""
        if self.core_frames is not None:
            return min(self.core_frames, frames)
        half = frames // 2
        return CORE_FRAMES if half >= CORE_FRAMES else max(1, half - 1 + half % 2)
