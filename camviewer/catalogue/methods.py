"""The CAM family as a table: what each method needs, what it says, how it is set."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from camviewer.catalogue.parameters import Parameter
from camviewer.errors import UsageError

Needs = Literal["head", "activations", "gradients", "passes", "nothing"]


@dataclass(frozen=True, slots=True)
class MethodSpec:
    """One method.

    Attributes:
        name: identifier on the command line and in files.
        title: name on screen.
        needs: what it is computed from: the linear head, activations alone, gradients, further forward passes, or
            nothing of the network.
        signed: whether the raw map keeps negative evidence.
        formula: the map in plain text.
        paper: authors, year, arXiv number.
        shows: one sentence on what the map says.
        parameters: typed parameters.
    """

    name: str
    title: str
    needs: Needs
    signed: bool
    formula: str
    paper: str
    shows: str
    parameters: tuple[Parameter, ...] = ()


METHODS: tuple[MethodSpec, ...] = (
    MethodSpec(
        "cam",
        "CAM",
        "head",
        True,
        "M_c = sum_k w_k^c A_k",
        "Zhou et al. 2016, arXiv 1512.04150",
        "What each cell adds to the class score; exact where the network ends in pooling and one linear layer.",
    ),
    MethodSpec(
        "gradcam",
        "Grad-CAM",
        "gradients",
        False,
        "ReLU(sum_k mean_ij(dS/dA_kij) A_k)",
        "Selvaraju et al. 2017, arXiv 1610.02391",
        "Where units lie that raise the class score, weighted by their mean gradient.",
    ),
    MethodSpec(
        "gradcampp",
        "Grad-CAM++",
        "gradients",
        False,
        "ReLU(sum_k w_k A_k), w_k = sum_ij ReLU(g_kij) / (2 + sum(A_k) g_kij)",
        "Chattopadhay et al. 2018, arXiv 1710.11063",
        "Like Grad-CAM, but small and repeated objects count as much as large ones.",
    ),
    MethodSpec(
        "scorecam",
        "Score-CAM",
        "passes",
        False,
        "ReLU(sum_k softmax_k(S_c(X * H_k)) A_k)",
        "Wang et al. 2020, arXiv 1910.01279",
        "Which units' areas, shown alone, keep the class score up; needs no gradient, but one pass a unit.",
        (
            Parameter(
                "variant",
                "Weights",
                "choice",
                "softmax",
                choices=("softmax", "probability"),
                help="Softmax of the logits over the channels (Algorithm 1), or the class probability itself.",
            ),
            Parameter(
                "baseline",
                "Masked part",
                "choice",
                "zero",
                choices=("zero", "black", "blur"),
                help="What stands where a channel is low: the mean colour (zero), black, or the blurred image.",
            ),
        ),
    ),
)

BY_NAME = {spec.name: spec for spec in METHODS}


def method(name: str) -> MethodSpec:
    """Return the method called `name`.

    Raises:
        UsageError: when there is none.
    """
    try:
        return BY_NAME[name]
    except KeyError:
        raise UsageError(f"There is no method {name!r}; there are: {', '.join(BY_NAME)}.") from None
