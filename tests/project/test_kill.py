"""The program is killed at random moments of an editing run; what was completed is there."""

from __future__ import annotations

import hashlib
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path, PurePosixPath

import numpy as np
import pytest

from camviewer.project.records import Box, ImageRecord, Mask
from camviewer.project.store import Project

IMAGES = 5
SIZE = (50, 30)


def edit(project: Project, step: int) -> None:
    """Do the edit number `step`; the same number is always the same edit."""
    draw = random.Random(step)
    image = draw.randint(1, IMAGES)
    mask = np.random.default_rng(step).random((SIZE[1], SIZE[0])) > draw.random()
    match step % 6:
        case 0:
            project.set_mask(image, Mask(mask, draw.randint(1, 2)))
        case 1:
            project.add_box(image, Box(0, 0, draw.random() * 50, 20, 1))
        case 2:
            project.set_note(image, f"note {step}")
        case 3:
            project.store_result(image, run_id=None, boxes=[Box(1, 1, 2, 2, 1)], masks=[Mask(mask, 1)])
        case 4:
            project.set_status([image], draw.choice(["edited", "reviewed", "skipped"]))
        case 5:
            with project.transaction():
                project.set_flags(image, [f"flag{step}"])
                project.set_mask(image, Mask(mask, 2))


def state(project: Project) -> str:
    digest = hashlib.sha256()
    for image in project.images():
        digest.update(repr((image.path, image.status, image.flags, image.note)).encode())
        digest.update(repr(project.boxes(image.id)).encode())
        for mask in project.masks(image.id):
            digest.update(repr((mask.class_id, mask.slot)).encode() + mask.pixels.tobytes())
    return digest.hexdigest()


def begin(path: Path) -> Project:
    project = Project.create(path)
    project.add_images([ImageRecord(PurePosixPath(f"{i}.jpg"), SIZE) for i in range(IMAGES)])
    return project


SCRIPT = """
import sys
from pathlib import Path
import importlib.util
spec = importlib.util.spec_from_file_location("kill", sys.argv[2])
kill = importlib.util.module_from_spec(spec)
spec.loader.exec_module(kill)
project = kill.begin(Path(sys.argv[1]))
print("ready", flush=True)
for step in range(100_000):
    kill.edit(project, step)
    print(step, flush=True)
"""


def kill_once(folder: Path, seed: int) -> None:
    path = folder / f"{seed}.camviewer"
    process = subprocess.Popen(
        [sys.executable, "-c", SCRIPT, str(path), __file__], stdout=subprocess.PIPE, text=True, bufsize=1
    )
    assert process.stdout is not None
    assert process.stdout.readline().strip() == "ready"
    time.sleep(random.Random(seed).uniform(0, 0.3))
    os.kill(process.pid, signal.SIGKILL)
    lines = process.stdout.read().split("\n")
    process.stdout.close()
    process.wait()
    completed = len([line for line in lines[:-1] if line])
    with Project.open(path) as survivor, begin(folder / f"{seed}-again.camviewer") as again:
        found = state(survivor)
        for step in range(completed):
            edit(again, step)
        if found != state(again):  # the edit under way may have been completed without being reported
            edit(again, completed)
            assert found == state(again)
        survivor.set_note(1, "goes on")


needs_kill = pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs SIGKILL")


@needs_kill
@pytest.mark.parametrize("seed", range(4))
def test_a_killed_program_loses_no_completed_edit(tmp_path: Path, seed: int) -> None:
    kill_once(tmp_path, seed)


@needs_kill
@pytest.mark.nightly
def test_fifty_kills_lose_no_completed_edit(tmp_path: Path) -> None:
    for seed in range(100, 150):
        kill_once(tmp_path, seed)
