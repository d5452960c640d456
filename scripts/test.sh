#!/bin/sh
# Sets up what is missing and runs the whole test suite: format, lint, types, tests. Arguments go to pytest.
set -eu
cd "$(dirname "$0")/.."
. scripts/setup.sh
set_up test

. .venv/bin/activate
export QT_QPA_PLATFORM="${QT_QPA_PLATFORM:-offscreen}"
# Two test processes share two cores; one thread each keeps them from fighting over both.
export OMP_NUM_THREADS="${OMP_NUM_THREADS:-1}"
ruff format --check .
ruff check .
mypy
exec python -m pytest -n 2 --dist loadfile "$@"
