"""Audit of a network: all classes of a labelled data set explained, compared, and tested against its mistakes.

    labelled clips → logits → concepts and effects of each class → kinds, wrong clips, slices, pairs, relations

Every result is stored under a key made of all that it depends on, as for single classes: a killed audit goes on, shards
divide the clips, and what classes have in common is computed once.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from torch import nn

from voxplain.audits.audit_run import AuditRun, ClassAudit, ConceptAudit
from voxplain.audits.causes import Cause, HiddenInWrong, cause_tests
from voxplain.audits.pairs import ConfusedPair, evidence
from voxplain.audits.presence import PresenceTest, presence_tests
from voxplain.audits.settings import AuditSettings
from voxplain.audits.shared import ClassSpace, SharedConcept, groups_of, shared_concepts
from voxplain.audits.slices import Slice, find_slices, joined_slices
from voxplain.audits.suspects import suspects
from voxplain.concepts.concept_run import ConceptRun
from voxplain.concepts.motion_or_place import motion_or_place
from voxplain.concepts.settings import ConceptSettings
from voxplain.datasets import VideoSet
from voxplain.errors import DataError, ModelError
from voxplain.explain import audit_steps as steps
from voxplain.explain.audit_clips import AuditedClass, audited_videos, chosen_clips, classified, read_labelled
from voxplain.explain.audit_steps import ExplainedClass
from voxplain.explain.budget import Budget, explain_within_budget
from voxplain.explain.concepts import Clips, clips_of, explain_concepts
from voxplain.explain.parameters import settings_and_label
from voxplain.explain.relation_steps import added_concepts, main_concepts, relation_effects, relations
from voxplain.explain.session import Session, open_session
from voxplain.explain.slice_steps import effect_slices
from voxplain.lazy import pick
from voxplain.model import VideoModel, as_model
from voxplain.progress import quiet
from voxplain.runtime import Executor, MissingShards, Progress, Shard, ThreadExecutor
from voxplain.statistics import wilson_interval
from voxplain.store import Store
from voxplain.video import Clip, Damaged
from voxplain.video.lost_videos import noted_losses

__all__ = ["audit"]

_EXPLAINING = 0.6  # share of the time that is left which explaining the classes may take
_PAIRED = 2  # clips in either direction from which on two classes count as confused


def audit(
    model: VideoModel | nn.Module,
    data: Path | str | VideoSet,
    *,
    random: Clips | None = None,
    settings: ConceptSettings | None = None,
    preset: str | None = None,
    measures: AuditSettings | None = None,
    limit: int | None = None,
    damaged: Damaged = "skip",
    budget: float | None = None,
    store: Store | Path | str | None = None,
    executor: Callable[[VideoModel], Executor] = ThreadExecutor,
    shard: Shard | None = None,
    progress: Progress = quiet,
    clock: Callable[[], float] = time.monotonic,
) -> AuditRun:
    """Find what each class of a data set rests on, and which concepts go with wrong classifications.

    The clips should be held-out ones: concepts are found in them, wrongly classified clips included, so that what makes
    the network fail can be a concept.

    Parameters
    ----------
    model : VideoModel or nn.Module
        A network that tells classes apart.
    data : path or VideoSet
        Labelled videos: a folder of class folders, of which test/ is audited where there is one.
    random : sequence of Clip, VideoSet or path, optional
        Unrelated videos. By default DATA/unrelated, or else the clips of the other classes.
    settings : ConceptSettings, optional
        Of the search for concepts; by default those of the preset.
    preset : str, optional
        A key of `PRESETS`.
    measures : AuditSettings, optional
        How much is measured beside it.
    limit : int, optional
        Clips a class at most, drawn by the seed; default: all.
    damaged : {"skip", "use", "fail"}
        What is done with videos of which frames are lost, see `ClipReader`.
    budget : float, optional
        Seconds. Videos are added to each class until its ranking is stable or its time is used up; what there is no
        time for is left out and named in ``left_out``.
    store : Store or path, optional
        Where results are kept and found again.
    executor : callable
        Gives the executor for a model; by default threads of this process.
    shard : Shard, optional
        Compute the results of this shard's clips only.
    progress : callable
        Progress display, for instance `voxplain.progress.progress_bar`.
    clock : callable
        Seconds for the budget.

    Returns
    -------
    AuditRun

    Raises
    ------
    DataError
        Fewer than two classes, no clip that can be read, a damaged video where ``damaged`` is "fail", or a budget
        together with a shard.
    ModelError
        A network without classes.
    MissingShards
        Where results of other shards are not there yet.
    """
    model = as_model(model).settled()
    settings, label = settings_and_label(settings, preset)
    if not model.exclusive or len(model.classes) < 2 or model.narrowed is not None:
        raise ModelError(
            f"expected a network that tells named classes apart, got {model.name} with task {model.task} and "
            f"{len(model.classes)} class names; give classes=…, or explain its labels one by one"
        )
    if budget is not None and (budget <= 0 or shard is not None):
        raise DataError(
            f"expected a budget above 0 s and no shard beside it, got {budget:g} s and {shard}; leave one out"
        )
    if store is None:
        with TemporaryDirectory(prefix="voxplain-") as folder:
            found = audit(
                model,
                data,
                random=random,
                settings=settings,
                preset=preset,
                measures=measures,
                limit=limit,
                damaged=damaged,
                budget=budget,
                store=folder,
                executor=executor,
                shard=shard,
                progress=progress,
                clock=clock,
            )
            runs = tuple(replace(run, supervoxels=tuple(run.supervoxels), store=None) for run in found.runs)
            return replace(found, runs=runs)  # the folder goes
    end = None if budget is None else clock() + budget
    store = store if isinstance(store, Store) else Store(Path(store))
    tools: dict[str, Any] = {"executor": executor, "shard": shard, "progress": progress}
    if random is None and not isinstance(data, VideoSet) and (Path(data) / "unrelated").is_dir():
        random = Path(data) / "unrelated"
    unrelated: Sequence[Clip] | None = None
    with noted_losses() as noted:
        clips, skipped = read_labelled(model, audited_videos(data), limit, settings.seed, progress, damaged)
        if random is not None:
            unrelated, lost = clips_of(model, random, settings.unrelated_videos, settings.seed, damaged)
            skipped += lost
    first = next(iter(clips.values()))
    session = open_session(model, settings, store, first, **tools)
    classes = classified(session, clips)
    auditor = _Auditor(
        session, model, settings, measures or AuditSettings(), store, tools, classes, unrelated, end, clock
    )
    return replace(auditor.run(label, skipped), damaged=noted.used())


@dataclass(frozen=True, eq=False)
class _Auditor:
    """The classified clips of an audit, and the tools to explain them."""

    session: Session
    model: VideoModel
    settings: ConceptSettings
    measures: AuditSettings
    store: Store
    tools: dict[str, Any]
    classes: list[AuditedClass]
    unrelated: Sequence[Clip] | None
    end: float | None
    clock: Callable[[], float]

    def run(self, preset: str, skipped: list[tuple[str, str]]) -> AuditRun:
        """Explain every class, then measure and compare them."""
        explained, lost = self.explain_all()
        skipped = [*skipped, *lost]
        left_out: list[str] = []
        spaces = {found.run.target: steps.space_of(self.session, found) for found in explained}
        shared = shared_concepts(list(spaces.values()))
        seed, permutations = self.settings.seed, self.measures.permutations
        presence = presence_tests(
            [f.volumes for f in explained], [f.wrong for f in explained], permutations=permutations, seed=seed
        )
        hidden = self.wrong_clips(explained, left_out)
        causes, attractions = self.tested(hidden, len(explained))
        audits = [
            self.of_class(
                found,
                explained,
                spaces,
                presence[i],
                causes[i],
                attractions[i],
                self.slices(found, explained, hidden, left_out),
                left_out,
            )
            for i, found in enumerate(explained)
        ]
        runs = tuple(found.run for found in explained)
        return AuditRun(
            network=self.model.name,
            layer=self.model.layer,
            preset=preset,
            parameters={**runs[0].parameters, "audit": asdict(self.measures)},
            provenance=_provenance(runs),
            classes=tuple(audits),
            shared=groups_of(shared),
            pairs=self.pairs(explained, shared),
            skipped=tuple(skipped),
            left_out=tuple(left_out),
            runs=runs,
        )

    def explain_all(self) -> tuple[list[ExplainedClass], list[tuple[str, str]]]:
        """Every class explained; a class that cannot be is left out with the reason."""
        runs, skipped = list[ConceptRun](), list[tuple[str, str]]()
        missing: MissingShards | None = None
        for place, found in enumerate(self.classes):
            try:
                runs.append(self.explain(found, len(self.classes) - place))
            except MissingShards as error:
                missing = error
            except DataError as error:
                skipped.append((found.label, str(error)))
        if missing is not None:
            raise missing
        if not runs:
            raise DataError(f"expected a class that can be explained, got none; the first: {skipped[0][1]}")
        return [steps.explained(self.session, run) for run in runs], skipped

    def explain(self, found: AuditedClass, left: int) -> ConceptRun:
        """The concepts of one class, in its share of the time."""
        clips = pick(found.clips, chosen_clips(found, self.settings))
        random = self.unrelated_to(found)
        options = {
            "random": random,
            "target": found.label,
            "settings": self.settings,
            "store": self.store,
            **self.tools,
        }
        if self.end is None:
            return explain_concepts(self.model, clips, **options)
        seconds = max(self.end - self.clock(), 1.0) * _EXPLAINING / left
        return explain_within_budget(Budget(seconds), self.model, clips, clock=self.clock, **options)

    def unrelated_to(self, found: AuditedClass) -> Sequence[Clip]:
        """The unrelated videos, or clips of the other classes, one of each class in turn."""
        if self.unrelated is not None:
            return self.unrelated
        others = [other for other in self.classes if other is not found]
        rng = np.random.default_rng((self.settings.seed, 41))
        orders = [rng.permutation(len(other.clips)) for other in others]
        longest = max(map(len, orders))
        drawn = [(n, int(order[i])) for i in range(longest) for n, order in enumerate(orders) if i < len(order)]
        drawn = drawn[: self.settings.unrelated_videos]
        return _Joined(others, drawn)

    def wrong_clips(
        self, explained: Sequence[ExplainedClass], left_out: list[str]
    ) -> dict[int, tuple[HiddenInWrong, HiddenInWrong]]:
        """By place of the class: its concepts hidden in its wrong clips, and in clips that are taken for it."""
        most, seed = self.measures.wrong_clips, self.settings.seed
        hidden = {}
        for i, found in enumerate(explained):
            others = [other for other in explained if other is not found]
            if not self.late(f"wrongly classified clips of “{found.run.target}”", left_out):
                hidden[i] = (
                    steps.hidden_in_wrong(self.session, found, most, seed=seed),
                    steps.attracted(self.session, found, others, most, seed=seed),
                )
        return hidden

    def tested(
        self, hidden: dict[int, tuple[HiddenInWrong, HiddenInWrong]], classes: int
    ) -> tuple[list[tuple[Cause, ...]], list[tuple[Cause, ...]]]:
        """Causes and attractions of each class, corrected for all of them."""
        causes: list[tuple[Cause, ...]] = [() for _ in range(classes)]
        attractions = list(causes)
        tested = cause_tests([one for both in hidden.values() for one in both], seed=self.settings.seed)
        for n, i in enumerate(hidden):
            causes[i], attractions[i] = tested[2 * n : 2 * n + 2]
        return causes, attractions

    def slices(
        self,
        found: ExplainedClass,
        explained: Sequence[ExplainedClass],
        hidden: dict[int, tuple[HiddenInWrong, HiddenInWrong]],
        left_out: list[str],
    ) -> tuple[Slice, ...]:
        """Slices by effect, then those by presence that are others."""
        seed, place = self.settings.seed, next(i for i, other in enumerate(explained) if other is found)
        by_effect: tuple[Slice, ...] = ()
        measured = place in hidden and not self.late(f"slices of “{found.run.target}” by effect", left_out)
        if measured:
            named = {other.run.target: other for other in explained}
            taken = [attracted for i, (_, attracted) in hidden.items() if i != place]
            by_effect = effect_slices(self.session, found, named, hidden[place][0], taken, seed=seed)
        by_presence = find_slices(found.volumes, found.wrong, permutations=self.measures.permutations, seed=seed)
        return joined_slices(by_effect, by_presence) if measured else by_presence

    def of_class(
        self,
        found: ExplainedClass,
        explained: Sequence[ExplainedClass],
        spaces: dict[str, ClassSpace],
        presence: tuple[PresenceTest, ...],
        causes: tuple[Cause, ...],
        attractions: tuple[Cause, ...],
        slices: tuple[Slice, ...],
        left_out: list[str],
    ) -> ClassAudit:
        """What is found about one class."""
        run, m, seed = found.run, self.measures, self.settings.seed
        session, name = self.session, run.target
        kinds: Any = ()
        change = None
        if not self.late(f"kinds of the concepts of “{name}”", left_out):
            kinds = steps.shares_by_kind(session, found, m.kind_clips, seed=seed)
            change = steps.clip_change(session, found, m.kind_clips, seed=seed)
        main = main_concepts(found, m.main_concepts)
        stand: Any = ()
        moved: Any = ()
        added: Any = ()
        if not self.late(f"relations of the concepts of “{name}”", left_out):
            stand = relations(session, found, main, permutations=m.permutations, seed=seed)
            moved = relation_effects(session, found, main, m.relation_clips, seed=seed)
            others = [other for other in explained if other is not found]
            added = added_concepts(session, found, others, spaces, main, m.relation_clips, seed=seed)
        effect = run.scores["effect"]
        audited = next(own for own in self.classes if own.label == name)
        return ClassAudit(
            label=name,
            index=found.index,
            clips=len(audited.clips),
            right=int((~audited.wrong).sum()),
            predicted_as=self.predicted_as(audited),
            recognised=run.recognition is not None and run.recognition.holds,
            sources=tuple(str(clip.source) for clip in run.clips),
            wrong=tuple(bool(w) for w in found.wrong),
            concepts=_concepts(found),
            kinds=kinds,
            change=change,
            presence=presence,
            slices=slices,
            causes=causes,
            attractions=attractions,
            suspects=suspects(found.kinds, effect.value.tolist(), effect.q_value.tolist(), kinds, attractions),
            relations=stand,
            relation_effects=moved,
            added=added,
        )

    def predicted_as(self, audited: AuditedClass) -> tuple[tuple[str, int], ...]:
        """Wrongly predicted classes with their numbers of clips, the most frequent first."""
        classes, counts = np.unique(audited.logits[audited.wrong].argmax(1), return_counts=True)
        order = np.argsort(-counts, kind="stable")
        return tuple((self.model.classes[classes[i]], int(counts[i])) for i in order)

    def pairs(self, explained: Sequence[ExplainedClass], shared: Sequence[SharedConcept]) -> tuple[ConfusedPair, ...]:
        """The most confused pairs of explained classes."""
        by_label = {found.run.target: found for found in explained}
        audited = {own.label: own for own in self.classes if own.label in by_label}
        counts = {
            (a, b): int((audited[a].logits.argmax(1) == audited[b].index).sum())
            for a in audited
            for b in audited
            if a != b
        }
        listed = sorted({(a, b) for (a, b), n in counts.items() if n + counts[b, a] >= _PAIRED and n >= counts[b, a]})
        listed = [(a, b) for a, b in listed if counts[a, b] > counts[b, a] or a < b]
        made = [self.pair(by_label[a], by_label[b], counts[a, b], counts[b, a], audited, shared) for a, b in listed]
        return tuple(sorted(made, key=lambda pair: -pair.rate)[: self.measures.pairs])

    def pair(
        self,
        a: ExplainedClass,
        b: ExplainedClass,
        confused: int,
        reverse: int,
        audited: dict[str, AuditedClass],
        shared: Sequence[SharedConcept],
    ) -> ConfusedPair:
        """A confused pair with the concepts that both rest on, and the evidence for one against the other."""
        one, other, seed = a.run.target, b.run.target, self.settings.seed
        total = len(audited[one].clips) + len(audited[other].clips)
        both = [
            (dict([pair.first, pair.second])[one], dict([pair.first, pair.second])[other])
            for pair in shared
            if {pair.first[0], pair.second[0]} == {one, other}
        ]
        effect = {found.run.target: found.run.scores["effect"].value for found in (a, b)}
        return ConfusedPair(
            one,
            other,
            confused,
            reverse,
            (confused + reverse) / total,
            *wilson_interval(confused + reverse, total),
            tuple((i, j) for i, j in both if effect[one][i] > 0 and effect[other][j] > 0),
            evidence(a.run.effects, a.index, b.index, one, other, seed=seed),
            evidence(b.run.effects, b.index, a.index, other, one, seed=seed),
        )

    def late(self, what: str, left_out: list[str]) -> bool:
        """Whether there is no time left; then ``what`` is noted as left out."""
        over = self.end is not None and self.clock() > self.end
        if over:
            left_out.append(what)
        return over


class _Joined(Sequence[Clip]):
    """Some clips of several classes as one sequence, read on access."""

    def __init__(self, classes: Sequence[AuditedClass], drawn: Sequence[tuple[int, int]]) -> None:
        self._classes, self._drawn = classes, drawn

    def __len__(self) -> int:
        return len(self._drawn)

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return _Joined(self._classes, self._drawn[index])
        n, i = self._drawn[index]
        return self._classes[n].clips[i]


def _concepts(found: ExplainedClass) -> tuple[ConceptAudit, ...]:
    run = found.run
    effect = run.scores["effect"]
    by = {m.concept: m.matters_by for m in motion_or_place(run.effects, found.index)}
    volumes = found.volumes
    return tuple(
        ConceptAudit(
            int(k),
            rank + 1,
            found.kinds[k],
            float(effect.value[k]),
            float(effect.interval[k, 0]),
            float(effect.interval[k, 1]),
            float(effect.q_value[k]),
            float(volumes[:, k].mean()),
            int((volumes[:, k] > 0).sum()),
            by.get(int(k), ""),
        )
        for rank, k in enumerate(effect.rank)
    )


def _provenance(runs: Sequence[ConceptRun]) -> dict[str, Any]:
    """What all runs have in common, and the hashes of their videos."""
    own = dict(runs[0].provenance)
    own["videos"] = {name: content for run in runs for name, content in run.provenance["videos"].items()}
    own["unrelated_videos"] = {n: c for run in runs for n, c in run.provenance["unrelated_videos"].items()}
    return own
