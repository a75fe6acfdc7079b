"""GPT-NeoX's forward over a preallocated cache, with the loaded model's own weights: StaticSession's arithmetic.

transformers' forward asks the same questions again for every token: which mask, which positions, which cache class. At
these sizes that costs more than the arithmetic. Here the answers are tables, made once a model and sliced.
"""

from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn
from torch.nn.functional import layer_norm, scaled_dot_product_attention
from transformers import GPTNeoXForCausalLM

from specdec_lib import linears

_PREPARED: WeakKeyDictionary[GPTNeoXForCausalLM, "Prepared"] = WeakKeyDictionary()


def supports(module: nn.Module) -> bool:
    """Whether StaticNeoX computes this model: GPT-NeoX on one device, with the attention it does itself.

    Not where the rotation depends on how long the text is, as tables can't follow that.
    """
    return (
        isinstance(module, GPTNeoXForCausalLM)
        and module.config._attn_implementation == "sdpa"
        and (module.config.rope_parameters or {}).get("rope_type") not in ("longrope", "dynamic")
        and len({weight.device for weight in module.parameters()}) == 1
    )


class Norm:
    """A LayerNorm without the bookkeeping of a module's call."""

    def __init__(self, module: nn.LayerNorm):
        self.shape, self.eps = module.normalized_shape, module.eps
        self.weight, self.bias = module.weight.detach(), module.bias.detach()

    def __call__(self, hidden: Tensor) -> Tensor:
        return layer_norm(hidden, self.shape, self.weight, self.bias, self.eps)


class Layer:
    """A layer's parts in the form that is fastest for few tokens."""

    def __init__(self, layer, gelu: bool):
        self.before_attention, self.before_mlp = Norm(layer.input_layernorm), Norm(layer.post_attention_layernorm)
        self.qkv = linears.prepared(layer.attention.query_key_value)
        self.dense = linears.prepared(layer.attention.dense)
        self.up, self.down = linears.prepared(layer.mlp.dense_h_to_4h), linears.prepared(layer.mlp.dense_4h_to_h)
        self.activated = self.up.gelu if gelu else lambda rows: layer.mlp.act(self.up(rows))


class Prepared:
    """A model's layers as the fast path calls them, and tables of what depends on the position alone."""

    @torch.inference_mode()
    def __init__(self, module: GPTNeoXForCausalLM):
        self.state = _state(module)
        model, config = module.gpt_neox, module.config
        self.heads, self.parallel = config.num_attention_heads, config.use_parallel_residual
        self.layers = [Layer(layer, config.hidden_act == "gelu") for layer in model.layers]
        self.embedding = model.embed_in.weight.detach()
        self.norm, self.head = Norm(model.final_layer_norm), linears.prepared(module.get_output_embeddings())
        context = config.max_position_embeddings
        positions = torch.arange(context, device=module.device).unsqueeze(0)
        cos, sin = (table[0] for table in model.rotary_emb(self.embedding[:0], positions))  # (context, rotary)
        half = sin.shape[-1] // 2
        # A rotation adds the halves swapped, the first of them negative: the sign goes into the table.
        self.cos, self.sin = cos[:, None, None], torch.cat([-sin[:, :half], sin[:, half:]], -1)[:, None, None]
        self.places = torch.arange(context, device=module.device)


def _state(module: nn.Module) -> list[tuple]:
    """What changes when weights are replaced, moved or trained."""
    return [(w.data_ptr(), w.dtype, None if w.is_inference() else w._version) for w in module.parameters()]


def prepared(module: GPTNeoXForCausalLM) -> Prepared:
    """Made once a model, and again when its weights have changed.

    A change that PyTorch keeps no count of (through `.data`, or in inference mode) is not seen: load the model anew.
    """
    if module not in _PREPARED or _PREPARED[module].state != _state(module):
        _PREPARED[module] = Prepared(module)
    return _PREPARED[module]


class StaticNeoX:
    """One sequence's keys and values, (layers, 2, heads, context, head), and the forward that fills them."""

    def __init__(self, module: GPTNeoXForCausalLM):
        self.model = prepared(module)
        config, like = module.config, self.model.embedding
        head = config.hidden_size // config.num_attention_heads
        room = config.num_hidden_layers, 2, config.num_attention_heads, config.max_position_embeddings, head
        self.cache = torch.empty(room, dtype=like.dtype, device=like.device)

    @torch.inference_mode()
    def __call__(self, tokens: Tensor, place: slice | Tensor, end: int, last: int) -> Tensor:
        """Logits (last, vocab) of the last rows of tokens (n,), which stand at the positions `place` before `end`.

        place: a slice, or positions (n,) on the device, which a recorded forward reads anew at every repetition.
        """
        model = self.model
        cos, sin = model.cos[place], model.sin[place]
        alone = isinstance(place, slice) and (len(tokens) == 1 or place.start == 0)  # sdpa knows these two masks
        mask = None if alone else self._unseen(place, end)
        hidden = model.embedding[tokens]  # (n, width)
        for layer, cache in zip(model.layers, self.cache, strict=True):
            qkv = self._rotated(layer.qkv(layer.before_attention(hidden)), cos, sin)
            cache[:, :, place] = qkv[:, :, 1:].permute(2, 1, 0, 3)
            attended = self._attend(qkv[:, :, 0], cache[:, None, :, :end], mask)
            if model.parallel:
                after = layer.activated(layer.before_mlp(hidden))
                hidden = layer.down.plus(after, layer.dense.plus(attended, hidden))
            else:
                hidden = layer.dense.plus(attended, hidden)
                hidden = layer.down.plus(layer.activated(layer.before_mlp(hidden)), hidden)
        return model.head(model.norm(hidden[len(tokens) - last :]))

    def _unseen(self, place: slice | Tensor, end: int) -> Tensor:
        """What is added to the scores (n, end) of tokens at `place`: 0 up to their own, then -∞."""
        later = self.model.places[:end] > self.model.places[place].unsqueeze(-1)
        return torch.zeros(later.shape, dtype=self.cache.dtype, device=later.device).masked_fill_(later, -torch.inf)

    def _rotated(self, qkv: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        """Queries, keys and values (n, heads, 3, head) from qkv (n, 3 width), the first two turned by position."""
        qkv = qkv.view(len(qkv), self.model.heads, 3, -1)
        turned = qkv[:, :, :2, : cos.shape[-1]]
        turned.copy_(torch.addcmul(turned * cos, turned.roll(cos.shape[-1] // 2, -1), sin))
        return qkv

    def _attend(self, queries: Tensor, cached: Tensor, mask: Tensor | None) -> Tensor:
        """Attention (n, width) of queries (n, heads, head) over cached keys and values (2, 1, heads, end, head)."""
        n = len(queries)
        attended = scaled_dot_product_attention(
            queries.transpose(0, 1).unsqueeze(0), *cached, attn_mask=mask, is_causal=mask is None and n > 1
        )
        return attended[0].transpose(0, 1).reshape(n, -1)
