"""What a confusion matrix says about a training."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Confusion = NDArray[np.int64]
"""``[C, C]``, rows the true class, columns the predicted one."""


def confusion_matrix(labels: NDArray[np.int64], predicted: NDArray[np.int64], classes: int) -> Confusion:
    """Return how often class i (row) was taken for class j (column)."""
    return np.bincount(labels * classes + predicted, minlength=classes * classes).reshape(classes, classes)


def accuracy(confusion: Confusion) -> float:
    """Return the share of right predictions; 0 without pictures."""
    total = int(confusion.sum())
    return float(np.trace(confusion)) / total if total else 0.0


def balanced_accuracy(confusion: Confusion) -> float:
    """Return the mean recall over the classes that occur; 0 without pictures.

    It does not rise when everything is called by the most frequent name (Brodersen et al., ICPR 2010).
    """
    seen = confusion.sum(axis=1)
    recalls = np.diag(confusion)[seen > 0] / seen[seen > 0]
    return float(recalls.mean()) if recalls.size else 0.0
