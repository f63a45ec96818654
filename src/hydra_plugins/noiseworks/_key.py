"""What a resolved configuration is known by: a job that has ended is not run again."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any


def config_key(config: Mapping[str, Any]) -> str:
    """16 hexadecimal digits, equal for equal configurations, whatever the order of their keys."""
    text = json.dumps(config, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]
