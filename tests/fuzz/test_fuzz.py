"""Every seed and some hundred mutations of each kind: no crash, no hang, no payload, one sentence. More by hand."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from fuzz.targets import TARGETS

TESTS = Path(__file__).resolve().parents[1]

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the limits are those of Linux")


def campaign(*arguments: str, keep: Path) -> list[dict]:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join((str(TESTS), str(TESTS.parent)))}
    done = subprocess.run(
        [sys.executable, "-m", "fuzz.campaign", "--keep", str(keep), *arguments],
        env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.mark.parametrize("kind", TARGETS)
def test_hostile_files_are_refused_in_a_sentence(kind: str, tmp_path: Path) -> None:
    (tally,) = campaign(kind, "--count", "100", keep=tmp_path)
    assert tally.get("findings") == [], tally
    assert tally["refused"] > 10 and tally["read"] > 0, "the seeds are read, the damaged ones are not"


@pytest.mark.nightly
@pytest.mark.timeout(3600)
def test_a_long_campaign_finds_nothing(tmp_path: Path) -> None:
    for tally in campaign("--count", "3000", "--seed", "20261121", keep=tmp_path):
        print(tally)
        assert tally.get("findings") == [], tally
