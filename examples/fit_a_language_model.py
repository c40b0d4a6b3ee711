"""A language model of experts, under limits on its active parameters and on the cache of its keys and values."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.data import TensorDataset

import zerocost as zc

WORDS, LENGTH = 64, 16


class Block(nn.Module):
    """Attention with shared heads of keys and values, then experts, of which each token goes to one."""

    def __init__(self, width: int, groups: int, experts: int) -> None:
        super().__init__()
        self.groups, self.size = groups, width // 4
        self.queries, self.pairs = nn.Linear(width, width), nn.Linear(width, 2 * groups * self.size)
        self.router = nn.Linear(width, experts)
        self.up, self.down = (nn.Parameter(torch.randn(experts, *s) / 8) for s in ((width, width), (width, width)))

    def forward(self, x: Tensor) -> Tensor:
        q = self.queries(x).unflatten(-1, (4, self.size)).transpose(1, 2)
        k, v = (t.unflatten(-1, (self.groups, self.size)).transpose(1, 2) for t in self.pairs(x).chunk(2, -1))
        x = x + F.scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=True).transpose(1, 2).flatten(2)
        weight, expert = self.router(x).softmax(-1).max(-1)
        up, down = self.up[expert], self.down[expert]
        return x + weight[..., None] * (F.gelu(x[..., None, :] @ up) @ down).squeeze(-2)


def gpt(choose: zc.spaces.Choose) -> nn.Module:
    """A GPT of blocks with experts."""
    width, groups = choose.int("width", 16, 64, step=16), choose.one_of("groups", [1, 2, 4])
    experts = choose.one_of("experts", [2, 4, 8])
    blocks = [Block(width, groups, experts) for _ in range(choose.int("blocks", 1, 4))]
    return nn.Sequential(nn.Embedding(WORDS, width), *blocks, nn.LayerNorm(width), nn.Linear(width, WORDS))


ids = torch.randint(WORDS, (64, LENGTH + 1), generator=torch.Generator().manual_seed(0))
data = TensorDataset(ids[:, :-1], ids[:, 1:])
fits = "active_params < 40k and kv_cache_fp16 < 256B"
found = zc.search(gpt, data, candidates=4, where=fits, proxies="naswot", task="next_token", keep=3, epochs=0, batch=8)

print(f"{len(found.table)} scored, {len(found.rejected)} refused")
print(found.kept.frame[["params", "active_params", "kv_cache_fp16", "rank_score"]].to_string())
