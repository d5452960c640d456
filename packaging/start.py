"""What the built program starts: the same as ``python -m camviewer``."""

import multiprocessing
import sys

from camviewer.__main__ import main

if __name__ == "__main__":
    multiprocessing.freeze_support()
    sys.exit(main())
