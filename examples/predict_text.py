"""From a text to a network that predicts its next byte, in a space of small transformers of one's own."""

import sys
import tempfile
import textwrap

import torch
from torch import Tensor, nn

from zerocost.spaces import Choose

LENGTH = 32


class Transformer(nn.Module):
    """Bytes N×length to logits N×length×256; no place sees a later one."""

    def __init__(self, width: int, depth: int, heads: int, activation: str) -> None:
        super().__init__()
        self.bytes, self.places = nn.Embedding(256, width), nn.Embedding(LENGTH, width)
        options = {"dropout": 0.0, "activation": activation, "batch_first": True, "norm_first": True}
        self.blocks = nn.ModuleList(
            nn.TransformerEncoderLayer(width, heads, 4 * width, **options) for _ in range(depth)
        )
        self.last = nn.Linear(width, 256)

    def forward(self, ids: Tensor) -> Tensor:
        length = ids.shape[1]
        x = self.bytes(ids) + self.places(torch.arange(length, device=ids.device))
        later = nn.Transformer.generate_square_subsequent_mask(length, device=ids.device, dtype=x.dtype)
        for block in self.blocks:
            x = block(x, src_mask=later, is_causal=True)
        return self.last(x)


def transformer(choose: Choose) -> nn.Module:
    """A transformer of these choices."""
    return Transformer(
        width=choose.int("width", 16, 64, step=16),
        depth=choose.int("depth", 1, 3),
        heads=choose.one_of("heads", [1, 2, 4]),
        activation=choose.one_of("activation", ["relu", "gelu"]),
    )


if __name__ == "__main__":
    import zerocost as zc

    with tempfile.TemporaryDirectory() as folder:
        settings = {"candidates": 10, "keep": 2, "epochs": 2, "workdir": f"{folder}/trainings"}
        found = zc.search(transformer, f"text:{textwrap.__file__}:{LENGTH}", **settings)
        for title, runs in (("survivors", found.survivors), ("random picks", found.random)):
            print(f"{title:<13}{found.metric_name}:", *(f"{run.metric:.1f}" for run in runs))
        found.export(f"{folder}/text_network", space=f"{__file__}:transformer")

        sys.path.append(folder)  # from here on as on another machine, without zerocost
        from text_network import network

        model, text = network.load(), b"    def "
        for _ in range(20):
            text += bytes([model(torch.tensor([list(text[-LENGTH:])]))[0, -1].argmax()])
        print(f"\n{found.best}\ncontinues {text.decode(errors='replace')!r}")
