"""The peak of memory as zerocost computes it, beside that of a run in which every tensor is watched.

    python bench/peak_memory.py
    python bench/peak_memory.py --executorch

Networks of the zoo, of every space, and of transformers, torchvision and timm where these are installed, are exported
by torch.export and run operation by operation; whatever nothing reads any more is freed, and weak references tell which
storages are still there. With --executorch, the size of the arena that ExecuTorch plans is shown too (`pip install
executorch`).
"""

from __future__ import annotations

import operator
import time
import warnings
from collections.abc import Iterator
from importlib.util import find_spec
from typing import Annotated, Any

import numpy as np
import torch
import typer
from rich.console import Console
from rich.table import Table
from torch import Tensor, fx, nn
from torch.multiprocessing.reductions import StorageWeakRef
from torch.utils._pytree import tree_leaves

import zerocost as zc
from zerocost import spaces
from zerocost.base.errors import describe_error
from zerocost.data import Batch
from zerocost.scoring.candidates import initialise
from zerocost.testing.zoo import ZOO

WIDTHS = {"peak_memory": 4, "peak_memory_fp16": 2, "peak_memory_int8": 1}
IN_PLACE = {"batch_norm", "_native_batch_norm_legit_no_training", "hardswish", "hardsigmoid"}


class LiveTensors(fx.Interpreter):
    """Runs an exported graph for real, frees what nothing reads any more, and looks which storages are still there."""

    def __init__(self, graph: fx.GraphModule) -> None:
        super().__init__(graph)
        self.constants = {
            t.untyped_storage()._cdata for t in (*graph.parameters(), *graph.buffers(), *_attributes(graph))
        }
        self.there: dict[int, tuple[StorageWeakRef, int, Tensor | None]] = {}
        self.peak = dict.fromkeys(WIDTHS, 0)

    def start(self, inputs: list[Any]) -> None:
        self.args_iter = iter([])
        self.inputs = inputs
        for node in self.graph.nodes:
            self.env[node] = self.run_node(node)
            self.drop(self.user_to_last_uses.get(node, []))

    def placeholder(self, target: Any, args: Any, kwargs: Any) -> Any:
        return self.inputs.pop(0)

    def drop(self, nodes: list[fx.Node]) -> None:
        for node in nodes:
            self.env.pop(node, None)

    def run_node(self, n: fx.Node) -> Any:
        result = super().run_node(n)
        if isinstance(result, tuple | list):
            taken = {user.args[1] for user in n.users if user.target is operator.getitem and user.users}
            everything = any(user.target is not operator.getitem for user in n.users)
            result = tuple(r if everything or place in taken else None for place, r in enumerate(result))
        made = [t for t in tree_leaves(result) if isinstance(t, Tensor)]
        for tensor in made:
            storage = tensor.untyped_storage()
            if storage._cdata not in self.constants:
                floats = storage.nbytes() // tensor.element_size() if tensor.is_floating_point() else 0
                size = (floats, 0 if floats else storage.nbytes())
                self.there.setdefault(storage._cdata, (StorageWeakRef(storage), size))
        if n.op == "call_function":
            self.measure(n, made)
        return result

    def measure(self, node: fx.Node, made: list[Tensor]) -> None:
        """Count what is there; of a pointwise operation less the operand whose place it can take."""
        name = getattr(node.target, "overloadpacket", node.target).__name__
        before = self.living()
        operands = [
            (value.shape, value.stride(), value.untyped_storage()._cdata)
            for value in (self.env[n] for n in node.all_input_nodes)
            if isinstance(value, Tensor)
        ]
        freed = (0, 0)
        pointwise = torch.Tag.pointwise in getattr(node.target, "tags", ()) or name in IN_PLACE
        if pointwise and made and made[0].untyped_storage()._cdata not in [key for *_, key in operands]:
            self.drop(self.user_to_last_uses.get(node, []))
            after = self.living()
            fits = [
                before[key]
                for shape, stride, key in operands
                if (shape, stride) == (made[0].shape, made[0].stride())
                and key in before
                and key not in after
                and before[key] == before[made[0].untyped_storage()._cdata]
            ]
            freed = fits[0] if fits else freed
        for width_name, width in WIDTHS.items():
            live = sum(floats * width + other for floats, other in before.values()) - freed[0] * width - freed[1]
            self.peak[width_name] = max(self.peak[width_name], live)

    def living(self) -> dict[int, tuple[int, int]]:
        self.there = {key: one for key, one in self.there.items() if not one[0].expired()}
        return {key: size for key, (_, size) in self.there.items()}


def _attributes(graph: fx.GraphModule) -> list[Tensor]:
    return [value for module in graph.modules() for value in vars(module).values() if isinstance(value, Tensor)]


def brute_force(model: nn.Module, inputs: Any) -> dict[str, int]:
    """The peak by `LiveTensors` on the graph that torch.export makes."""
    arguments = tuple(inputs) if isinstance(inputs, tuple | list) else () if isinstance(inputs, dict) else (inputs,)
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        exported = torch.export.export(model.eval(), arguments, inputs if isinstance(inputs, dict) else {})
        graph = exported.run_decompositions({}).module(check_guards=False)
        tracker = LiveTensors(graph)
        copies = [t.clone() for t in tree_leaves(inputs)]
        tracker.start(copies)
    return tracker.peak


def computed(model: nn.Module, inputs: Any) -> dict[str, int]:
    """The peak that zerocost computes."""
    card = zc.score(model, Batch(inputs, None), list(WIDTHS))
    return {name: int(card[name]) for name in WIDTHS}


def planned(model: nn.Module, inputs: Tensor) -> int:
    """Bytes of the arena that ExecuTorch plans, linear layers kept whole.

    By default it writes a linear layer as a product with a transposed copy of the weights, which lies in the arena.
    """
    from executorch.exir import EdgeCompileConfig, to_edge

    exported = torch.export.export(model.eval(), (inputs,))
    whole = EdgeCompileConfig(preserve_ops=[torch.ops.aten.linear.default], _check_ir_validity=False)
    plan = to_edge(exported, compile_config=whole).to_executorch().executorch_program.execution_plan[0]
    return int(sum(plan.non_const_buffer_sizes))


def of_zoo() -> Iterator[tuple[str, nn.Module, Any]]:
    """The networks of the zoo with one sample each."""
    for name, specimen in ZOO.items():
        yield name, initialise(specimen.build), specimen.batch(1, seed=0)[0]


def of_spaces() -> Iterator[tuple[str, nn.Module, Any]]:
    """A random network of each space."""
    shapes = {"mlp": (1, 8), "tcn": (1, 20, 1), "vit": (1, 3, 224, 224), "pit": (1, 3, 224, 224)}
    tokens = {name: torch.randint(0, 1000, (1, 64)) for name in ("bert", "gpt")}
    for name in spaces.names():
        space = spaces.get(name)
        arch = space.sample(np.random.default_rng(0))
        yield (
            name,
            initialise(lambda space=space, arch=arch: space.build(arch)),
            tokens[name] if name in tokens else torch.rand(shapes.get(name, (1, 3, 32, 32))),
        )


def of_transformers() -> Iterator[tuple[str, nn.Module, Any]]:
    """Image networks of transformers, small."""
    import transformers as tf

    stages = {"depths": [1, 1, 1, 1], "num_labels": 10}
    image = {"image_size": 64, "num_labels": 10}
    heads = {"hidden_size": 48, "num_hidden_layers": 2, "num_attention_heads": 3, "intermediate_size": 96}
    swin = {"embed_dim": 24, "depths": [2, 2], "num_heads": [2, 4], "window_size": 4}
    for config in (
        tf.ResNetConfig(embedding_size=16, hidden_sizes=[16, 32, 64, 128], **stages),
        tf.RegNetConfig(embedding_size=16, hidden_sizes=[16, 32, 48, 64], groups_width=8, **stages),
        tf.ConvNextConfig(hidden_sizes=[16, 32, 64, 128], image_size=64, **stages),
        tf.MobileNetV1Config(depth_multiplier=0.25, **image),
        tf.MobileNetV2Config(depth_multiplier=0.35, **image),
        tf.EfficientNetConfig(width_coefficient=0.25, depth_coefficient=0.3, hidden_dim=320, **image),
        tf.ViTConfig(patch_size=16, **heads, **image),
        tf.SwinConfig(**swin, **image),
    ):
        model = initialise(lambda config=config: tf.AutoModelForImageClassification.from_config(config))
        yield config.model_type, model, torch.rand(1, 3, 64, 64)


def of_torchvision() -> Iterator[tuple[str, nn.Module, Any]]:
    """Networks of torchvision, untrained, at the size that they are made for."""
    from torchvision import models

    for name in ("alexnet", "resnet50", "mobilenet_v3_small", "shufflenet_v2_x0_5", "squeezenet1_1"):
        yield f"torchvision {name}", initialise(lambda name=name: models.get_model(name)), torch.rand(1, 3, 224, 224)
    yield "torchvision densenet121", initialise(models.densenet121), torch.rand(1, 3, 224, 224)


def of_published() -> Iterator[tuple[str, nn.Module, Any]]:
    """Networks of torchvision whose memory is published: MobileNetV2, and `mbv2-320kB` of MCUNet's model zoo.

    That one is 0.35 times as wide, its last layer too, as its published parameters and multiply-adds tell.
    """
    from torchvision import models
    from torchvision.ops import Conv2dNormActivation

    def narrow() -> nn.Module:
        net = models.mobilenet_v2(width_mult=0.35)
        net.features[-1] = Conv2dNormActivation(112, 448, 1, activation_layer=nn.ReLU6)
        net.classifier[-1] = nn.Linear(448, 1000)
        return net

    yield "MobileNetV2", initialise(models.mobilenet_v2), torch.rand(1, 3, 224, 224)
    yield "mbv2-320kB", initialise(narrow), torch.rand(1, 3, 144, 144)


def of_timm() -> Iterator[tuple[str, nn.Module, Any]]:
    """Networks of timm, untrained."""
    import timm

    for name in ("efficientnet_b0", "mobilenetv3_small_050", "convnext_atto", "mixer_s32_224", "vit_tiny_patch16_224"):
        yield f"timm {name}", initialise(lambda name=name: timm.create_model(name)), torch.rand(1, 3, 224, 224)


def main(
    executorch: Annotated[bool, typer.Option("--executorch", help="Show the arena that ExecuTorch plans.")] = False,
) -> None:
    """Compare the peaks, network by network."""
    table = Table("network", "zerocost, B", "watched, B", "int8", "watched", *(["ExecuTorch"] if executorch else []))
    equal, compared, seconds = 0, 0, [0.0, 0.0]
    packages = {
        of_transformers: "transformers",
        of_torchvision: "torchvision",
        of_published: "torchvision",
        of_timm: "timm",
    }
    for networks in (of_zoo, of_spaces, *(one for one, package in packages.items() if find_spec(package))):
        for name, model, inputs in networks():
            try:
                start = time.perf_counter()
                ours = computed(model, inputs)
                seconds[0] += time.perf_counter() - start
                start = time.perf_counter()
                watched = brute_force(model, inputs)
                seconds[1] += time.perf_counter() - start
            except Exception as error:  # noqa: BLE001  whatever export raises
                table.add_row(name, describe_error(error)[:60])
                continue
            compared, equal = compared + 1, equal + (ours == watched)
            shown = name if ours == watched else f"{name} (differs)"
            numbers = [d[n] for n in ("peak_memory", "peak_memory_int8") for d in (ours, watched)]
            arena = [f"{planned(model, inputs):,}" if isinstance(inputs, Tensor) else ""] if executorch else []
            table.add_row(shown, *(f"{number:,}" for number in numbers), *arena)
    out = Console(width=110)
    out.print(table)
    for name, model, inputs in of_published() if find_spec("torchvision") else ():
        card = zc.score(model, Batch(inputs, None), ["peak_memory_int8", "flash_int8", "params", "flops"])
        out.print(f"{name}: {', '.join(f'{cost} {value:,.0f}' for cost, value in card.items())}")
    out.print(
        f"equal at float32, float16 and int8: {equal} of {compared}; time, watched over ours: "
        f"{seconds[1] / seconds[0]:.1f}"
    )


if __name__ == "__main__":
    typer.run(main)
