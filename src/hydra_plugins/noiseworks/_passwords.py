"""What is shown of the address of a storage."""

import re

SECRETS = re.compile(
    r"(://[^:/\s'\"]*:)[^@\s]*(?=@)|((?:passw(?:or)?d|pwd)['\"]?\s*[=:]\s*['\"]?)[^&'\"\s,}]+", re.IGNORECASE
)


def without_passwords(text: str) -> str:
    """postgresql://me:***@host/name, ...?password=***"""
    return SECRETS.sub(lambda match: f"{match[1] or match[2]}***", text)
