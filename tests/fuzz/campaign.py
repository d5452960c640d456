"""Mutates the seeds and watches what the program does with them, in a process with limits of its own.

    PYTHONPATH=tests python -m fuzz.campaign --count 2000 --seed 7 [KIND ...]

Each kind runs in a child with 6 GiB of address space above what it starts with. A finding is: a dead child, an
exception that is no sentence, an operation of more than 2 s of processor time, more than 1 GiB of new memory, a
payload that ran. Prints a line of JSON a kind; findings keep their file in --keep. Exit status 1 where there is one.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from fuzz import seeds
from fuzz.mutate import mutate
from fuzz.targets import TARGETS

SECONDS = 2.0
MEMORY = 1 << 30
SPACE = 6 << 30


def main() -> int:
    """Run the campaign."""
    parser = argparse.ArgumentParser()
    parser.add_argument("kinds", nargs="*", choices=[*TARGETS, []], metavar="KIND")
    parser.add_argument("--count", type=int, default=200, help="mutations a kind")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--keep", type=Path, help="folder for files that are findings")
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.child:
        return _child(given.kinds[0], given.seed, given.count, given.keep)
    status = 0
    for kind in given.kinds or TARGETS:
        with tempfile.TemporaryDirectory() as folder:
            keep = given.keep or Path(folder) / "findings"
            keep.mkdir(parents=True, exist_ok=True)
            command = [sys.executable, "-m", "fuzz.campaign", "--child", "--keep", str(keep), kind]
            command += ["--count", str(given.count), "--seed", str(given.seed)]
            done = subprocess.run(
                command, capture_output=True, text=True, check=False, env={**os.environ, "TMPDIR": folder}
            )
            if not done.stdout:
                print(json.dumps({"kind": kind, "died": done.returncode, "said": done.stderr[-1500:]}))
            else:
                print(done.stdout.strip().splitlines()[-1])
            status |= done.returncode != 0
    return status


def _child(kind: str, seed: int, count: int, keep: Path) -> int:
    target, make = TARGETS[kind]
    corpus = make()
    names = list(corpus)
    rng = random.Random(f"{kind} {seed}")
    folder = Path(tempfile.mkdtemp())
    marker = Path(seeds.Payload.MARKER)
    marker.unlink(missing_ok=True)
    for operation in target(_written(folder, names[0], corpus[names[0]])):  # imports are not the file's doing
        _attempt(operation)
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + SPACE, used + SPACE))
    tally = {"kind": kind, "files": 0, "operations": 0, "read": 0, "refused": 0, "slowest": 0.0, "findings": []}
    for number in range(len(names) + count):
        name = names[number] if number < len(names) else rng.choice(names)
        content = corpus[name] if number < len(names) else mutate(corpus[name], rng, corpus[rng.choice(names)])
        path = _written(folder, name, content)
        (keep / f"{kind}-last").write_bytes(content)  # what is on the table if the process dies
        tally["files"] += 1
        for operation in target(path):
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
            begun = time.process_time()
            problem = _attempt(operation)
            took = time.process_time() - begun
            grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - peak) * 1024
            tally["operations"] += 1
            tally["refused" if problem is not None else "read"] += 1
            tally["slowest"] = round(max(tally["slowest"], took), 2)
            if took > SECONDS:
                problem = f"took {took:.1f} s"
            elif grown > MEMORY:
                problem = f"took {grown >> 20} MiB"
            elif marker.exists():
                problem = "ran its payload"
                marker.unlink()
            elif not problem:
                continue
            finding = keep / f"{kind}-{len(tally['findings'])}-{name}"
            finding.write_bytes(content)
            tally["findings"].append([finding.name, problem])
    print(json.dumps(tally))
    return 1 if tally["findings"] else 0


def _written(folder: Path, name: str, content: bytes) -> Path:
    path = folder / name
    path.write_bytes(content)
    for suffix in ("-wal", "-shm"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)
    return path


def _attempt(operation) -> str | None:
    """Return None when it went well, an empty text for one good sentence, else what is wrong with the refusal."""
    from camviewer.errors import CamviewerError

    try:
        operation()
    except CamviewerError as error:
        text = error.message
        if not text or len(text) > 500 or any(ord(c) < 32 for c in text) or text[-1] not in ".?!)":
            return f"says {text[:600]!r}"
        return ""
    except Exception as error:
        return f"raised {type(error).__name__}: {str(error)[:300]}"
    return None


if __name__ == "__main__":
    sys.exit(main())
