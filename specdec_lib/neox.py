"""GPT-NeoX's forward over a preallocated cache, through the loaded model's own layers: the arithmetic of StaticSession.

transformers' forward asks the same questions again for every token: which mask, which positions, which cache class. At
these sizes that costs more than the arithmetic. Here the answers are tables, made once a model and sliced.
"""

from weakref import WeakKeyDictionary

import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention
from transformers import GPTNeoXForCausalLM

_TABLES: WeakKeyDictionary[GPTNeoXForCausalLM, "Tables"] = WeakKeyDictionary()


class Tables:
    """What depends on the position alone, for every position of a model's context."""

    def __init__(self, module: GPTNeoXForCausalLM):
        self.kind = module.dtype, module.device
        context = module.config.max_position_embeddings
        like = torch.empty(0, dtype=module.dtype, device=module.device)
        positions = torch.arange(context, device=module.device).unsqueeze(0)
        cos, sin = (table[0] for table in module.gpt_neox.rotary_emb(like, positions))  # (context, rotary)
        half = sin.shape[-1] // 2
        # A rotation adds the halves swapped, the first of them negative: the sign goes into the table.
        self.cos, self.sin = cos[:, None, None], torch.cat([-sin[:, :half], sin[:, half:]], -1)[:, None, None]
        self.seen = torch.ones(context, context, dtype=torch.bool, device=module.device).tril()


def supports(module: torch.nn.Module) -> bool:
    """Whether StaticNeoX computes this model: GPT-NeoX, with the attention it does itself."""
    return isinstance(module, GPTNeoXForCausalLM) and module.config._attn_implementation == "sdpa"


class StaticNeoX:
    """One sequence's keys and values, (layers, heads, context, head) each, and the forward that fills them."""

    @torch.inference_mode()
    def __init__(self, module: GPTNeoXForCausalLM):
        if module not in _TABLES or _TABLES[module].kind != (module.dtype, module.device):
            _TABLES[module] = Tables(module)
        self.module, self.tables = module, _TABLES[module]
        self.layers = list(module.gpt_neox.layers)
        config = module.config
        self.heads, self.parallel = config.num_attention_heads, config.use_parallel_residual
        head = config.hidden_size // self.heads
        room = (len(self.layers), self.heads, config.max_position_embeddings, head)
        self.keys, self.values = (torch.empty(room, dtype=module.dtype, device=module.device) for _ in range(2))

    @torch.inference_mode()
    def __call__(self, tokens: Tensor, start: int, last: int) -> Tensor:
        """Logits (last, vocab) of the last rows of tokens (n,), which stand at positions start to start + n."""
        model, end = self.module.gpt_neox, start + len(tokens)
        place = slice(start, end)
        cos, sin = self.tables.cos[place], self.tables.sin[place]
        mask = None if len(tokens) == 1 or start == 0 else self.tables.seen[place, :end]
        hidden = model.embed_in(tokens)  # (n, width)
        for number, layer in enumerate(self.layers):
            attended = self._attend(number, layer, layer.input_layernorm(hidden), place, cos, sin, mask)
            if self.parallel:
                hidden = hidden + attended + layer.mlp(layer.post_attention_layernorm(hidden))
            else:
                hidden = hidden + attended
                hidden = hidden + layer.mlp(layer.post_attention_layernorm(hidden))
        rows = model.final_layer_norm(hidden[len(tokens) - last :])
        return self.module.get_output_embeddings()(rows)

    def _attend(self, number: int, layer, hidden: Tensor, place: slice, cos: Tensor, sin: Tensor, mask) -> Tensor:
        """Attention (n, width) of one layer; its keys and values are kept at `place`."""
        n, width = hidden.shape
        qkv = layer.attention.query_key_value(hidden).view(n, self.heads, 3, -1)
        rotated = qkv[:, :, :2, : cos.shape[-1]]  # queries and keys together: (n, heads, 2, rotary)
        rotated.copy_(torch.addcmul(rotated * cos, rotated.roll(cos.shape[-1] // 2, -1), sin))
        query, key, value = qkv.transpose(0, 1).unbind(2)  # (heads, n, head)
        keys, values = self.keys[number], self.values[number]
        keys[:, place] = key
        values[:, place] = value
        attended = scaled_dot_product_attention(
            query.unsqueeze(0),
            keys[None, :, : place.stop],
            values[None, :, : place.stop],
            attn_mask=mask,
            is_causal=mask is None and n > 1,
        )
        return layer.attention.dense(attended[0].transpose(0, 1).reshape(n, width))
