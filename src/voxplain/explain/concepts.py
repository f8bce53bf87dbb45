"""From the clips of a class to a tested ranking of its concepts.

    supervoxels → features → concepts → CAVs → directional derivatives and direct effects → tests → ranking

Every step's result is kept in a `Store` under a key made of all that it depends on, so a run that was killed goes on
where it was and ends with the same bytes.
"""

import math
import platform
from collections.abc import Callable, Sequence
from dataclasses import asdict, fields, replace
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from voxplain.concepts.cav import cav_alignment
from voxplain.concepts.concept_run import ConceptRun
from voxplain.concepts.discover import nearest_centre
from voxplain.concepts.pooled import PooledFeatures
from voxplain.concepts.rank import rank_by_effect, recognition_test
from voxplain.concepts.score import is_linear_above
from voxplain.concepts.settings import ConceptSettings
from voxplain.datasets import read_clips
from voxplain.errors import DataError
from voxplain.explain import class_steps as steps
from voxplain.explain.central_window import some_frames
from voxplain.explain.session import Executor, Progress, Session, open_session
from voxplain.model import VideoModel
from voxplain.progress import quiet
from voxplain.runtime import ThreadExecutor
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
    on: Callable[[VideoModel], Executor] = ThreadExecutor,
) -> ConceptRun:
    """Which concepts of its clips does the network rely on for a class, and how sure is that?

    ``clips`` of the class, at least as long as the network's clip; ``random`` clips of unrelated videos, or a folder of
    them. With ``store`` every step is kept and found again. ``on`` says where the work on single clips is done: on
    threads of this process, or another of `voxplain.runtime`. Raises DataError or ModelError with one sentence,
    MissingShards where the work is shared out and another share's is not done.
    Source: STCE / 3D-ACE (Ji, Wang, Kato), with the direct effect beside its TCAV score.
    """
    settings = settings or ConceptSettings()
    clips = clips[: settings.videos]
    if not len(clips):
        raise DataError(f"expected at least one clip of class {target!r}, got none; name a class with videos")
    if store is None:
        with TemporaryDirectory(prefix="voxplain-") as folder:
            run = explain_concepts(
                model,
                clips,
                random=random,
                target=target,
                settings=settings,
                preset=preset,
                store=folder,
                skipped=skipped,
                progress=progress,
                on=on,
            )
            return replace(run, supervoxels=tuple(run.supervoxels))  # the folder goes
    y = model.class_index(target)
    if isinstance(random, str | Path):
        random = read_clips(random, model.reader(), limit=settings.unrelated_videos, seed=settings.seed).clips
    random = random[: settings.unrelated_videos]
    steps.check_unrelated(random)  # before hours of work on the class
    leak_check(clips, random)
    store = store if isinstance(store, Store) else Store(Path(store))
    session = open_session(model, settings, store, progress, on, clips)
    return _story(session, clips, random, y, preset, skipped)


def _story(
    session: Session,
    clips: Sequence[Clip],
    random: Sequence[Clip],
    y: int,
    preset: str,
    skipped: Sequence[tuple[str, str]],
) -> ConceptRun:
    settings, model = session.settings, session.model
    # Everything that needs one clip and no concept comes first: shares of it can be done without the others.
    half = len(random) // 2  # one half gives the negatives, the other the null: a null concept must not meet itself
    scored = clips[: settings.score_videos]
    rows = session.embedded(clips, "the class", deduplicate=True, target=y)
    spare = steps.drawn_rows(session, random[half:], "unrelated videos (null)", full=False)
    pool = steps.negatives(session, random[:half])
    g = steps.gradients(session, scored, y)
    unrelated = steps.logits(session, random)
    steps.raise_if_missing(rows, spare, pool, g, unrelated)
    values = np.concatenate(rows)
    counts = [len(r) for r in rows]
    origin = np.stack([np.repeat(np.arange(len(clips)), counts), np.concatenate([np.arange(n) for n in counts])], 1)
    bank = steps.bank(session, values, origin, len(clips))
    assigned = [nearest_centre(r, bank.centers) for r in rows]
    parts = session.segmented(clips, deduplicate=True)
    concepts = steps.concept_rows(session, clips, values, origin, bank.members, "the concepts", y)
    null = steps.null_concepts(session, random[half:], spare)
    cavs, tcav = steps.tcav(session, concepts, null, np.concatenate(pool), np.stack(g), y)
    effects = steps.effects(session, clips[: settings.effect_videos], parts, assigned, len(bank))
    effect = rank_by_effect(effects, y, unrelated=np.stack(unrelated), kind=settings.effect_kind, seed=settings.seed)
    run = ConceptRun(
        target=model.classes[y] if model.classes else str(y),
        target_index=y,
        layer=model.layer,
        network=model.name,
        classes=model.classes,
        preset=preset,
        parameters=parameters(settings),
        provenance=provenance(session, clips, random),
        clips=clips,
        supervoxels=parts,
        origin=origin,
        assigned=tuple(assigned),
        bank=bank,
        cavs=cavs,
        alignment=cav_alignment(cavs) if len(bank) > 1 else 0.0,
        effects=effects,
        scores={"effect": effect, "tcav": tcav},
        ranking=settings.ranking,
        skipped=tuple(skipped),
    )
    return replace(run, warnings=tuple(warnings(session, run, np.stack(unrelated))))


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


def warnings(session: Session, run: ConceptRun, unrelated: np.ndarray) -> list[str]:
    """Warning lights: what a reader must know before believing the ranking."""
    s, y = session.settings, run.target_index
    share, said = float((run.effects.base.argmax(1) == y).mean()), []
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
    if isinstance(s.embedder, PooledFeatures) and s.cav_embedder is None:
        said.append(
            "TCAV scores of pooled features are not those of crops (measured in docs/performance.md): go by the direct "
            "effect, or learn CAVs from crops with cav_embedder=crops"
        )
    if len(run.clips) < 20:
        floor, count = 2.0 ** -len(run.effects.base), len(run.bank)
        few = math.ceil(floor * count / 0.05)  # concepts that must be at the floor together, Benjamini–Hochberg
        alone = "" if few <= 1 else f", and no concept is significant unless {few} of {count} are as clear as can be"
        alone = ", and none of so many concepts can be significant" if few > count else alone
        said.append(f"only {len(run.clips)} videos of the class: intervals are wide{alone}")
    if run.alignment > 0.5:
        said.append(
            f"CAVs of different concepts point the same way (mean cosine {run.alignment:.2f}): they may have learnt "
            "how crops differ from clips; use negatives=matched"
        )
    if run.cavs.accuracy.mean() < 0.7:
        said.append(f"CAVs separate concepts poorly (held-out accuracy {run.cavs.accuracy.mean():.2f})")
    degenerate = s.objective == "logit" and s.tcav == "sign_count" and len(run.clips) > 1
    if degenerate and is_linear_above(session.model, some_frames(session.model, run.clips, 2), y):
        said.append("everything above the layer is linear: Eq. 2 of the plain logit is 0 or 1 for each CAV")
    return said


def parameters(settings: ConceptSettings) -> dict:
    """The settings as a plain dict that names each method."""
    plain = asdict(settings)
    for field in fields(settings):
        if isinstance(plain[field.name], dict):
            plain[field.name] = {"method": type(getattr(settings, field.name)).__name__, **plain[field.name]}
    return plain


def provenance(session: Session, clips: Sequence[Clip], random: Sequence[Clip]) -> dict:
    """Versions, device, arithmetic and the hashes of everything that went in."""
    model = session.model
    packages = ("torch", "numpy", "scipy", "scikit-image", "scikit-learn", "av")
    return {
        "voxplain": __version__,
        "python": platform.python_version(),
        "versions": {name: version(name) for name in packages},
        "device": str(model.device),
        "precision": session.fast.precision,
        "inference": session.fast.reason,
        "weights": session.network["weights"],
        "videos": {c.source: content_hash(c.frames) for c in clips},
        "unrelated_videos": {c.source: content_hash(c.frames) for c in random},
    }
