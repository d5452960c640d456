"""GrabCut (Rother, Kolmogorov, Blake 2004, doi 10.1145/1015706.1015720) from marks, the same each time."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray


def cut(picture: NDArray[np.uint8], marks: NDArray[np.uint8], rounds: int) -> None:
    """Decide the uncertain marks along the colours, in place.

    Args:
        picture: RGB ``[h, w, 3]``; grain that is no edge should be smoothed away before.
        marks: OpenCV's four marks ``[h, w]``, foreground and background both among them.
        rounds: of fitting the colours and cutting, 1 or more.
    """
    cv2.setRNGSeed(0)  # its colour models start from k-means
    background, foreground = np.zeros((1, 65)), np.zeros((1, 65))
    bgr = cv2.cvtColor(picture, cv2.COLOR_RGB2BGR)
    # The rectangle is not used with GC_INIT_WITH_MASK.
    cv2.grabCut(bgr, marks, (0, 0, 1, 1), background, foreground, rounds, cv2.GC_INIT_WITH_MASK)
