"""Train a network with a GAP or a GMP head on HAM10000 and judge its checkpoints on unseen lesions.

    python benchmarks/train_ham.py DATA/ham10000_200x150 --weights squeezenet1_1.pth --head gap --out FOLDER/gap
    python benchmarks/train_ham.py DATA/ham10000_200x150 --weights squeezenet1_1.pth --head gmp --out FOLDER/gmp \
        --beside FOLDER/gap

DATA is the folder of the real material. The split keeps every lesion on one side; ``training.csv`` and ``test.csv`` in
`--out` name the pictures of each. On the first ``camviewer-cli train`` runs with the options shown; without `--weights`
it is camnet from random weights. On the second ``camviewer-cli compare`` measures an early, a middle and the last
checkpoint, beside the same network with random weights and a Gaussian in the middle of the frame. A training that is
complete is not repeated, one that was stopped goes on.
"""

from __future__ import annotations

import argparse
import csv
import shlex
import time
from pathlib import Path

import numpy as np
import torch

from camviewer.cli import main as camviewer
from camviewer.training.datasets import read_dataset, split

SPLIT = 2026
"""Seed of the split. The lesions that it puts aside had no say in any setting."""


def run(*arguments: object) -> None:
    """Run a command of the program, and say which."""
    words = [str(argument) for argument in arguments]
    print("camviewer-cli", shlex.join(words), flush=True)
    started, worked = time.perf_counter(), time.process_time()
    if camviewer(words) != 0:
        raise SystemExit(1)
    print(f"{time.perf_counter() - started:.0f} s, {time.process_time() - worked:.0f} s of processor time", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--head", choices=("gap", "gmp"), default="gap")
    parser.add_argument("--weights", help="what the network starts from, a file or torchvision:NAME")
    parser.add_argument("--input-size", type=int, default=160)
    parser.add_argument("--epochs", type=int, default=9)
    parser.add_argument("--save-every", type=int, default=3)
    parser.add_argument("--lr", type=float, default=5e-4)
    parser.add_argument("--background", type=float, default=0.1, help="share of pictures of bare skin")
    parser.add_argument("--limit", type=int, default=0, help="most test pictures, 0 for all")
    parser.add_argument("--costly", type=int, default=60, help="test pictures for faithfulness")
    parser.add_argument("--mosaics", type=int, default=280, help="of test pictures, for grid pointing")
    parser.add_argument("--shown", choices=("true", "predicted"), default="true", help="whose map is judged")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--beside", type=Path, help="another training to compare with")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    args.out.mkdir(parents=True, exist_ok=True)

    data = read_dataset(args.data)
    tables = {}
    for name, indices in zip(("training", "test"), split(data, 0.2, seed=SPLIT), strict=True):
        tables[name] = args.out / f"{name}.csv"
        with tables[name].open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(["image_id", "dx", "lesion_id"])
            for i in np.asarray(indices).tolist():
                writer.writerow([data.names[i], data.classes[data.labels[i]], int(data.groups[i])])

    weights = ("--weights", args.weights) if args.weights else ()
    run(
        *("train", tables["training"], "--images", args.data, *weights, "--head", args.head, "--device", "cpu"),
        *("--input-size", args.input_size, "--epochs", args.epochs, "--lr", args.lr, "--background", args.background),
        *("--validation", 0.1, "--save-every", args.save_every, "--out", args.out),
    )
    middle = args.save_every * ((args.epochs + args.save_every) // (2 * args.save_every))
    shown = (f"epoch_{args.save_every:03d}.safetensors", f"epoch_{middle:03d}.safetensors", "last.safetensors")
    folders = [args.out] if args.beside is None else [args.beside, args.out]
    run(
        *("compare", *(folder / name for folder in folders for name in dict.fromkeys(shown))),
        *("--images", tables["test"], "--pictures", args.data, "--truth", args.data, "--class", args.shown),
        *("--limit", args.limit, "--costly", args.costly, "--mosaics", args.mosaics, "--device", "cpu"),
        *("--out", args.out / f"comparison-{args.shown}"),
    )


if __name__ == "__main__":
    main()
