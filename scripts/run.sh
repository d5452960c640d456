#!/bin/sh
# Sets up what is missing and opens camviewer; without a display, runs the demo headless.
set -eu
cd "$(dirname "$0")/.."
. scripts/setup.sh
set_up ""

if [ "$(uname -s)" = Linux ] && [ -z "${DISPLAY:-}${WAYLAND_DISPLAY:-}" ] && [ -z "${QT_QPA_PLATFORM:-}" ]; then
    if [ $# -gt 0 ]; then
        exec .venv/bin/python main.py "$@"
    fi
    say "There is no display: the demo runs headless."
    out=report/demo
    .venv/bin/camviewer-cli explain resources/demo/images --model resources/demo/model.safetensors \
        --method cam --save maps,overlays,boxes,masks --out "$out"
    rm -rf "$out-coco"
    .venv/bin/camviewer-cli export "$out" --format coco --out "$out-coco"
    say "Maps, overlays, boxes and masks: $out (start with $out/explain.json). Training set: $out-coco."
    exit 0
fi
exec .venv/bin/python main.py "$@"
