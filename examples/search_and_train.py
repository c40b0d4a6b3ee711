"""Search your own space, a plain function of choices, and train the survivors."""

from torch import nn

import zerocost as zc


def small_cnn(choose: zc.spaces.Choose) -> nn.Module:
    """A network built from its choices; `rate` is chosen only if there is dropout."""
    width = choose.int("width", 8, 32, step=8)
    activation = {"relu": nn.ReLU, "gelu": nn.GELU}[choose.one_of("activation", ["relu", "gelu"])]
    layers: list[nn.Module] = []
    channels = 3
    for _ in range(choose.int("depth", 1, 3)):
        layers += [nn.Conv2d(channels, width, 3, padding=1), activation()]
        if choose.bool("norm"):
            layers.insert(-1, nn.BatchNorm2d(width))
        channels = width
    if choose.bool("dropout"):
        layers.append(nn.Dropout2d(choose.one_of("rate", [0.1, 0.3])))
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(4 * width, 10))


found = zc.search(small_cnn, "digits:8", candidates=40, where="params < 20000", keep=2, epochs=3, seed=0)

for stage in found.stages:
    print(f"{stage.name:<8}{stage.count:>4}  {stage.seconds:5.1f} s  {stage.detail}")
for title, runs in (("survivors", found.survivors), ("random picks", found.random)):
    print(f"\n{title}")
    for run in runs:
        print(f"  {100 * (run.accuracy or 0):.1f} %  {run.name}")
print(f"\nbest: {found.best}")
