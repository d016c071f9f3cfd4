"""Marks for what older versions of other packages cannot do, or do otherwise, so that all tests pass on the lowest."""

from importlib.metadata import version

import pytest
from packaging.version import Version


def since(package: str, first: str, reason: str) -> pytest.MarkDecorator:
    """Skips a test on versions of a package before one of which it is known to pass."""
    return pytest.mark.skipif(Version(version(package)) < Version(first), reason=f"{package} before {first} {reason}")
