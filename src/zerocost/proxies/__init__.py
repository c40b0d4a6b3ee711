"""The built-in zero-cost proxies, one a file, and the decorator that registers more."""

from zerocost.engine.proxy import Proxy, get, names, proxy
from zerocost.proxies.apd import apd
from zerocost.proxies.az_expressivity import az_expressivity
from zerocost.proxies.az_progressivity import az_progressivity
from zerocost.proxies.az_trainability import az_trainability
from zerocost.proxies.depth import depth
from zerocost.proxies.dss import dss
from zerocost.proxies.epe_nas import epe_nas
from zerocost.proxies.fisher import fisher
from zerocost.proxies.flops import flops
from zerocost.proxies.global_grad_norm import global_grad_norm
from zerocost.proxies.grad_norm import grad_norm
from zerocost.proxies.gradsign import gradsign
from zerocost.proxies.grasp import grasp
from zerocost.proxies.head_confidence import head_confidence
from zerocost.proxies.jacob_cov import jacob_cov
from zerocost.proxies.knas import knas
from zerocost.proxies.l2_norm import l2_norm
from zerocost.proxies.layer_count import layer_count
from zerocost.proxies.linear_regions import linear_regions
from zerocost.proxies.lnwot import lnwot
from zerocost.proxies.log_synflow import log_synflow
from zerocost.proxies.meco import meco
from zerocost.proxies.meco_modules import meco_modules
from zerocost.proxies.meco_opt import meco_opt
from zerocost.proxies.naswot import naswot
from zerocost.proxies.naswot_conv import naswot_conv
from zerocost.proxies.near import near
from zerocost.proxies.non_embedding_params import non_embedding_params
from zerocost.proxies.ntk_condition import ntk_condition
from zerocost.proxies.ntk_trace import ntk_trace
from zerocost.proxies.params import params
from zerocost.proxies.plain import plain
from zerocost.proxies.registry import resolve
from zerocost.proxies.snip import snip
from zerocost.proxies.snr_snip import snr_snip
from zerocost.proxies.snr_synflow import snr_synflow
from zerocost.proxies.swap import swap
from zerocost.proxies.swap_regularised import swap_regularised
from zerocost.proxies.synflow import synflow
from zerocost.proxies.synflow_bn import synflow_bn
from zerocost.proxies.t_cet import t_cet
from zerocost.proxies.vkdnw import vkdnw
from zerocost.proxies.vkdnw_single import vkdnw_single
from zerocost.proxies.w_pca import w_pca
from zerocost.proxies.wrcor import wrcor
from zerocost.proxies.zen import zen
from zerocost.proxies.zico import zico
from zerocost.proxies.zico_bc import zico_bc

__all__ = [
    "Proxy",
    "apd",
    "az_expressivity",
    "az_progressivity",
    "az_trainability",
    "depth",
    "dss",
    "epe_nas",
    "fisher",
    "flops",
    "get",
    "global_grad_norm",
    "grad_norm",
    "gradsign",
    "grasp",
    "head_confidence",
    "jacob_cov",
    "knas",
    "l2_norm",
    "layer_count",
    "linear_regions",
    "lnwot",
    "log_synflow",
    "meco",
    "meco_modules",
    "meco_opt",
    "names",
    "naswot",
    "naswot_conv",
    "near",
    "non_embedding_params",
    "ntk_condition",
    "ntk_trace",
    "params",
    "plain",
    "proxy",
    "resolve",
    "snip",
    "snr_snip",
    "snr_synflow",
    "swap",
    "swap_regularised",
    "synflow",
    "synflow_bn",
    "t_cet",
    "vkdnw",
    "vkdnw_single",
    "w_pca",
    "wrcor",
    "zen",
    "zico",
    "zico_bc",
]
