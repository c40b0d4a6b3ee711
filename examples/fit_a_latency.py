"""A small image network under a latency measured by onnxruntime with one thread, and a front of score and latency."""

from torch import nn

import zerocost as zc


def small_cnn(choose: zc.spaces.Choose) -> nn.Module:
    """Convolutions of one width."""
    width, layers, channels = choose.int("width", 8, 64, step=8), list[nn.Module](), 3
    for _ in range(choose.int("depth", 1, 3)):
        layers += [nn.Conv2d(channels, width, 3, padding=1), nn.BatchNorm2d(width), nn.ReLU()]
        channels = width
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(4 * width, 10))


settings = {"objectives": "score,latency", "latency": "onnxruntime:1", "where": "latency < 5ms"}
found = zc.search(small_cnn, "digits:16", candidates=8, proxies="naswot", keep=3, epochs=0, batch=16, **settings)

print(f"on the front of score and latency: {len(found.front)} of {len(found.table)}")
for name in found.front:
    print(f"{found.table.frame['latency'][name]:.2f} ms  {name}")
