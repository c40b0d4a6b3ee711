"""The contract tests, shipped: anyone's proxy or search space can face them in one line."""

from zerocost.testing.proxies import check_proxy
from zerocost.testing.spaces import check_space
from zerocost.testing.zoo import ZOO, Specimen

__all__ = ["ZOO", "Specimen", "check_proxy", "check_space"]
