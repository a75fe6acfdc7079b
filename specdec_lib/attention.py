"""What BetterTransformer computed in the study's library (optimum 1.16, 2023), rebuilt to be studied."""

import torch
from torch import Tensor
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

BETTERTRANSFORMER = "bettertransformer-2023"
"""SDPA under the mask of 2023. With a cache, several tokens read at once don't get the model's own logits."""


def top_left_mask(batch_size: int, q_length: int, kv_length: int, *, device="cpu", **options) -> Tensor | None:
    """Which keys each query sees: bool (1, 1, q_length, kv_length), or None where SDPA needs no mask to be right.

    At batch 1 the library left the mask to SDPA's `is_causal` for any query of more than one token, and PyTorch aligns
    that to the top left: over a cache, query i sees keys 0 to i of the whole text. One token, a forward without a
    cache and larger batches were right. The mask is written out because kernels may align `is_causal` otherwise.
    """
    if batch_size > 1 or q_length in (1, kv_length):
        return sdpa_mask(batch_size, q_length, kv_length, device=device, **options)
    return torch.ones(q_length, kv_length, dtype=torch.bool, device=device).tril()[None, None]


AttentionInterface.register(BETTERTRANSFORMER, sdpa_attention_forward)
AttentionMaskInterface.register(BETTERTRANSFORMER, top_left_mask)
