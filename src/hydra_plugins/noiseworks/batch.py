"""The protocol of tasks that run many jobs at once; composition.py says why it is defined elsewhere."""

from hydra_plugins.noiseworks._batch import Batch, BatchJob, EndedJob, Report, RunsBatches

__all__ = ["Batch", "BatchJob", "EndedJob", "Report", "RunsBatches"]
