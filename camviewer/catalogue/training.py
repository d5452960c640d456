"""What a training may be asked: one row an option. The dialog is built from it; the command has the same options."""

from __future__ import annotations

from camviewer.catalogue.architectures import ARCHITECTURES
from camviewer.catalogue.parameters import Parameter

ATTENTION = frozenset({"Vision Transformer", "Swin Transformer", "Swin Transformer V2", "MaxViT"})
"""Families that mix their cells by attention up to the end, so that they cannot be given a pooling head."""

TRAINABLE = tuple(
    sorted((spec for spec in ARCHITECTURES if spec.family not in ATTENTION), key=lambda spec: not spec.own)
)
"""Architectures that can be given a pooling head, our own first."""

BACKGROUND = 0.1
"""Pictures of the surroundings beside each batch, share of it, unless something else is asked for."""
MOSAICS = 0.25
"""Mosaics beside each batch, share of it, unless something else is asked for."""

NETWORK: tuple[Parameter, ...] = (
    Parameter(
        "arch",
        "Architecture",
        "choice",
        "camnet",
        choices=tuple(spec.name for spec in TRAINABLE),
        choice_titles=tuple(spec.title for spec in TRAINABLE),
        help="Network that is trained; it ends in global pooling and one linear layer. A training that starts from the "
        "open model has its architecture",
    ),
    Parameter(
        "head",
        "Head",
        "choice",
        "gap",
        choices=("gap", "gmp"),
        choice_titles=("GAP, mean of each channel", "GMP, maximum of each channel"),
        help="Global pooling before the linear layer. GAP maps cover the object, GMP maps its most telling part",
    ),
    Parameter(
        "start",
        "Start from",
        "choice",
        "random",
        choices=("random", "model", "published"),
        choice_titles=("Random weights", "The open model", "Published weights on this computer"),
        help="What the network has learnt before",
    ),
    Parameter(
        "scope",
        "Train",
        "choice",
        "all",
        choices=("all", "head"),
        choice_titles=("All layers", "The last layer alone"),
        help="What may change",
    ),
    Parameter(
        "finer",
        "Finer by",
        "int",
        0,
        0,
        3,
        help="Undo so many of the last halvings of the resolution, for finer maps; not for camnet, which has fine ones",
        zero="As the network is",
    ),
    Parameter(
        "input_size",
        "Input side",
        "int",
        0,
        0,
        1024,
        help="Side of the square input; 0 takes the architecture's own, or less for smaller pictures",
        unit="px",
        zero="As network and pictures want",
    ),
)

TRAINING: tuple[Parameter, ...] = (
    Parameter("epochs", "Epochs", "int", 20, 1, 10_000, help="Passes over the training pictures"),
    Parameter("batch_size", "Batch size", "int", 32, 2, 4096, help="Pictures in a step"),
    Parameter(
        "learning_rate",
        "Learning rate",
        "float",
        0.0,
        0.0,
        9.0,
        help="Highest rate; 0 takes 0.001 from random weights and 0.0005 from learnt ones",
        zero="By what it starts from",
    ),
    Parameter(
        "schedule",
        "Schedule",
        "choice",
        "one_cycle",
        choices=("one_cycle", "constant"),
        choice_titles=("One cycle", "Constant"),
        help="One cycle rises to the highest rate and falls to zero along a cosine",
    ),
    Parameter(
        "class_weights",
        "Class weights",
        "choice",
        "balanced",
        choices=("balanced", "sqrt", "none"),
        choice_titles=("Balanced", "Square root", "None"),
        help="How much rare classes weigh in the loss",
    ),
    Parameter("augmentation", "Augmentation", "bool", True, help="Mirror, crop, tint and hide parts at random"),
    Parameter(
        "background",
        "Surroundings",
        "float",
        BACKGROUND,
        0.0,
        1.0,
        help="Pictures made from corners beside each batch, as a share of it; they belong to no class, so that maps "
        "point at the object. 0 where the corners belong to the class as well",
    ),
    Parameter(
        "mosaics",
        "Mosaics",
        "float",
        MOSAICS,
        0.0,
        1.0,
        help="Mosaics of four pictures beside each batch, as a share of it: each class has to be recognised in its own "
        "place, so that maps tell where a class is; 0 for none",
    ),
    Parameter("validation", "Held out", "float", 0.2, 0.0, 0.9, help="Share of the pictures that judges"),
    Parameter(
        "patience",
        "Stop after",
        "int",
        0,
        0,
        10_000,
        help="Epochs without a better validation; 0 for never",
        unit="epochs",
        zero="Never",
    ),
    Parameter(
        "save_every",
        "Keep every",
        "int",
        5,
        0,
        10_000,
        help="Epochs between kept checkpoints; 0 for none",
        unit="epochs",
        zero="None",
    ),
    Parameter("seed", "Seed", "int", 0, 0, 2**31 - 1, help="The same seed gives the same network"),
)
