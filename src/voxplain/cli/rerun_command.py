"""The command line that repeats a job."""

import json
import shlex
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from typing import Any

from voxplain.cli.job import Job
from voxplain.cli.sources import short_command
from voxplain.concepts.settings import CHOICES, PRESETS

__all__ = ["command_of"]


def command_of(job: Job, *, evaluate: bool) -> str:
    """Return the command line of a job; of its settings only those that differ from the preset.

    Parameters
    ----------
    job : Job
        The job.
    evaluate : bool
        Whether to add a line with `voxplain evaluate`.

    Returns
    -------
    str
        One line or two, quoted for a shell; absolute paths by their names, so that no path of a machine is in it.
    """
    preset = job.preset if job.preset in PRESETS else "default"
    words = ["voxplain", "concepts", job.data, "--class", *job.classes]
    for field in fields(job.network):
        value = getattr(job.network, field.name)
        if value != field.default:
            given = () if value is True else value if isinstance(value, tuple) else (value,)
            words += [f"--{field.name.replace('_', '-')}", *given]
    words += ["--target", job.target] if job.target else []
    held = job.held
    words += ["--split", held.split] if held.split else []
    words += ["--hold-out", *held.hold_out] if held.hold_out else []
    words += ["--dataset", held.dataset] if held.dataset else []
    words += ["--fold", held.fold] if held.fold != 1 else []
    words += ["--images"] if held.images else []
    words += ["--list", held.files.list_] if held.files.list_ else []
    words += ["--test-list", held.files.test_list] if held.files.test_list else []
    words += ["--first-label", held.files.first_label] if held.files.first_label else []
    words += ["--random", job.random]
    words += ["--preset", preset] if preset != "default" else []
    words += ["--seed", job.settings.seed] if job.settings.seed else []
    words += ["--whole"] if job.whole else []
    words += ["--damaged", job.damaged] if job.damaged != "skip" else []
    words += ["--budget", f"{job.budget:g}s"] if job.budget else []
    words += list(_changes(PRESETS[preset], job.settings))
    line = shlex.join(short_command([*map(str, words), "-o", job.output.name]))
    if not evaluate:
        return line
    evaluation = ["voxplain", "evaluate", job.output.name, *(["--test", job.test] if job.test else [])]
    return f"{line}\n{shlex.join(short_command([str(word) for word in evaluation]))}"


def _changes(old: Any, new: Any, prefix: str = "") -> Iterator[Any]:
    """Options for the fields in which two settings differ, methods by their names."""
    for field in fields(new):
        before, after = getattr(old, field.name), getattr(new, field.name)
        name = f"{prefix}{field.name}"
        if before == after or name == "seed":
            continue
        known = CHOICES.get(name, {})
        same = [word for word, method in known.items() if method == after]
        alike = [word for word, method in known.items() if type(method) is type(after)]
        if same:
            yield from (f"--{name}", same[0])
        elif is_dataclass(after):
            if type(after) is not type(before):
                yield from (f"--{name}", alike[0])
                before = known[alike[0]]
            yield from _changes(before, after, f"{name}.")
        elif isinstance(after, tuple):
            nested = any(isinstance(part, tuple) for part in after)
            yield from (f"--{name}", *((json.dumps(after),) if nested else after))
        else:
            yield from (f"--{name}", after)
