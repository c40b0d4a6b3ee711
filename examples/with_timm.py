"""Rank untrained timm models on the digits, and keep the best of the small ones."""

import sys

try:
    import timm  # noqa: F401
except (ImportError, RuntimeError) as reason:  # a torchvision that was built for another torch
    print(f"this example needs the extra timm: pip install 'zerocost[timm]' ({reason})")
    sys.exit()

import zerocost as zc
from zerocost.integrations.timm import candidates

models = candidates("resnet10t,resnet18,mobilenetv3_small_050,vit_tiny_patch16_224", "digits:32")
table = zc.rank(models, "digits:32", "jacob_cov,log_synflow", batch=16)
print(table.frame.round(3).to_string())
kept = zc.select(table, "params < 1e7", top=2)
print("kept:", ", ".join(kept.frame.index))
for name, reason in kept.dropped.items():
    print(f"{name}: {reason}")
