"""Layers and widths of what `train.py` trains."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Size:
    """tokens: to train on. vocabulary: rows of embedding and output layer, apart; None for the tokenizer's, shared."""

    layers: int
    width: int
    heads: int
    tokens: int
    vocabulary: int | None = None


MINI = {
    "target": Size(12, 192, 3, 16_000_000),
    "draft-1": Size(1, 64, 1, 1_200_000),
    "draft-2": Size(1, 128, 2, 1_200_000),
    "draft-3": Size(2, 128, 2, 1_200_000),
    "draft-4": Size(4, 128, 2, 1_200_000),
    "draft-5": Size(7, 128, 2, 1_500_000),
}

VOCABULARY = 52_096  # of the paper's tokenizer; ours fills the first rows
MINUTES = 12_000_000  # tokens: minutes for all nine on a large GPU

# The paper gives parameter counts alone: with its vocabulary, 64 to a head and embedding and output layer apart, these
# layers and widths meet all nine.
PAPER = {
    "6M": Size(2, 64, 1, MINUTES, VOCABULARY),
    "13M": Size(2, 128, 2, MINUTES, VOCABULARY),
    "29M": Size(3, 256, 4, MINUTES, VOCABULARY),
    "47M": Size(4, 384, 6, MINUTES, VOCABULARY),
    "72M": Size(6, 512, 8, MINUTES, VOCABULARY),
    "115M": Size(10, 640, 10, MINUTES, VOCABULARY),
    "165M": Size(12, 768, 12, MINUTES, VOCABULARY),
    "247M": Size(16, 896, 14, MINUTES, VOCABULARY),
    "409M": Size(24, 1024, 16, MINUTES, VOCABULARY),
}
