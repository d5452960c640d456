"""Predictions keep their meaning when a model with other classes is opened."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path, PurePosixPath

import pytest

from camviewer.project.predictions import translate_predictions
from camviewer.project.records import ImageRecord
from camviewer.project.store import Project

CAT, DOG, EMU, FOX = 1, 2, 3, 4


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    made = Project.create(tmp_path / "p.camviewer")
    made.add_images(ImageRecord(PurePosixPath(f"{i}.jpg"), (8, 8)) for i in range(3))
    made.store_result(1, run_id=None, top=[(1, 2.0, 0.8), (0, 1.0, 0.2)])  # dog, cat
    made.store_result(2, run_id=None, top=[(0, 3.0, 0.9), (1, 0.0, 0.1)])  # cat, dog
    yield made
    made.close()


def test_the_same_classes_in_another_order_keep_their_scores(project: Project) -> None:
    assert translate_predictions(project, {0: CAT, 1: DOG}, {0: DOG, 1: CAT}) == 2
    assert [tuple(row) for row in project.image(1).top] == [(0, 2.0, 0.8), (1, 1.0, 0.2)]
    assert [tuple(row) for row in project.image(2).top] == [(1, 3.0, 0.9), (0, 0.0, 0.1)]
    assert not project.image(3).top


def test_a_prediction_that_the_model_does_not_know_is_none(project: Project) -> None:
    assert translate_predictions(project, {0: CAT, 1: DOG}, {0: EMU, 1: FOX, 2: DOG}) == 2
    assert [tuple(row) for row in project.image(1).top] == [(2, 2.0, 0.8)]
    assert not project.image(2).top


def test_more_classes_behind_the_same_ones_change_nothing(project: Project) -> None:
    assert translate_predictions(project, {0: CAT, 1: DOG}, {0: CAT, 1: DOG, 2: EMU}) == 0
    assert [tuple(row) for row in project.image(2).top] == [(0, 3.0, 0.9), (1, 0.0, 0.1)]
