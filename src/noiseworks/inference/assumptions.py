"""What a reader is told beside standard errors: what each method takes for granted."""

from __future__ import annotations

HOW = {
    "iid": "errors of the same law in every row",
    "information": "the noise model is right",
    "HC0": "nothing but independent rows",
}
HOW["bootstrap"] = HOW["HC0"] + ", drawn again with replacement"
HOW |= dict.fromkeys(("HC1", "HC2", "HC3"), HOW["HC0"])
BIASED = "none"  # the method that is named where there are no standard errors, under a ridge
SUSPICIOUS = 1.5  # counts that vary so many times as much as the noise model says
