"""Train camnet with a GAP or a GMP head on HAM10000 and judge its checkpoints on unseen lesions.

    python benchmarks/train_ham.py DATA/ham10000_200x150 --head gap --out FOLDER/gap
    python benchmarks/train_ham.py DATA/ham10000_200x150 --head gmp --out FOLDER/gmp --beside FOLDER/gap

DATA is the folder of the real material. The split keeps every lesion on one side. Printed for the test lesions: what
``camviewer-cli compare`` measures, for an early, a middle and the last checkpoint, beside the same network with random
weights and a Gaussian in the middle of the frame. A training that is complete is not repeated.
"""

from __future__ import annotations

import argparse
import csv
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from camviewer.commands.compare import table
from camviewer.pipeline.compare import compare
from camviewer.pipeline.compare_report import write_report
from camviewer.pipeline.comparison import ComparisonRequest
from camviewer.training.datasets import LabelledImages, read_dataset, split
from camviewer.training.run import train
from camviewer.training.settings import Augmentation, TrainSettings

SHOWN = ("epoch_004.safetensors", "epoch_012.safetensors", "last.safetensors")


def subset(data: LabelledImages, indices: np.ndarray) -> LabelledImages:
    class Part:
        def read(self, index: int) -> np.ndarray:
            return data.read(int(indices[index]))

    names = tuple(data.names[int(i)] for i in indices)
    return replace(data, names=names, labels=data.labels[indices], groups=data.groups[indices], source=Part())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--head", choices=("gap", "gmp"), default="gap")
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("--save-every", type=int, default=4)
    parser.add_argument("--background", type=float, default=0.15, help="share of pictures of bare skin")
    parser.add_argument("--limit", type=int, default=0, help="most test pictures, 0 for all")
    parser.add_argument("--costly", type=int, default=60, help="test pictures for faithfulness")
    parser.add_argument("--shown", choices=("true", "predicted"), default="true", help="whose map is judged")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--beside", type=Path, help="another training to compare with")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)

    data = read_dataset(args.data)
    learnt, tested = split(data, 0.2, seed=1)
    settings = TrainSettings(
        head=args.head,
        # Wider context than the demo's network: real lesions are told apart by more than their texture.
        options={"width": 24, "blocks": 1, "features": 128, "stride": 8, "kernel": 3, "dropout": 0.2},
        epochs=args.epochs,
        learning_rate=3e-3,
        weight_decay=2e-2,
        class_weights="balanced",
        label_smoothing=0.05,
        input_size=(160, 120),
        augmentation=Augmentation(crop=0.75),
        # All seven classes are lesions on skin: without a class for skin the maps point beside the lesion.
        background=args.background,
        save_every=args.save_every,
    )
    started, worked = time.perf_counter(), time.process_time()
    train(
        subset(data, learnt),
        settings,
        args.out,
        validation_share=0.1,
        device="cpu",
        on_epoch=lambda r: print(
            r.epoch, f"{r.loss:.3f}", f"{r.balanced_accuracy:.3f}", f"{r.seconds:.0f} s", flush=True
        ),
        on_message=print,
    )
    print(
        f"trained in {time.perf_counter() - started:.0f} s, {time.process_time() - worked:.0f} s of processor time, "
        f"on {len(learnt)} pictures; {len(tested)} for the test"
    )

    test = args.out / "test.csv"
    with test.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["image_id", "dx"])
        writer.writerows((data.names[i], data.classes[data.labels[i]]) for i in tested)
    folders = [args.out] if args.beside is None else [args.beside, args.out]
    request = ComparisonRequest(
        tuple(folder / name for folder in folders for name in SHOWN if (folder / name).is_file()),
        test,
        args.data,
        folder=args.data,
        shown=args.shown,
        limit=args.limit,
        costly=args.costly,
        device="cpu",
    )
    comparison = compare(request)
    print("\n".join(table(comparison)))
    write_report(comparison, args.out / "comparison")


if __name__ == "__main__":
    main()
