"""Networks that other libraries ship, each scored with every proxy: what fails and why, time and memory.

    python bench/foreign.py [NAME ...] [--markdown docs/foreign.md]

The environment needs torchvision, timm, transformers, diffusers and monai beside zerocost; nothing is downloaded, all
weights are random. Each network is scored in a process of its own, on one thread, with a batch of 8 (images of 64×64
pixels, or 16 token ids). A unit is one forward and backward pass in CPU seconds. Memory is how far the peak rises above
that of the network built: it is measured with all proxies, and in another process with `snip` alone. With --markdown,
the tables between the markers in that file are replaced.
"""

from __future__ import annotations

import json
import math
import multiprocessing
import re
import resource
import statistics
import sys
import textwrap
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Annotated, Any

import torch
import typer
from rich.console import Console
from rich.progress import track
from torch import Tensor, nn

import zerocost as zc
from fusion import machine, seconds

SAMPLES, PIXELS, LENGTH, VOCABULARY, CLASSES = 8, 64, 16, 60, 4
LIBRARIES = ("timm", "transformers", "torchvision", "diffusers", "monai")
MARKERS = "<!-- measured: begin -->", "<!-- measured: end -->"


class Returned(nn.Module):
    """A network, and the tensor that its result has under a name."""

    def __init__(self, network: nn.Module, name: str) -> None:
        super().__init__()
        self.network, self.name = network, name

    def forward(self, *inputs: Tensor) -> Tensor:
        result = self.network(*inputs)
        return result[self.name] if isinstance(result, Mapping) else getattr(result, self.name)


def timm(name: str, **settings: Any) -> nn.Module:
    import timm

    return timm.create_model(name, pretrained=False, num_classes=CLASSES, **settings)


def torchvision(name: str, **settings: Any) -> nn.Module:
    from torchvision import models

    return models.get_model(name, weights=None, num_classes=CLASSES, **settings)


def transformers(task: str, kind: str, **settings: Any) -> nn.Module:
    import transformers

    common = {"num_labels": CLASSES, "bos_token_id": 1, "eos_token_id": 1, "pad_token_id": 0}
    config = transformers.AutoConfig.for_model(kind, **common | settings)
    return getattr(transformers, f"AutoModelFor{task}").from_config(config)


def vit_of_torchvision() -> nn.Module:
    from torchvision.models import VisionTransformer

    return VisionTransformer(PIXELS, 16, num_layers=4, num_heads=4, hidden_dim=64, mlp_dim=128, num_classes=CLASSES)


def densenet() -> nn.Module:
    from torchvision.models import DenseNet

    return DenseNet(growth_rate=12, block_config=(2, 2, 2, 2), num_init_features=24, num_classes=CLASSES)


def diffusion_unet() -> nn.Module:
    from diffusers import UNet2DModel

    down, up = ("DownBlock2D", "AttnDownBlock2D"), ("AttnUpBlock2D", "UpBlock2D")
    shape = {"block_out_channels": (16, 32), "norm_num_groups": 8, "attention_head_dim": 8, "layers_per_block": 1}
    return Returned(UNet2DModel(16, down_block_types=down, up_block_types=up, **shape), "sample")


def autoencoder() -> nn.Module:
    from diffusers import AutoencoderKL

    down, up = ("DownEncoderBlock2D",) * 2, ("UpDecoderBlock2D",) * 2
    return Returned(
        AutoencoderKL(
            down_block_types=down, up_block_types=up, block_out_channels=(16, 32), norm_num_groups=8, sample_size=PIXELS
        ),
        "sample",
    )


def monai(name: str, **settings: Any) -> nn.Module:
    from monai.networks import nets

    return getattr(nets, name)(spatial_dims=2, **settings)


def monai_classifier() -> nn.Module:
    from monai.networks.nets import Classifier

    return Classifier((3, PIXELS, PIXELS), CLASSES, channels=(8, 16, 32), strides=(2, 2, 2))


def images(pixels: int = PIXELS) -> Tensor:
    return torch.randn(SAMPLES, 3, pixels, pixels)


def tokens() -> Tensor:
    return torch.randint(2, VOCABULARY, (SAMPLES, LENGTH))


def labelled(inputs: Callable[[], Tensor]) -> Callable[[], tuple[Any, Tensor]]:
    return lambda: (inputs(), torch.arange(SAMPLES) % CLASSES)


IMAGES, TEXT = labelled(images), labelled(tokens)


def painted() -> tuple[Any, Tensor]:
    """Images and a class for each pixel."""
    return images(), torch.randint(CLASSES, (SAMPLES, PIXELS, PIXELS))


def noisy() -> tuple[Any, Tensor]:
    """Noisy images with their time steps, and the noise."""
    return (images(16), torch.arange(SAMPLES)), images(16)


def pictured() -> tuple[Any, Tensor]:
    """Images that are to be given back."""
    given = images(32)
    return given, given


def continued() -> tuple[Any, Tensor]:
    """Token ids and those that follow."""
    given = tokens()
    return given, given.roll(-1, 1)


def next_token(outputs: Tensor, targets: Tensor) -> Tensor:
    return nn.functional.cross_entropy(outputs.flatten(0, 1), targets.flatten())


@dataclass(frozen=True)
class Case:
    """A network, the batch it is scored on and its loss; `kind` is what the network is."""

    kind: str
    build: Callable[[], nn.Module]
    batch: Callable[[], tuple[Any, Tensor]] = IMAGES
    loss: Callable[[Tensor, Tensor], Tensor] | None = None


MSE = nn.functional.mse_loss
VIT = {"img_size": PIXELS, "depth": 4}
HF_TEXT = {
    "vocab_size": VOCABULARY,
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
}
HF_VIT = {"image_size": PIXELS, "hidden_size": 64, "num_hidden_layers": 3, "num_attention_heads": 2}
EXPERTS = {"num_local_experts": 4, "num_experts_per_tok": 2, "num_key_value_heads": 1}
CASES = {
    "timm/efficientnet_b0": Case("CNN", lambda: timm("efficientnet_b0")),
    "timm/mobilenetv3_small_100": Case("CNN", lambda: timm("mobilenetv3_small_100")),
    "timm/convnextv2_atto": Case("CNN", lambda: timm("convnextv2_atto")),
    "timm/nf_resnet26": Case("CNN", lambda: timm("nf_resnet26")),
    "timm/repvgg_a0": Case("CNN", lambda: timm("repvgg_a0")),
    "timm/ghostnet_050": Case("CNN", lambda: timm("ghostnet_050")),
    "timm/vit_tiny_patch16_224": Case("ViT", lambda: timm("vit_tiny_patch16_224", **VIT)),
    "timm/swinv2_cr_tiny_224": Case(
        "ViT", lambda: timm("swinv2_cr_tiny_224", img_size=PIXELS, embed_dim=48, depths=(1, 1, 2, 1))
    ),
    "timm/maxvit_rmlp_pico_rw_256": Case("ViT", lambda: timm("maxvit_rmlp_pico_rw_256", img_size=PIXELS)),
    "timm/mobilevit_xxs": Case("ViT", lambda: timm("mobilevit_xxs")),
    "timm/edgenext_xx_small": Case("CNN", lambda: timm("edgenext_xx_small")),
    "torchvision/resnet18": Case("CNN", lambda: torchvision("resnet18")),
    "torchvision/mobilenet_v3_small": Case("CNN", lambda: torchvision("mobilenet_v3_small")),
    "torchvision/shufflenet_v2_x0_5": Case("CNN", lambda: torchvision("shufflenet_v2_x0_5")),
    "torchvision/DenseNet": Case("CNN", densenet),
    "torchvision/regnet_y_400mf": Case("CNN", lambda: torchvision("regnet_y_400mf")),
    "torchvision/squeezenet1_1": Case("CNN", lambda: torchvision("squeezenet1_1")),
    "torchvision/VisionTransformer": Case("ViT", vit_of_torchvision),
    "torchvision/lraspp_mobilenet_v3_large": Case(
        "segmentation",
        lambda: Returned(torchvision("lraspp_mobilenet_v3_large", weights_backbone=None), "out"),
        painted,
    ),
    "transformers/vit": Case("ViT", lambda: transformers("ImageClassification", "vit", **HF_VIT)),
    "transformers/resnet": Case(
        "CNN",
        lambda: transformers("ImageClassification", "resnet", embedding_size=16, hidden_sizes=[16, 32], depths=[1, 1]),
    ),
    "transformers/bert": Case("text", lambda: transformers("SequenceClassification", "bert", **HF_TEXT), TEXT),
    "transformers/gpt2": Case("text", lambda: transformers("SequenceClassification", "gpt2", **HF_TEXT), TEXT),
    "transformers/llama": Case(
        "language model", lambda: transformers("CausalLM", "llama", **HF_TEXT), continued, next_token
    ),
    "transformers/mixtral": Case(
        "language model", lambda: transformers("CausalLM", "mixtral", **HF_TEXT | EXPERTS), continued, next_token
    ),
    "diffusers/UNet2DModel": Case("diffusion", diffusion_unet, noisy, MSE),
    "diffusers/AutoencoderKL": Case("autoencoder", autoencoder, pictured, MSE),
    "monai/UNet": Case(
        "segmentation",
        lambda: monai("UNet", in_channels=3, out_channels=CLASSES, channels=(8, 16, 32), strides=(2, 2)),
        painted,
    ),
    "monai/DenseNet": Case(
        "CNN", lambda: monai("DenseNet", in_channels=3, out_channels=CLASSES, growth_rate=12, block_config=(2, 2, 2))
    ),
    "monai/Classifier": Case("CNN", monai_classifier),
}


def peak() -> float:
    """The most memory this process has had, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def measure(name: str, proxies: Sequence[str]) -> dict[str, Any]:
    """Score one network; its numbers and failures, time in units and rise of the peak of memory."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    case = CASES[name]
    model, (inputs, targets) = case.build(), case.batch()
    loss = {"loss": case.loss} if case.loss else {}
    parameters = sum(p.numel() for p in model.parameters())
    size = f"(mu={parameters / 1000}, sigma={parameters / 1000})"  # what `swap_regularised` has to be told
    proxies = [proxy + size if proxy == "swap_regularised" else proxy for proxy in proxies]
    before = peak()
    cards: list[zc.ScoreCard] = []
    cost = seconds(lambda: cards.append(zc.score(model, (inputs, targets), proxies, **loss)))
    rise = peak() - before

    def unit() -> None:
        outputs = model(*inputs) if isinstance(inputs, tuple) else model(inputs)
        outputs = outputs if isinstance(outputs, Tensor) else outputs.logits
        (case.loss or nn.functional.cross_entropy)(outputs, targets).backward()

    one = statistics.median(seconds(unit) for _ in range(3))
    return {
        "parameters": parameters,
        "numbers": dict(cards[0]),
        "failures": {proxy.partition("(")[0]: reason for proxy, reason in cards[0].failures.items()},
        "units": cost / one,
        "memory": rise,
    }


def in_own_process(name: str, proxies: Sequence[str]) -> dict[str, Any]:
    """The same in a new process, which has the libraries loaded; a process that dies is a failure of all proxies."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["zerocost", *LIBRARIES])
    with ProcessPoolExecutor(1, mp_context=context) as pool:
        try:
            return pool.submit(measure, name, proxies).result()
        except BrokenProcessPool:
            unknown = dict.fromkeys(("parameters", "units", "memory"), math.nan)
            return {"numbers": {}, "failures": dict.fromkeys(proxies, "the process died"), **unknown}


def table(results: Mapping[str, Mapping[str, Any]]) -> str:
    """One row a network."""
    total = len(zc.proxies.names())
    rows = [
        f"| network | kind | parameters | numbers of {total} | units: all | `snip` | memory: all | `snip` | ratio |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for name, found in results.items():
        one, snip = found["all"], found["snip"]
        rows.append(
            f"| {name} | {CASES[name].kind} | {one['parameters'] / 1e3:,.0f} k | {len(one['numbers'])} "
            f"| {one['units']:.1f} | {snip['units']:.1f} | {one['memory']:.0f} MB | {snip['memory']:.0f} MB "
            f"| {one['memory'] / max(snip['memory'], 1):.1f} |"
        )
    return "\n".join(rows)


def reasons(results: Mapping[str, Mapping[str, Any]]) -> str:
    """One row a reason: the proxies that fail with it, and on which networks."""
    found: dict[str, dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
    for name, result in results.items():
        for proxy, reason in result["all"]["failures"].items():
            found[re.sub(r"\(\d+(, \d+)*,?\)", "(…)", reason)][proxy].add(name)
    rows = ["| why | proxies | networks |", "|---|---|---|"]
    for reason, proxies in sorted(found.items(), key=lambda item: -len(set().union(*item[1].values()))):
        networks = sorted(set().union(*proxies.values()))
        text = textwrap.shorten(reason, 240, placeholder=" …").replace("|", "\\|")
        shown = ", ".join(f"`{proxy}`" for proxy in sorted(proxies))
        rows.append(f"| {text} | {shown} | {', '.join(networks) if len(networks) < 6 else len(networks)} |")
    return "\n".join(rows)


def main(
    names: Annotated[list[str] | None, typer.Argument(help="Networks of the table; by default all.")] = None,
    markdown: Annotated[Path | None, typer.Option(help="File in which to replace the tables.")] = None,
    as_data: Annotated[bool, typer.Option("--json", help="Print a line of JSON for each network.")] = False,
) -> None:
    """Score networks of other libraries with every proxy."""
    results: dict[str, Any] = {}
    for name in track(names or list(CASES), "scoring", console=Console(stderr=True), transient=True):
        results[name] = {"all": in_own_process(name, zc.proxies.names()), "snip": in_own_process(name, ["snip"])}
        if as_data:
            print(json.dumps({"network": name, **results[name]}), flush=True)
    if as_data:
        return
    versions = ", ".join(f"{name} {metadata.version(name)}" for name in LIBRARIES)
    text = f"{table(results)}\n\n{reasons(results)}\n\n{machine()}; {versions}.\n"
    if markdown is None:
        print(text)
        return
    begin, end = MARKERS
    before, _, rest = markdown.read_text().partition(begin)
    markdown.write_text(f"{before}{begin}\n\n{text}\n{end}{rest.partition(end)[2]}")


if __name__ == "__main__":
    sys.exit(typer.run(main))
