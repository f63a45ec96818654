"""Runs the command on XLA's CPU backend, the way a TPU would take: `trainer=tpu` without a TPU.

torch_xla goes with the torch of its own version only, so this needs an environment of its own:

    python3 -m venv xla && xla/bin/pip install torch==2.9.0 torch_xla==2.9.0 .
    PJRT_DEVICE=CPU xla/bin/python scripts/check_xla.py trainer=tpu tracking=none

The coefficients must be those of `trainer=cpu` in the same environment.
"""

import torch_xla._internal.tpu as tpu

from noiseworks.cli import main

if __name__ == "__main__":
    tpu.num_available_devices = lambda: 1  # Lightning asks for it before it takes the XLA strategy
    main()
