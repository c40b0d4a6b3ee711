"""A network for keyword spotting that fits a microcontroller: 64 kB of SRAM and 256 kB of flash, at int8."""

from torch import nn

import zerocost as zc


def keyword_cnn(choose: zc.spaces.Choose) -> nn.Module:
    """Depthwise-separable convolutions on spectrograms of 49 frames by 10 coefficients (Zhang et al., 2017)."""
    width, classes = choose.int("width", 16, 256, step=16), 12
    kernel = choose.one_of("kernel", [3, 5])
    layers: list[nn.Module] = [nn.Conv2d(1, width, (10, 4), stride=(choose.int("stride", 1, 2), 2), padding=(5, 1))]
    for _ in range(choose.int("blocks", 1, 6)):
        layers += [nn.BatchNorm2d(width), nn.ReLU()]
        layers += [nn.Conv2d(width, width, kernel, padding=kernel // 2, groups=width), nn.Conv2d(width, width, 1)]
    return nn.Sequential(*layers, nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(width, classes))


fits = "peak_memory_int8 < 64kB and flash_int8 < 256kB"
short = {"candidates": 6, "proxies": "naswot", "keep": 3, "epochs": 0, "batch": 8}
found = zc.search(keyword_cnn, "noise:1x49x10:12", where=fits, **short)

print(f"{len(found.table)} scored, {len(found.rejected)} refused")
print(found.kept.frame[["peak_memory_int8", "flash_int8", "rank_score"]].to_string())
