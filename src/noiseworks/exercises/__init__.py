"""`make exercises`: every experiment run, every claim judged, the report written."""
