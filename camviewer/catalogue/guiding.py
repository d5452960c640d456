"""What guided fine-tuning may be asked: one row an option. The dialog is built from it."""

from __future__ import annotations

from camviewer.catalogue.parameters import Parameter

GUIDING: tuple[Parameter, ...] = (
    Parameter(
        "epochs", "Epochs", "int", 12, minimum=1, maximum=200, help="How often the network sees the reviewed images"
    ),
    Parameter("learning_rate", "Learning rate", "float", 1e-3, minimum=1e-6, maximum=0.1, help="How far a step may go"),
    Parameter(
        "mask_weight",
        "Weight of the masks",
        "float",
        10.0,
        minimum=0.0,
        maximum=1000.0,
        help="How much the map is to lie on the masks, beside the class being right",
    ),
    Parameter(
        "mining_weight",
        "Weight of the erased object",
        "float",
        1.0,
        minimum=0.0,
        maximum=100.0,
        help="How unsure the network is to be when the object is taken out of the picture",
    ),
)
