"""Two workers on two cores: one thread each, since threads that wait for each other cost more than they give."""

import os

os.environ["OMP_NUM_THREADS"] = "1"  # for the commands that tests start
os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"

import torch

torch.set_num_threads(1)
