"""From the clips of a class to a tested ranking of its concepts.

    supervoxels → features → concepts → CAVs → directional derivatives and direct effects → tests → ranking

Every result is stored under a key made of all that it depends on, so a run that was killed goes on where it was and
ends with the same bytes.
"""

import os
import platform
from collections.abc import Callable, Sequence
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from torch import nn

from voxplain.concepts import warnings
from voxplain.concepts.cav import cav_alignment
from voxplain.concepts.concept_run import ConceptRun
from voxplain.concepts.dependence import clip_dependence
from voxplain.concepts.rank import excess_drop, rank_by_effect
from voxplain.concepts.recognition import recognition
from voxplain.concepts.score import is_linear_above
from voxplain.concepts.settings import ConceptSettings
from voxplain.concepts.wholes import measured_wholes
from voxplain.datasets import VideoSet, read_clips
from voxplain.datasets.duplicates import DistinctClips, distinct_clips
from voxplain.errors import DataError
from voxplain.explain import class_steps as steps
from voxplain.explain.central_window import some_frames
from voxplain.explain.effect_steps import EngineClips
from voxplain.explain.parameters import parameters_of, settings_and_label
from voxplain.explain.session import Session, open_session
from voxplain.model import Target, VideoModel, as_model, narrow
from voxplain.nets import weights_digest
from voxplain.progress import quiet
from voxplain.runtime import Executor, Progress, Shard, ThreadExecutor, require_complete
from voxplain.store import Store
from voxplain.version import __version__
from voxplain.video import Clip, Damaged

__all__ = ["Clips", "clips_of", "explain_concepts"]

Clips = Sequence[Clip] | VideoSet | str | os.PathLike[str]  # clips, or videos to read through the model's reader


def explain_concepts(
    model: VideoModel | nn.Module,
    clips: Clips,
    *,
    random: Clips,
    target: Target,
    settings: ConceptSettings | None = None,
    preset: str | None = None,
    store: Store | Path | str | None = None,
    skipped: Sequence[tuple[str, str]] = (),
    executor: Callable[[VideoModel], Executor] = ThreadExecutor,
    shard: Shard | None = None,
    progress: Progress = quiet,
) -> ConceptRun:
    """Find the concepts of a class in its clips, and rank them by how much the network relies on them.

    Parameters
    ----------
    model : VideoModel or nn.Module
        The network, at the layer in which concepts are found; a bare network is wrapped as ``VideoModel(net)`` would.
    clips : sequence of Clip, VideoSet or path
        Clips of the class, at least as long as the network's clip, or a folder of videos. Clips with identical frames
        count once.
    random : sequence of Clip, VideoSet or path
        Unrelated videos, from which random sets, null concepts and control regions are drawn.
    target : str, int, Difference or callable
        The class, by name or index, or another target, see `voxplain.model.narrow`.
    settings : ConceptSettings, optional
        All parameters; by default those of the preset.
    preset : str, optional
        A key of `PRESETS`, by default ``"default"``. With ``settings`` only the label of the run.
    store : Store or path, optional
        Where results are kept and found again.
    skipped : sequence of (str, str)
        Videos that could not be read, with the reason: for the report.
    executor : callable
        Gives the executor for a model; by default threads of this process.
    shard : Shard, optional
        Compute the results of this shard's clips only; see `voxplain.runtime`.
    progress : callable
        Progress display, for instance `voxplain.progress.progress_bar`.

    Returns
    -------
    ConceptRun
        Concepts, CAVs, scores with intervals and tests, and the settings they were computed with.

    Raises
    ------
    DataError, ModelError
        In one sentence: what was expected, what was given and what to do.
    MissingShards
        Where results of other shards are not there yet.

    References
    ----------
    Ji, Wang, Kato: Spatial-temporal concept based explanation of 3D ConvNets (STCE / 3D-ACE), with the direct effect
    beside its TCAV score.
    """
    model = as_model(model)
    settings, label = settings_and_label(settings, preset)
    clips, lost = clips_of(model, clips, settings.videos, settings.seed)
    clips = clips[: settings.videos]
    if not len(clips):
        raise DataError(f"expected at least one clip of class {target!r}, got none; name a class with videos")
    options: dict[str, Any] = {"executor": executor, "shard": shard, "progress": progress}
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
                skipped=[*skipped, *lost],
                **options,
            )
            return replace(run, supervoxels=tuple(run.supervoxels), store=None)  # the folder goes
    model, y = narrow(model, target)
    random, lost_random = clips_of(model, random, settings.unrelated_videos, settings.seed)
    own, unrelated = distinct_clips(clips), distinct_clips(random[: settings.unrelated_videos])
    # Before hours of work on the class.
    if len(unrelated.clips) < 4:
        raise DataError(
            f"expected at least 4 different unrelated videos, got {len(unrelated.clips)}; give a folder with more"
        )
    check_overlap(own, unrelated)
    store = store if isinstance(store, Store) else Store(Path(store))
    session = open_session(model, settings, store, own.clips, **options)
    run = _explained(session, own.clips, unrelated.clips, y, label, [*skipped, *lost, *lost_random])
    said = warnings.collect(
        warnings.like_labels(model.settled(), run.effects.base) or warnings.assumed_classes(model),
        warnings.damaged(own, f"videos of “{run.target}”"),
        warnings.damaged(unrelated, "unrelated videos"),
        warnings.duplicates(own, f"videos of “{run.target}”"),
        warnings.near_duplicates(own, f"videos of “{run.target}”"),
        warnings.duplicates(unrelated, "unrelated videos"),
        warnings.near_duplicates(unrelated, "unrelated videos"),
        warnings.like_unrelated(own, unrelated, run.target),
    )
    provenance = _provenance(session, own, unrelated)
    return replace(
        run, provenance=provenance, warnings=(*said, *run.warnings), model=model, settings=settings, store=store.root
    )


def clips_of(
    model: VideoModel, clips: Clips, limit: int | None, seed: int, damaged: Damaged = "skip"
) -> tuple[Sequence[Clip], list[tuple[str, str]]]:
    """Clips as they are, or read through the model's reader, and the videos that could not be read with the reason."""
    if not isinstance(clips, str | os.PathLike | VideoSet):
        return clips, []
    found = read_clips(clips, replace(model.reader(), damaged=damaged), limit=limit, seed=seed)
    return found.clips, [(str(x.path), x.reason) for x in found.skipped]


def check_overlap(own: DistinctClips, unrelated: DistinctClips) -> None:
    """Raise DataError when a video of the class is among the unrelated ones."""
    places = {content: i for i, content in enumerate(own.hashes)}
    for i, content in enumerate(unrelated.hashes):
        if content in places:
            raise DataError(
                f"expected unrelated videos that are not of the class, got {unrelated.sources[i]} with the same "
                f"frames as {own.sources[places[content]]}; take it out of the unrelated videos"
            )


def _explained(
    session: Session,
    clips: Sequence[Clip],
    random: Sequence[Clip],
    y: int,
    label: str,
    skipped: Sequence[tuple[str, str]],
) -> ConceptRun:
    s, model = session.settings, session.model
    # Everything that needs one clip and no concept comes first: shards of it can be computed without the others.
    half = len(random) // 2  # one half for CAVs, the other for null concepts, which must not meet them
    embedded = session.embedded(clips, "the class", deduplicate=True, target=y)
    drawn = steps.drawn_features(session, random[half:], "unrelated videos (null)", for_cavs=False)
    examples = steps.unrelated_examples(session, random[:half])
    gradients = steps.gradients(session, clips[: s.score_videos], y)
    logits = steps.logits(session, random)
    require_complete(embedded, drawn, examples, gradients, logits)
    rows = embedded.values()
    values = np.concatenate(rows)
    counts = [len(r) for r in rows]
    origin = np.stack([np.repeat(np.arange(len(clips)), counts), np.concatenate([np.arange(n) for n in counts])], 1)
    bank = steps.bank(session, values, origin, len(clips))
    assigned = [bank.encode(r) for r in rows]
    supervoxels = session.segmented(clips, deduplicate=True)
    concepts = steps.concept_features(session, clips, values, origin, bank.members, "the concepts", y)
    null = steps.null_concepts(session, random[half:], drawn.values())
    unrelated = np.concatenate(examples.values())
    owners = [origin[rows, 0] for rows in bank.members]
    cavs, tcav = steps.tcav(session, concepts, null, unrelated, np.stack(gradients.values()), y, owners)
    hidden = EngineClips(session, clips[: s.effect_videos], supervoxels, assigned, len(bank), y)
    effects = hidden.effects()
    cost = excess_drop(effects, y)
    known = recognition(effects.base, np.stack(logits.values()), y, cost=cost, blank=effects.blank, seed=s.seed)
    effect = rank_by_effect(effects, y, recognised=known.holds, kind=s.effect_kind, seed=s.seed)
    groups = hidden.groups(effects, effect)
    effects = hidden.details(effects, effect, groups)
    run = ConceptRun(
        target=model.classes[y] if model.classes else str(y),
        target_index=y,
        layer=model.layer,
        network=model.name,
        classes=model.classes,
        units=model.units,
        preset=label,
        parameters=parameters_of(s),
        provenance={},
        clips=clips,
        supervoxels=supervoxels,
        origin=origin,
        assigned=tuple(assigned),
        bank=bank,
        cavs=cavs,
        alignment=cav_alignment(cavs) if len(bank) > 1 else 0.0,
        effects=effects,
        scores={"effect": effect, "tcav": tcav},
        ranking=s.ranking,
        recognition=known,
        wholes=tuple(measured_wholes(effects, groups, y)),
        clip_dependence=clip_dependence(assigned),
        skipped=tuple(skipped),
    )
    # Only this score depends on it, and it costs a backward pass.
    sign = s.objective == "logit" and s.tcav == "sign_count" and len(clips) > 1
    linear = sign and is_linear_above(model, some_frames(model, clips, 2), y)
    return replace(run, warnings=warnings.of_run(run, s, linear=linear))


def _provenance(session: Session, own: DistinctClips, unrelated: DistinctClips) -> dict[str, Any]:
    """Versions, device, arithmetic, the network's identity and the hashes of everything that went in."""
    packages = ("torch", "numpy", "scipy", "scikit-image", "scikit-learn", "av")
    return {
        "voxplain": __version__,
        "python": platform.python_version(),
        "versions": {name: version(name) for name in packages},
        "device": str(session.model.device),
        "precision": session.fast.precision,
        "inference": session.fast.reason,
        "network": session.fingerprint.record(),
        "weights": weights_digest(session.given.net),
        "outputs": session.given.settled().meaning,
        "videos": dict(zip(own.sources, own.hashes, strict=True)),
        "unrelated_videos": dict(zip(unrelated.sources, unrelated.hashes, strict=True)),
    }
