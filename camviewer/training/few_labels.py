"""New classes from a handful of labels, on features that a network has already.

Zhou et al. (arXiv 1512.04150, section 4.2, "deep features for generic localization") train a linear classifier on what
global pooling gives; its weights make class activation maps of classes that the network was never trained for. When
every class is a kind of the same thing, those weights tell kinds apart and point nowhere: they need something that is
*not* the thing. So a background class is fed from the border of the pictures, or by clicks, and it is made the zero of
the scale: softmax probabilities do not change when the same vector is taken from the weights of all classes, and after
taking those of the background, the map of a class is its evidence against the background, cell by cell.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from camviewer.errors import UsageError
from camviewer.training.logistic import LinearFit, fit_logistic
from camviewer.training.measures import balanced_accuracy, confusion_matrix

Rows = NDArray[np.float32]
Labels = NDArray[np.int64]

BACKGROUND = "background"
"""Name of the class that is no object."""
PENALTY = 0.1
"""On squared weights of standardised features; of 0.001, 0.01 and 0.1 the best at 5, 10 and 40 labels a class."""
BORDERS = 200
"""Pictures whose border feeds the background, those with labels first."""
FOLDS = 5


@dataclass(frozen=True, slots=True, eq=False)
class Labelled:
    """What a person marked.

    Attributes:
        rows: features ``[N, K]``: of whole pictures, or of single cells (clicks).
        names: class of each row.
        picture: of each row, a number; rows of one picture stay together when accuracy is estimated.
        click: whether a row is a single cell.
    """

    rows: Rows
    names: tuple[str, ...]
    picture: Labels
    click: NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class NewClasses:
    """A class layer fitted to labels.

    Attributes:
        classes: names by logit; the background, where there is one, is the last.
        weight, bias: ``[C, K]`` and ``[C]`` on features as they are.
        counts: labels of each class, clicks included; the border's share of the background is not counted.
        accuracy: balanced accuracy over the classes of whole pictures, estimated by cross-validation; None with fewer
            than two pictures of a class.
        seconds: of the fit, without the estimate.
    """

    classes: tuple[str, ...]
    weight: Rows
    bias: Rows
    counts: Mapping[str, int]
    accuracy: float | None
    seconds: float

    @property
    def has_background(self) -> bool:
        """Whether the last class is the background."""
        return self.classes[-1] == BACKGROUND

    def probabilities(self, rows: Rows) -> NDArray[np.float64]:
        """Return the softmax of the class scores of features ``[N, K]``: ``[N, C]``."""
        return LinearFit(self.weight.astype(np.float64), self.bias.astype(np.float64)).probabilities(rows)


def fit_classes(labelled: Labelled, borders: Rows | None = None, *, estimate: bool = True) -> NewClasses:
    """Return a class layer for what was marked.

    Every class weighs the same, however many labels it has.

    Args:
        labelled: at least two classes, or one and a background.
        borders: border features ``[M, K]`` that feed the background; None for a background from its labels alone.
        estimate: whether to estimate the accuracy, which takes a few fits more.

    Raises:
        UsageError: when there is nothing to tell apart.
    """
    names = tuple(dict.fromkeys(name for name in labelled.names if name != BACKGROUND))
    marked_background = BACKGROUND in labelled.names
    with_background = marked_background or (borders is not None and len(borders) > 0)
    classes = (*names, BACKGROUND) if with_background else names
    if not names or len(classes) < 2:
        raise UsageError("Label pictures of two classes at least, or of one class beside the background.")
    started = time.perf_counter()
    labels = np.array([classes.index(name) for name in labelled.names], np.int64)
    fitted = _fit(labelled.rows, labels, borders, len(classes), with_background)
    # Nobody called a whole picture background, so no whole picture is to be taken for it.
    whole_background = any(
        name == BACKGROUND and not click for name, click in zip(labelled.names, labelled.click, strict=True)
    )
    if with_background and not whole_background:
        fitted = _keep_background_low(fitted, labelled.rows[~labelled.click])
    seconds = time.perf_counter() - started
    return NewClasses(
        classes,
        fitted.weight.astype(np.float32),
        fitted.bias.astype(np.float32),
        {name: labelled.names.count(name) for name in classes},
        _estimate(labelled, labels, borders, classes) if estimate else None,
        seconds,
    )


def margins(probabilities: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return by how much the best class of each row beats the second best, ``[N]``: small where the network is unsure.

    A picture with the smallest margin is the one whose label helps most (Settles 2009, "margin sampling").
    """
    if probabilities.shape[1] < 2:
        return np.ones(len(probabilities))
    ordered = np.sort(probabilities, axis=1)
    return np.asarray(ordered[:, -1] - ordered[:, -2])


def spread_borders(border: Rows, marked: Sequence[int]) -> Rows:
    """Return the rows of `border` that feed the background: those of marked pictures, then others, evenly spread."""
    first = list(dict.fromkeys(marked))[:BORDERS]
    others = np.setdiff1d(np.arange(len(border)), first)
    room = min(BORDERS - len(first), len(others))
    chosen = others[np.linspace(0, len(others) - 1, room).astype(int)] if room > 0 else others[:0]
    rows: Rows = border[np.concatenate([np.array(first, int), chosen])]
    return rows


def _fit(rows: Rows, labels: Labels, borders: Rows | None, classes: int, background: bool) -> LinearFit:
    if background and borders is not None:
        rows = np.concatenate([rows, borders])
        labels = np.concatenate([labels, np.full(len(borders), classes - 1, np.int64)])
    counts = np.bincount(labels, minlength=classes)
    found = fit_logistic(rows, labels, 1.0 / counts[labels], classes=classes, penalty=PENALTY)
    if not background:
        return found
    return LinearFit(found.weight - found.weight[-1], found.bias - found.bias[-1])


def _keep_background_low(found: LinearFit, whole: Rows) -> LinearFit:
    """Lower the background's bias until every labelled whole picture is at least 9 times as likely an object."""
    if not len(whole):
        return found
    scores = whole.astype(np.float64) @ found.weight.T + found.bias
    allowed = float((scores[:, :-1].max(axis=1) - np.log(9)).min())
    bias = found.bias.copy()
    bias[-1] = min(bias[-1], allowed)
    return LinearFit(found.weight, bias)


def _estimate(labelled: Labelled, labels: Labels, borders: Rows | None, classes: tuple[str, ...]) -> float | None:
    """Return the balanced accuracy on pictures left out, over the classes that whole pictures have."""
    whole = np.flatnonzero(~labelled.click)
    counts = np.bincount(labels[whole], minlength=len(classes))
    seen = np.flatnonzero(counts)
    folds = min(FOLDS, int(counts[seen].min(initial=FOLDS)))
    if len(seen) < 2 or folds < 2:
        return None
    fold_of: dict[int, int] = {}
    for index in seen:  # the pictures of each class are dealt out in turn
        for number, row in enumerate(whole[labels[whole] == index]):
            fold_of[int(labelled.picture[row])] = number % folds
    fold = np.array([fold_of.get(int(picture), -1) for picture in labelled.picture])
    predicted = np.zeros(len(whole), np.int64)
    background = classes[-1] == BACKGROUND
    for number in range(folds):
        learnt = fold != number
        left = set(labels[learnt].tolist())
        if not set(seen.tolist()) <= left or (background and borders is None and len(classes) - 1 not in left):
            return None
        found = _fit(labelled.rows[learnt], labels[learnt], borders, len(classes), background)
        judged = fold[whole] == number
        scores = labelled.rows[whole[judged]] @ found.weight.T + found.bias
        predicted[judged] = seen[scores[:, seen].argmax(axis=1)]
    return balanced_accuracy(confusion_matrix(labels[whole], predicted, len(classes)))
