"""From scores to the odds of the next token: greedy, temperature, top-k, top-p.

V vocabulary
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from lal.errors import LalError


@dataclass(frozen=True)
class Sampling:
    """How to draw the next token.

    Attributes:
        temperature: 0 takes the likeliest (greedy), 1 draws by the model's own odds, more is more varied.
        top_k: Draw from the k likeliest only; None: from all.
        top_p: Draw from the likeliest that together reach this probability, more than 0 and at most 1.

    Raises:
        LalError: A value is out of range.
    """

    temperature: float = 0.0
    top_k: int | None = None
    top_p: float = 1.0

    def __post_init__(self) -> None:
        if not 0 <= self.temperature <= 100:
            raise LalError(f"temperature must be between 0 and 100, got {self.temperature}", "0 is greedy, 1 is usual")
        if self.top_k is not None and self.top_k < 1:
            raise LalError(f"top_k must be at least 1, got {self.top_k}", "leave it out to draw from all tokens")
        if not 0 < self.top_p <= 1:
            raise LalError(f"top_p must be more than 0 and at most 1, got {self.top_p}", "1 draws from all tokens")


def probabilities(logits: Tensor, sampling: Sampling) -> Tensor:
    """The odds that `sampling` draws each token with.

    First the temperature, then top-k, then top-p of what is left; among equals the lower id comes first.

    Args:
        logits: (V,) scores.
        sampling: How to draw.

    Returns:
        (V,) float64, adding up to 1.

    Source: Holtzman et al. 2020, "The Curious Case of Neural Text Degeneration" (top-p), https://arxiv.org/abs/1904.09751;
        Fan et al. 2018, "Hierarchical Neural Story Generation" (top-k), https://arxiv.org/abs/1805.04833
    """
    scores, order = logits.double().sort(descending=True, stable=True)
    if sampling.temperature == 0:
        odds = (torch.arange(len(scores)) == 0).double()
    else:
        # The highest score is taken off first: then no temperature, however small, makes an infinity.
        odds = ((scores - scores[0]) / sampling.temperature).softmax(dim=0)
    if sampling.top_k is not None:
        odds[sampling.top_k :] = 0
        odds = odds / odds.sum()
    before = odds.cumsum(dim=0) - odds
    odds = torch.where(before < sampling.top_p, odds, 0)
    return torch.zeros_like(odds).scatter(0, order, odds / odds.sum())


def draw(logits: Tensor, sampling: Sampling, generator: torch.Generator) -> int:
    """One token id from (V,) scores, on the CPU; greedy leaves the generator as it is."""
    # The generator lives there, and Apple's GPUs have no float64.
    logits = logits.cpu()
    if sampling.temperature == 0:
        return int(logits.argmax())
    return int(torch.multinomial(probabilities(logits, sampling), 1, generator=generator))
