"""From the clips of a class to a tested ranking of its concepts.

    supervoxels → features → concepts → CAVs → directional derivatives and direct effects → tests → ranking

Every step's result is kept in a `Store` under a key made of all that it depends on, so a run that was killed goes on
where it was and ends with the same bytes.
"""

import math
import platform
from collections.abc import Sequence
from dataclasses import asdict, fields, replace
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from voxplain.concepts.cav import cav_alignment
from voxplain.concepts.rank import rank_by_effect, recognition_test
from voxplain.concepts.run import ConceptRun
from voxplain.concepts.score import is_linear_above
from voxplain.concepts.settings import ConceptSettings
from voxplain.datasets import read_clips
from voxplain.errors import DataError
from voxplain.explain import steps
from voxplain.explain.session import Progress, Session, embed, fit_grid, middle, nearest_centre, segment
from voxplain.model import VideoModel, stack
from voxplain.nets import weights_digest
from voxplain.progress import quiet
from voxplain.store import Store, content_hash
from voxplain.version import __version__
from voxplain.video import Clip

__all__ = ["explain_concepts"]


def explain_concepts(
    model: VideoModel,
    clips: Sequence[Clip],
    *,
    random: Sequence[Clip] | Path | str,
    target: str | int,
    settings: ConceptSettings | None = None,
    preset: str = "default",
    store: Store | Path | str | None = None,
    skipped: Sequence[tuple[str, str]] = (),
    progress: Progress = quiet,
) -> ConceptRun:
    """Which concepts of its clips does the network rely on for a class, and how sure is that?

    ``clips`` of the class, at least as long as the network's clip; ``random`` clips of unrelated videos, or a folder of
    them. With ``store`` every step is kept and found again. Raises DataError or ModelError with one sentence.
    Source: STCE / 3D-ACE (Ji, Wang, Kato), with the direct effect beside its TCAV score.
    """
    settings = settings or ConceptSettings()
    clips = list(clips)[: settings.videos]
    if not clips:
        raise DataError(f"expected at least one clip of class {target!r}, got none; name a class with videos")
    if store is None:
        with TemporaryDirectory(prefix="voxplain-") as folder:
            return explain_concepts(
                model, clips, random=random, target=target, settings=settings, preset=preset, store=folder,
                skipped=skipped, progress=progress,
            )  # fmt: skip
    y = model.class_index(target)
    if isinstance(random, str | Path):
        random = read_clips(random, model.reader(), limit=settings.random_videos, seed=settings.seed).clips
    random = list(random)[: settings.random_videos]
    steps.refuse_few(random)  # before hours of work on the class
    leak_check(clips, random)
    session = Session(model, settings, store if isinstance(store, Store) else Store(Path(store)), progress)
    parts = segment(session, clips, "the class", unite=True)
    rows = embed(session, clips, parts, "the class")
    values = np.concatenate(rows)
    counts = [len(r) for r in rows]
    origin = np.stack([np.repeat(np.arange(len(clips)), counts), np.concatenate([np.arange(n) for n in counts])], 1)
    bank = steps.bank(session, values, origin, len(clips))
    assigned = [nearest_centre(r, bank.centers) for r in rows]
    scored = min(len(clips), settings.score_videos)
    frames = stack(middle(model, clips[:scored]))
    cavs, tcav = steps.tcav(session, values, bank, random, frames, y)
    scored_clips, shown, given = fit_grid(model, clips[:scored], parts, assigned)
    effects = steps.effects(session, scored_clips, shown, given, len(bank))
    unrelated = steps.logits(session, random)
    effect = rank_by_effect(effects, y, unrelated=unrelated, kind=settings.effect_kind, seed=settings.seed)
    run = ConceptRun(
        target=model.classes[y] if model.classes else str(y), target_index=y, layer=model.layer, network=model.name,
        classes=model.classes, preset=preset, parameters=parameters(settings),
        provenance=provenance(model, clips, random),
        clips=tuple(clips), supervoxels=tuple(parts), origin=origin, assigned=tuple(assigned), bank=bank, cavs=cavs,
        alignment=cav_alignment(cavs) if len(bank) > 1 else 0.0, effects=effects,
        scores={"effect": effect, "tcav": tcav}, ranking=settings.ranking, skipped=tuple(skipped),
    )  # fmt: skip
    return replace(run, warnings=tuple(warnings(session, run, frames, unrelated)))


def leak_check(clips: Sequence[Clip], random: Sequence[Clip]) -> None:
    """Refuse random sets that contain a video of the class."""
    own = {content_hash(c.frames): c.source for c in clips}
    for clip in random:
        same = own.get(content_hash(clip.frames))
        if same is not None:
            raise DataError(
                f"expected random videos that are not of the class, got {clip.source} with the same frames as {same}; "
                "take it out of the random folder"
            )


def warnings(session: Session, run: ConceptRun, frames: np.ndarray, unrelated: np.ndarray) -> list[str]:
    """Warning lights: what a reader must know before believing the ranking."""
    s, y = session.settings, run.target_index
    seen = session.model.logits(frames).argmax(1).cpu().numpy()
    share, said = float((seen == y).mean()), []
    if share < 0.5:
        said.append(
            f"the network calls only {100 * share:.0f} % of these clips “{run.target}”: "
            "its reasons may not be the class's"
        )
    known = recognition_test(run.effects.base, unrelated, y)
    if math.isnan(known):
        said.append("with fewer than 3 classes it cannot be tested whether the network knows the class at all")
    elif known >= 0.05:
        said.append(
            f"the network does not clearly tell “{run.target}” from unrelated videos (p = {known:.2g}): "
            "no direct effect is called significant"
        )
    if len(run.clips) < 20:
        floor, count = 2.0 ** -len(run.effects.base), len(run.bank)
        few = math.ceil(floor * count / 0.05)  # concepts that must be at the floor together, Benjamini–Hochberg
        alone = "" if few <= 1 else f", and no concept is significant unless {few} of {count} are as clear as can be"
        said.append(f"only {len(run.clips)} videos of the class: intervals are wide{alone}")
    if run.alignment > 0.5:
        said.append(
            f"CAVs of different concepts point the same way (mean cosine {run.alignment:.2f}): they may have learnt "
            "how crops differ from clips; use negatives=matched"
        )
    if run.cavs.accuracy.mean() < 0.7:
        said.append(f"CAVs separate concepts poorly (held-out accuracy {run.cavs.accuracy.mean():.2f})")
    degenerate = s.objective == "logit" and s.tcav == "sign_count" and len(frames) > 1
    if degenerate and is_linear_above(session.model, frames[:2], y):
        said.append("everything above the layer is linear: Eq. 2 of the plain logit is 0 or 1 for each CAV")
    return said


def parameters(settings: ConceptSettings) -> dict:
    """The settings as a plain dict that names each method."""
    plain = asdict(settings)
    for field in fields(settings):
        if isinstance(plain[field.name], dict):
            plain[field.name] = {"method": type(getattr(settings, field.name)).__name__, **plain[field.name]}
    return plain


def provenance(model: VideoModel, clips: Sequence[Clip], random: Sequence[Clip]) -> dict:
    packages = ("torch", "numpy", "scipy", "scikit-image", "scikit-learn", "av")
    return {
        "voxplain": __version__,
        "python": platform.python_version(),
        "versions": {name: version(name) for name in packages},
        "device": str(model.device),
        "weights": weights_digest(model.net),
        "videos": {c.source: content_hash(c.frames) for c in clips},
        "random_videos": {c.source: content_hash(c.frames) for c in random},
    }
