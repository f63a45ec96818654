"""The report: a static site of what the studies asked, what theory says, and what the runs answered."""

from noiseworks.report.exercise_page import Study
from noiseworks.report.page import Page, read_page
from noiseworks.report.site import write_site

__all__ = ["Page", "Study", "read_page", "write_site"]
