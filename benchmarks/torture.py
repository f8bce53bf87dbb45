"""Torture of voxplain: kills, damaged videos, changed files, a long video, batch sizes, many files, a long loop.

    python benchmarks/torture.py --kills 100 --inputs 2000 -o torture.json

Prints and writes one JSON object. Parts are measured separately with ``--only``; what was not measured is null, and
parts that an earlier file holds are kept. docs/reliability.md has the figures.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import io
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

KEYS = (
    "kills",
    "kills_equal",
    "kills_that_met_a_run",
    "fuzz_inputs",
    "fuzz_tracebacks",
    "fuzz_hangs",
    "damaged_videos",
    "lost_frames_videos",
    "silent_losses",
    "peak_mib_10min_1080p",
    "peak_fps",
    "peak_mib_attribute_1000_clips",
    "peak_mib_benchmark_1000_clips",
    "peak_mib_all_methods",
    "batch_size_equal",
    "scan_100k_seconds",
    "scan_100k_peak_mib",
    "classes_1000_seconds",
    "store_files",
    "store_open_seconds",
    "store_lookup_microseconds",
    "store_list_seconds",
    "soak_rounds",
    "soak_seconds",
    "soak_mib",
    "soak_rise_mib",
    "soak_rise_files",
    "soak_rise_threads",
)
PARTS = ("kills", "fuzz", "videos", "memory", "many", "batch", "scan", "store", "soak")
QUICK = ("--segmenter", "slic", "--segmenter.segments", "4", "8", "--clusterer", "kmeans", "--clusterer.clusters", "4")
QUICK += ("--keep", "3", "--unrelated-crops", "12", "--random-sets", "4")


def command(*words: object) -> list[str]:
    """The command line of voxplain in this environment."""
    return [sys.executable, "-m", "voxplain", *map(str, words)]


def digests(folder: Path) -> dict[str, str]:
    """Hash of every result of a run: not of times.json, which holds the seconds that steps took."""
    files = (p for p in folder.rglob("*") if p.is_file() and p.name != "times.json" and "store" not in p.parts)
    return {p.relative_to(folder).as_posix(): hashlib.sha256(p.read_bytes()).hexdigest() for p in files}


def planted(folder: Path) -> Path:
    """A small planted set."""
    subprocess.run(command("planted", folder, "--train", 4, "--test", 2, "--unrelated", 8), check=True)
    return folder


def concepts(data: Path, output: Path, *more: object) -> list[str]:
    """A quick run of `voxplain concepts`."""
    words = ("--class", "cross", "--net", "planted", "--random", data / "unrelated", "--device", "cpu")
    return command("concepts", data, *words, *QUICK, "-o", output, *more)


class Forks:
    """Commands in forks of one process that has loaded the libraries, so that a kill meets the work and not an import.

    tests/cli/runner.py has the protocol.
    """

    def __init__(self) -> None:
        one = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
        program = Path(__file__).parents[1] / "tests" / "cli" / "runner.py"
        self._process = subprocess.Popen(
            [sys.executable, str(program)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env=os.environ | one,
        )
        self._answer()

    def _answer(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline().strip()

    def _tell(self, text: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(text + "\n")
        self._process.stdin.flush()

    def run(self, words: list[str], kill: tuple[float, signal.Signals] | None = None) -> int:
        """The exit code of `voxplain` with these words, which gets a signal after some seconds."""
        self._tell(json.dumps({"words": words, "kill": None}))
        child = int(self._answer().removeprefix("started "))
        if kill is not None:
            time.sleep(kill[0])
            os.kill(child, kill[1])  # an ended child keeps its number until it is waited for
        self._tell("")
        return int(self._answer())

    def close(self) -> None:
        """End the process."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()


def killed_commands(data: Path) -> list[list[str]]:
    """The commands that are killed in turn, but for -o: mostly the one that writes the most files a second."""
    net = ["--net", "planted", "--device", "cpu"]
    clip = min((data / "test" / "cross").iterdir())
    attribute = ["attribute", str(clip), *net, "--method", "gradient,grad_cam", "--format", "mp4", "gif", "png"]
    benchmark = ["benchmark", str(data), *net, "--methods", "gradient,random", "--metrics", "insertion", "--limit", "7"]
    explain = concepts(data, data)[3:-2]
    return [attribute, attribute, benchmark, attribute, attribute, explain, attribute, benchmark, attribute, attribute]


def kills(count: int, most_seconds: float, folder: Path) -> dict[str, Any]:
    """Kill runs at random moments, run them again, and compare every file with those of undisturbed runs."""
    data, forks = planted(folder / "data"), Forks()
    commands, lengths, wanted = killed_commands(data), dict[str, float](), dict[str, dict[str, str]]()
    for words in commands:
        if words[0] not in wanted:
            place, once_more = folder / words[0] / "run", folder / f"{words[0]} again" / "run"
            assert forks.run([*words, "-o", str(place)]) == 0, words
            start = time.monotonic()  # the first run also reads what the later ones find in memory
            assert forks.run([*words, "-o", str(once_more)]) == 0, words
            lengths[words[0]], wanted[words[0]] = time.monotonic() - start, same(place)
    rng, equal, met, begun, done = np.random.default_rng(0), 0, 0, time.monotonic(), 0
    while done < count and time.monotonic() - begun < most_seconds:
        words = commands[done % len(commands)]
        output = folder / str(done) / "run"
        kind = (signal.SIGKILL, signal.SIGTERM, signal.SIGHUP)[done % 3]
        met += forks.run([*words, "-o", str(output)], (float(rng.uniform(0, lengths[words[0]])), kind)) != 0
        ended = forks.run([*words, "-o", str(output)])
        found, right = same(output), wanted[words[0]]
        equal += ended == 0 and found == right
        if ended or found != right:
            changed = sorted(name for name in found.keys() | right.keys() if found.get(name) != right.get(name))
            print(f"{words[0]}, {kind.name}: exit code {ended}, other files: {changed}", file=sys.stderr, flush=True)
        shutil.rmtree(folder / str(done))
        done += 1
        print(f"{done} killed, {met} before their end, {equal} equal", file=sys.stderr, flush=True)
    forks.close()
    return {"kills": done, "kills_equal": equal, "kills_that_met_a_run": met}


def same(run: Path) -> dict[str, str]:
    """`digests`, without the tables and records of a benchmark, which hold the seconds of each method."""
    timed = ("table.md", "table.csv", "results.json") if (run / "results.json").is_file() else ()
    found = digests(run)
    for name in timed:
        found.pop(name, None)
    if timed:
        rows = json.loads((run / "results.json").read_text())
        found["results.json without seconds"] = json.dumps(without_seconds(rows), sort_keys=True)
    return found


def without_seconds(value: Any) -> Any:
    """Plain values without those named "seconds"."""
    if isinstance(value, dict):
        return {name: without_seconds(item) for name, item in value.items() if name != "seconds"}
    return [without_seconds(item) for item in value] if isinstance(value, list) else value


def fuzz(count: int, folder: Path) -> dict[str, Any]:
    """Read changed copies of every kind of file."""
    from damaged_files import HANG, kinds
    from damaged_files import fuzz as one
    from report_runs import make_evaluated_run
    from voxplain.cli.job import Job, job_record
    from voxplain.cli.network import Network
    from voxplain.concepts.settings import ConceptSettings
    from voxplain.nets import build_net, save_weights

    save_weights(build_net("tiny", 2), folder / "w.safetensors", {"net": "tiny", "classes": '["a", "b"]'})
    job = Job(folder, folder, folder, ("a",), Network(net="planted"), ConceptSettings(), "default")
    run = make_evaluated_run()
    every = kinds(lambda: run, job_record(job, [("keep", 3)]), folder / "w.safetensors")
    quick = [kind for kind in every if kind.name not in ("page of a run", "weights")]
    outcomes = []
    for number, kind in enumerate(every):
        each = -(-count // len(quick)) if kind in quick else 10
        for seed in range(each):
            with contextlib.redirect_stdout(io.StringIO()):
                outcomes.append(one(kind, folder / str(number), seed))
    escaped = [o for o in outcomes if o.ended not in ("read", "refused")]
    for outcome in escaped:
        print(outcome, file=sys.stderr)
    return {
        "fuzz_inputs": len(outcomes),
        "fuzz_tracebacks": len(escaped),
        "fuzz_hangs": sum(o.seconds > HANG for o in outcomes),
    }


def videos(copies: int, folder: Path) -> dict[str, Any]:
    """Read damaged copies of videos; a loss of which nothing is counted is silent."""
    from damaged_videos import FRAMES, clean_videos, damaged_copies
    from voxplain.errors import VideoError
    from voxplain.video import read_video

    total = lost = silent = 0
    for number, path in enumerate(clean_videos(folder)):
        rng = np.random.default_rng([0, number])
        for kind, data in damaged_copies(path.read_bytes(), copies, rng):
            total += 1
            copy = folder / f"copy{path.suffix}"
            copy.write_bytes(data)
            try:
                clip = read_video(copy)
            except VideoError:
                continue
            lost += len(clip) < FRAMES
            if len(clip) < FRAMES and not clip.damaged:
                silent += 1
                print(f"silent: {path.name}, {kind}: {len(clip)} frames", file=sys.stderr)
    return {"damaged_videos": total, "lost_frames_videos": lost, "silent_losses": silent}


def moving(path: Path, frames: int, fps: int = 30) -> Path:
    """A video of 1920×1080 in which a rectangle moves."""
    import av

    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=Fraction(fps), options={"preset": "ultrafast", "bf": "0"})
        stream.width, stream.height, stream.pix_fmt = 1920, 1080, "yuv420p"
        for i in range(frames):
            frame = np.zeros((1080, 1920, 3), np.uint8)
            frame[100:400, (7 * i) % 1700 : (7 * i) % 1700 + 200] = (200, 40, 40)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, "rgb24")))
        container.mux(stream.encode())
    return path


def repeated(piece: Path, path: Path, times: int) -> Path:
    """The same video several times in a row, without coding it again."""
    import av

    with av.open(str(path), "w") as out, av.open(str(piece)) as source:
        template = source.streams.video[0]
        stream = out.add_stream_from_template(template)
        packets = [(bytes(p), p.pts, p.is_keyframe, p.duration) for p in source.demux(template) if p.size]
        length = max(pts for _, pts, _, _ in packets) + packets[0][3]
        for round_ in range(times):
            for data, pts, key, duration in packets:
                packet = av.Packet(data)
                packet.pts = packet.dts = pts + round_ * length
                packet.time_base, packet.duration, packet.is_keyframe = template.time_base, duration, key
                packet.stream = stream
                out.mux(packet)
    return path


def memory(minutes: float, fps: int, folder: Path) -> dict[str, Any]:
    """Peak of resident memory of `voxplain attribute` on a long video of 1920×1080."""
    path = repeated(moving(folder / "piece.mp4", 10 * fps, fps), folder / "long.mp4", round(minutes * 6))
    words = ("--net", "planted", "--method", "gradient", "--metric", "none", "--format", "png", "-o", folder / "out")
    code, peak = peak_mib(command("attribute", path, *words))
    return {
        "peak_mib_10min_1080p": peak if code == 0 and minutes >= 10 else None,
        "peak_mib": peak if code == 0 else None,
        "peak_minutes": minutes,
        "peak_fps": fps,
    }


def peak_mib(words: list[str]) -> tuple[int, int]:
    """The exit code of a command, and the peak of its resident memory in MiB."""
    process = subprocess.Popen(words)
    _, status, used = os.wait4(process.pid, 0)
    return os.waitstatus_to_exitcode(status), used.ru_maxrss // 1024


WITH_MASKS = ("bounce", "cross", "orbit", "right", "ring", "triangle")  # classes that an object decides


def many(clips: int, folder: Path) -> dict[str, Any]:
    """Peaks of resident memory of commands on many clips, and of `voxplain attribute` with every method."""
    words = command("planted", folder / "data", "--train", 1, "--test", -(-clips // len(WITH_MASKS)), "--unrelated", 8)
    subprocess.run(words, check=True, stdout=subprocess.DEVNULL)
    videos = [path for name in WITH_MASKS for path in sorted((folder / "data" / "test" / name).iterdir())][:clips]
    planted_net = ("--net", "planted", "--device", "cpu")
    found = {}
    for name, words in {
        "peak_mib_all_methods": ("attribute", videos[0], "--method", "all", "--format", "png"),
        "peak_mib_benchmark_1000_clips": (
            *("benchmark", folder / "data", "--methods", "gradient", "--metrics", "pointing_game"),
            *("--truth", "planted", "--class", *WITH_MASKS, "--limit", clips),
        ),
        "peak_mib_attribute_1000_clips": ("attribute", *videos, "--method", "grad_cam", "--metric", "none"),
    }.items():
        start = time.monotonic()
        code, peak = peak_mib(command(*words, *planted_net, "-o", folder / name))
        found[name] = peak if code in (0, 3) and (clips >= 1000 or name == "peak_mib_all_methods") else None
        print(f"{name}, {clips} clips: exit code {code}, {peak} MiB, {time.monotonic() - start:.0f} s", file=sys.stderr)
    return found


# What must not matter, by name of an environment variable; the second differs in the folder and its spelling, too.
SURROUNDINGS = (
    (32, 1, {"OMP_NUM_THREADS": "1", "PYTHONHASHSEED": "1", "LC_ALL": "C"}),
    (7, 2, {"OMP_NUM_THREADS": "2", "PYTHONHASHSEED": "77", "LC_ALL": "C.UTF-8"}),
)


def batch(folder: Path) -> dict[str, Any]:
    """Whether two runs give the same results whose batch size, workers, threads, hash seed, locale and place differ."""
    planted(folder / "data")
    shutil.copytree(folder / "data", folder / "another place" / "data")
    found = []
    for number, (size, workers, variables) in enumerate(SURROUNDINGS):
        place = folder / "another place" if number else folder
        data, output = (place / "data", folder / "out" / "run") if number else (Path("data"), Path("run"))
        words = concepts(data, output, "--batch-size", size, "--workers", workers)
        subprocess.run(words, check=True, stdout=subprocess.DEVNULL, env=os.environ | variables, cwd=place)
        names = ("cross/run.json", "cross/run.npz", "cross/concepts.csv")
        found.append([hashlib.sha256((place / output / name).read_bytes()).hexdigest() for name in names])
    return {"batch_size_equal": found[0] == found[1]}


def scan(count: int, folder: Path) -> dict[str, Any]:
    """Seconds and memory of listing a folder of many videos, in 100 classes and in 1,000."""
    said = {}
    for classes in (100, 1000):
        for label in range(classes):
            place = folder / f"many{classes}" / f"class{label}"
            place.mkdir(parents=True)
            for i in range(count // classes):
                os.close(os.open(place / f"video{i}.mp4", os.O_CREAT | os.O_WRONLY))
        program = (
            "import resource, sys, time\n"
            "from voxplain.datasets import scan_folder\n"
            "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
            "start = time.process_time()\n"
            "found = scan_folder(sys.argv[1])\n"
            "took = time.process_time() - start\n"
            "print(len(found), took, (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)\n"
        )
        said[classes] = subprocess.run(
            [sys.executable, "-c", program, str(folder / f"many{classes}")], check=True, capture_output=True, text=True
        ).stdout.split()
        assert int(said[classes][0]) == count
    return {
        "scan_100k_seconds": round(float(said[100][1]), 2),
        "scan_100k_peak_mib": int(said[100][2]),
        "classes_1000_seconds": round(float(said[1000][1]), 2),
    }


def store(count: int, folder: Path) -> dict[str, Any]:
    """Seconds of opening and listing a store of many results, and of looking one up."""
    from voxplain.store import Store, key

    made = Store(folder / "store")
    names = [key("step", 1, number=i) for i in range(1000)]
    for digits in range(256):
        (folder / "store" / "step" / f"{digits:02x}").mkdir(parents=True)
    for i in range(count):
        name = hashlib.md5(i.to_bytes(4, "big"), usedforsecurity=False).hexdigest()
        os.close(os.open(made.path("step", name, ".json"), os.O_CREAT | os.O_WRONLY))
    start = time.process_time()
    many = Store(folder / "store")
    opened = time.process_time()
    found = sum(many.has("record", "step", name) for name in names)
    looked = time.process_time()
    listed = len(many.names("step"))
    ended = time.process_time()
    assert (found, listed) == (0, count)
    return {
        "store_files": count,
        "store_open_seconds": round(opened - start, 2),
        "store_lookup_microseconds": round(1e6 * (looked - opened) / len(names), 1),
        "store_list_seconds": round(ended - looked, 2),
    }


def long_loop(rounds: int, seconds: float, folder: Path) -> dict[str, Any]:
    """Memory, files and threads of the same commands in a loop, in a process of its own."""
    program = Path(__file__).with_name("soak.py")
    words = (program, "--rounds", rounds, "--seconds", seconds, "-o", folder / "soak.json")
    subprocess.run([sys.executable, *map(str, words)], check=True)
    found: dict[str, Any] = json.loads((folder / "soak.json").read_text())
    return found


# What docs/reliability.md shows: what is measured, its keys, the aim, and the part that measures it.
ROWS = (
    (
        "damaged copies of 12 videos: losses of which nothing is counted",
        ("damaged_videos", "lost_frames_videos", "silent_losses"),
        "0",
        "videos",
    ),
    ("changed copies of 13 kinds of files", ("fuzz_inputs", "fuzz_tracebacks", "fuzz_hangs"), "≥ 2,000, 0, 0", "fuzz"),
    (
        "listing 100,000 videos in 100 classes, and in 1,000",
        ("scan_100k_seconds", "scan_100k_peak_mib", "classes_1000_seconds"),
        "≤ 2 s, ≤ 200 MiB",
        "scan",
    ),
    (
        "a store of a million results: opening it, looking one up, listing all",
        ("store_files", "store_open_seconds", "store_lookup_microseconds", "store_list_seconds"),
        "",
        "store",
    ),
    (
        "killed runs that continue to the same files",
        ("kills", "kills_equal", "kills_that_met_a_run"),
        "100 of 100",
        "kills",
    ),
    (
        "peak of `attribute` on 10 minutes of 1080p in MiB, and its frames a second",
        ("peak_mib_10min_1080p", "peak_fps"),
        "≤ 1,536",
        "memory",
    ),
    (
        "peaks, MiB: `attribute` and `benchmark` on 1,000 clips, `attribute` with all methods",
        ("peak_mib_attribute_1000_clips", "peak_mib_benchmark_1000_clips", "peak_mib_all_methods"),
        "≤ 1,536",
        "many",
    ),
    (
        "same results with other batches, workers, threads, hash seeds, locales and folders",
        ("batch_size_equal",),
        "true",
        "batch",
    ),
    (
        "`concepts`, `attribute` and `benchmark` in a loop: rise after the third round",
        ("soak_rounds", "soak_seconds", "soak_rise_mib", "soak_rise_files", "soak_rise_threads"),
        "flat",
        "soak",
    ),
)


def table(known: dict[str, Any]) -> str:
    """The figures as a table in Markdown, a command beside each."""
    lines = ["| what | keys | measured | aim | command |", "|---|---|---|---|---|"]
    for what, keys, aim, part in ROWS:
        found = [known.get(key) for key in keys]
        shown = "not measured" if None in found else ", ".join(json.dumps(value) for value in found)
        names = ", ".join(f"`{key}`" for key in keys)
        lines.append(f"| {what} | {names} | {shown} | {aim} | `python benchmarks/torture.py --only {part}` |")
    return "\n".join(lines)


def main() -> None:
    """Measure the parts that are asked for, and write what is known."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", nargs="*", choices=PARTS, default=PARTS)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--most-seconds", type=float, default=float("inf"), help="after which no more runs are killed")
    parser.add_argument("--inputs", type=int, default=2000)
    parser.add_argument("--copies", type=int, default=36, help="damaged copies of each of twelve videos")
    parser.add_argument("--minutes", type=float, default=10, help="length of the 1080p video")
    parser.add_argument("--fps", type=int, default=30, help="frames a second of the 1080p video")
    parser.add_argument("--clips", type=int, default=1000, help="of the part `many`")
    parser.add_argument("--results", type=int, default=1_000_000, help="files of the store")
    parser.add_argument("--rounds", type=int, default=10, help="least rounds of the loop")
    parser.add_argument("--seconds", type=float, default=3600, help="least seconds of the loop")
    parser.add_argument("-o", "--output", type=Path, default=Path("torture.json"))
    parser.add_argument("--table", action="store_true", help="print the known figures as a table; measure nothing")
    args = parser.parse_args()
    known: dict[str, Any] = dict.fromkeys(KEYS)
    known |= json.loads(args.output.read_text()) if args.output.is_file() else {}
    if args.table:
        print(table(known))
        return
    measure = {
        "kills": lambda folder: kills(args.kills, args.most_seconds, folder),
        "fuzz": lambda folder: fuzz(args.inputs, folder),
        "videos": lambda folder: videos(args.copies, folder),
        "memory": lambda folder: memory(args.minutes, args.fps, folder),
        "many": lambda folder: many(args.clips, folder),
        "batch": batch,
        "scan": lambda folder: scan(100_000, folder),
        "store": lambda folder: store(args.results, folder),
        "soak": lambda folder: long_loop(args.rounds, args.seconds, folder),
    }
    for part in args.only:
        with tempfile.TemporaryDirectory(prefix="voxplain-torture-") as folder:
            known |= measure[part](Path(folder))
        args.output.write_text(json.dumps(known, indent=1) + "\n")
    print(json.dumps(known, indent=1))


if __name__ == "__main__":
    main()
