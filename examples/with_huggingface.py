"""Rank configurations of Hugging Face transformers: random weights, random tokens, no download."""

import sys

try:
    import transformers
except ImportError:
    sys.exit("this example needs the extra transformers: pip install 'zerocost[transformers]'")

from zerocost.integrations import huggingface
from zerocost.scoring.rank import rank_batch

shapes = {"wide": (64, 2), "square": (48, 4), "deep": (32, 8)}
configs = {
    name: transformers.LlamaConfig(
        vocab_size=200,
        hidden_size=width,
        intermediate_size=4 * width,
        num_hidden_layers=depth,
        num_attention_heads=4,
        num_key_value_heads=4,
        eos_token_id=2,
    )
    for name, (width, depth) in shapes.items()
}
batch = huggingface.tokens(configs["wide"], size=8, length=16)
table = rank_batch(huggingface.candidates(configs), batch, also="non_embedding_params")
print(table.frame.round(3).to_string())
