"""Writes plain runs in chunks of 50: `tracking_writer.py URI fast|public NUMBER DATA`."""

import sys

from tracking_runs import plain_runs

from noiseworks.tracking import bulk
from noiseworks.tracking.finished_runs import write_runs
from noiseworks.tracking.store import experiment_id, open_store

uri, way, number, data = sys.argv[1:]
bulk.CHUNK = 50
if way == "public":
    bulk.TESTED = ()
experiment = experiment_id(open_store(uri), "sweeps")
for _ in range(int(number) // 200):
    write_runs(uri, experiment, plain_runs(200, data))
