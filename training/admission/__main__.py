"""Runs :mod:`training.admission.process`."""

import os
import sys

from training.admission.process import main

if __name__ == "__main__":
    status = main(sys.argv[1:])
    sys.stdout.flush()
    os._exit(status)  # native threads may still run; there is nothing left to tidy
