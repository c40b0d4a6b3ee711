"""The built-in zero-cost proxies, one a file, and the decorator that registers more."""

from zerocost.proxies.fisher import fisher
from zerocost.proxies.flops import flops
from zerocost.proxies.grad_norm import grad_norm
from zerocost.proxies.grasp import grasp
from zerocost.proxies.jacob_cov import jacob_cov
from zerocost.proxies.l2_norm import l2_norm
from zerocost.proxies.log_synflow import log_synflow
from zerocost.proxies.naswot import naswot
from zerocost.proxies.params import params
from zerocost.proxies.plain import plain
from zerocost.proxies.registry import Proxy, get, names, proxy, resolve
from zerocost.proxies.snip import snip
from zerocost.proxies.synflow import synflow

__all__ = [
    "Proxy",
    "fisher",
    "flops",
    "get",
    "grad_norm",
    "grasp",
    "jacob_cov",
    "l2_norm",
    "log_synflow",
    "names",
    "naswot",
    "params",
    "plain",
    "proxy",
    "resolve",
    "snip",
    "synflow",
]
