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


_BASELINE = Parameter(
    "baseline",
    "Masked part",
    "choice",
    "zero",
    choices=("zero", "black", "blur"),
    help="What stands where a unit is low: the mean colour (zero), black, or the blurred image.",
)
_STRONGEST = Parameter(
    "strongest",
    "Strongest units only",
    "int",
    0,
    minimum=0,
    help="Mask by so many of the strongest units; 0 for all. An approximation: the map says so.",
)

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
            _BASELINE,
            _STRONGEST,
        ),
    ),
    MethodSpec(
        "hirescam",
        "HiResCAM",
        "gradients",
        True,
        "sum_k dS/dA_k * A_k, cell by cell",
        "Draelos and Carin 2020, arXiv 2011.08891",
        "What each cell adds to the class score, to first order; signed, and faithful where one linear layer follows.",
    ),
    MethodSpec(
        "layercam",
        "LayerCAM",
        "gradients",
        False,
        "ReLU(sum_k ReLU(dS/dA_k) * A_k), cell by cell",
        "Jiang et al. 2021, IEEE TIP 30",
        "Positive evidence cell by cell; useful at early layers with fine grids.",
    ),
    MethodSpec(
        "xgradcam",
        "XGrad-CAM",
        "gradients",
        False,
        "ReLU(sum_k alpha_k A_k), alpha_k = sum_ij(g_kij A_kij) / sum_ij A_kij",
        "Fu et al. 2020, arXiv 2008.02312",
        "Grad-CAM with gradients weighted by where the unit is active.",
    ),
    MethodSpec(
        "eigencam",
        "Eigen-CAM",
        "activations",
        True,
        "A v_1, the first principal component of the activations",
        "Muhammad and Yeasin 2020, arXiv 2008.00299",
        "Where the layer is most active, whatever the class.",
    ),
    MethodSpec(
        "eigengradcam",
        "EigenGrad-CAM",
        "gradients",
        True,
        "first principal component of dS/dA_k * A_k",
        "Gildenblat et al. 2021, the grad-cam library",
        "The strongest common pattern of the evidence for the class.",
    ),
    MethodSpec(
        "ablationcam",
        "Ablation-CAM",
        "passes",
        False,
        "ReLU(sum_k w_k A_k), w_k = (S - S without unit k) / |S|",
        "Desai and Ramaswamy 2020, WACV",
        "Which units the class score misses when they are switched off; one pass a unit unless the head is linear.",
    ),
    MethodSpec(
        "finercam",
        "Finer-CAM",
        "gradients",
        False,
        "Grad-CAM of S_c - gamma * mean_d S_d over the classes d with the closest scores",
        "Zhang et al. 2025, arXiv 2501.11309",
        "What tells the class from those that the network nearly chose instead.",
        (
            Parameter(
                "similar",
                "Similar classes",
                "int",
                3,
                minimum=1,
                maximum=50,
                help="How many classes with the closest scores to compare with.",
            ),
            Parameter(
                "gamma",
                "Strength",
                "float",
                0.6,
                minimum=0.0,
                maximum=2.0,
                help="How much of the similar classes' evidence is taken away.",
            ),
        ),
    ),
    MethodSpec(
        "smoothgradcampp",
        "SmoothGrad-CAM++",
        "passes",
        False,
        "Grad-CAM++ with derivatives averaged over noisy copies of the input",
        "Omeiza et al. 2019, arXiv 1908.01224",
        "Grad-CAM++ with less noise in the gradients; one pass with gradients a copy.",
        (
            Parameter("samples", "Noisy copies", "int", 8, minimum=1, maximum=200, help="Passes to average over."),
            Parameter(
                "noise",
                "Noise",
                "float",
                0.1,
                minimum=0.0,
                maximum=1.0,
                help="Standard deviation of the noise as a share of the input's range.",
            ),
        ),
    ),
    MethodSpec(
        "sscam",
        "SS-CAM",
        "passes",
        False,
        "Score-CAM with scores averaged over noisy masks or inputs",
        "Wang et al. 2020, arXiv 2006.14255",
        "Score-CAM that small changes of a unit do not sway; several passes a unit.",
        (
            Parameter(
                "where",
                "Noise on",
                "choice",
                "activation",
                choices=("activation", "input"),
                help="The unit before it becomes a mask, or the masked input.",
            ),
            Parameter("samples", "Samples", "int", 4, minimum=1, maximum=100, help="Passes a unit."),
            Parameter(
                "noise",
                "Noise",
                "float",
                0.1,
                minimum=0.0,
                maximum=1.0,
                help="Standard deviation of the noise as a share of the unit's or the input's range.",
            ),
            _BASELINE,
            _STRONGEST,
        ),
    ),
    MethodSpec(
        "iscam",
        "IS-CAM",
        "passes",
        False,
        "Score-CAM with scores averaged over masks of strength 1/n to n/n",
        "Naidu et al. 2020, arXiv 2010.03023",
        "Score-CAM integrated from the masked-out image to the masked one; several passes a unit.",
        (
            Parameter("samples", "Steps", "int", 4, minimum=1, maximum=100, help="Passes a unit."),
            _BASELINE,
            _STRONGEST,
        ),
    ),
    MethodSpec(
        "random",
        "Random (control)",
        "activations",
        False,
        "ReLU(sum_k u_k A_k), u_k uniform in [-1, 1]",
        "control",
        "Nothing about the class: what another method has to beat.",
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
