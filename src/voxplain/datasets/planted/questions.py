"""Planted clips for other questions than "which class": how many, how fast, and which of several labels.

Each kind of object has its own colour. The truth of a clip is a number or a set of labels, and so is that of its
counterfactuals: `without` an object a count falls by 1, the clip has one label less; with it held still (`freeze`) the
speed is 0. Lengths in pixels.
"""

from dataclasses import dataclass

import numpy as np

from voxplain.datasets.planted.scene import PlantedObject, Scene, draw
from voxplain.errors import DataError
from voxplain.video import Clip

__all__ = ["LABELS", "QUESTIONS", "PlantedAnswer", "planted_answers", "true_answer"]

# Shape and colour by label; the first is what is counted, and what moves.
LABELS: dict[str, tuple[float, float, float]] = {
    "disk": (250.0, 60.0, 60.0),
    "square": (60.0, 90.0, 250.0),
    "triangle": (60.0, 230.0, 90.0),
}
QUESTIONS = ("count", "speed", "labels")
MOST = 4  # disks


@dataclass(frozen=True, eq=False)
class PlantedAnswer:
    """One clip with the answer to a question.

    Parameters
    ----------
    clip : Clip
    scene : Scene
        All that the clip shows.
    answer : float32 [K]
        The number of disks, their speed in pixels a frame, or 1 and 0 for each of `LABELS`.
    """

    clip: Clip
    scene: Scene
    answer: np.ndarray

    def masks(self) -> dict[str, np.ndarray]:
        """Visible voxels of each object, bool [T,H,W] by name."""
        return draw(self.scene)[1]


def true_answer(question: str, scene: Scene) -> np.ndarray:
    """The answer that a scene has, float32 [K]; also of a counterfactual.

    Parameters
    ----------
    question : {"count", "speed", "labels"}
    scene : Scene

    Returns
    -------
    float32 [K]
        K = 1 for count and speed, 3 for labels.

    Raises
    ------
    DataError
        Another question.
    """
    _check(question)
    disks = [thing for thing in scene.objects if thing.shape == "disk"]
    if question == "count":
        return np.array([len(disks)], np.float32)
    if question == "speed":
        moving = [2 * thing.reach / scene.frames for thing in disks if thing.motion == "right" and not thing.frozen]
        return np.array([sum(moving)], np.float32)
    return np.array([any(thing.shape == name for thing in scene.objects) for name in LABELS], np.float32)


def planted_answers(
    question: str, count: int, *, seed: int = 0, frames: int = 8, size: int = 32
) -> list[PlantedAnswer]:
    """Clips of a question with their true answers.

    Parameters
    ----------
    question : {"count", "speed", "labels"}
        How many disks, with one square beside them; how fast the one disk moves to the right, with a square that
        stands still; or which of disk, square and triangle there are.
    count : int
        Clips.
    seed : int
        The same seed gives the same clips.
    frames, size : int
        T, and H = W.

    Returns
    -------
    list of PlantedAnswer

    Raises
    ------
    DataError
        Another question.

    Examples
    --------
    >>> one = planted_answers("count", 1, seed=3)[0]
    >>> one.clip.frames.shape, one.answer.tolist()
    ((8, 32, 32, 3), [4.0])
    """
    _check(question)
    found = []
    for i in range(count):
        number = int(np.random.SeedSequence((seed, QUESTIONS.index(question), i)).generate_state(1)[0])
        scene = _scene(question, number, frames, size)
        pixels, _ = draw(scene)
        clip = Clip.from_array(pixels, source=f"{question}-{seed}-{i}")
        found.append(PlantedAnswer(clip, scene, true_answer(question, scene)))
    return found


def _check(question: str) -> None:
    if question not in QUESTIONS:
        raise DataError(f"expected a question among {', '.join(QUESTIONS)}, got {question!r}; choose one")


def _scene(question: str, number: int, frames: int, size: int) -> Scene:
    rng = np.random.default_rng(number)
    if question == "count":
        shapes = ["disk"] * int(rng.integers(0, MOST + 1)) + ["square"]
    elif question == "speed":
        shapes = ["square", "disk"]
    else:
        shapes = [name for name in LABELS if rng.random() < 0.5]
    places = _apart(rng, len(shapes), size, rows=question == "speed")
    objects = []
    for i, (shape, (x, y)) in enumerate(zip(shapes, places, strict=True)):
        moves = question == "speed" and shape == "disk"
        reach = float(rng.uniform(0, 0.3)) * size if moves else 0.0
        x = size / 2 if moves else x
        objects.append(
            PlantedObject(
                f"{shape}{i}",
                "target" if shape == "disk" else "distractor",
                shape,
                "right" if moves else "still",
                LABELS[shape],
                round(float(x), 3),
                round(float(y), 3),
                0.11 * size,
                round(reach, 3),
            )
        )
    return Scene(question, frames, size, number, tuple(objects), noise=2.0, shake=0.0, drift=(0.0, 0.0))


def _apart(rng: np.random.Generator, count: int, size: int, *, rows: bool) -> np.ndarray:
    """Centres (x, y) in different cells of a grid of 3×3, or different ``rows``, so that no object hides another."""
    cells = 3 * rng.permutation(3)[:count] + rng.integers(3, size=count) if rows else rng.permutation(9)[:count]
    at = np.stack([cells % 3, cells // 3], 1) + 0.5 + rng.uniform(-0.1, 0.1, (count, 2))
    return at * size / 3
