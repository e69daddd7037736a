"""Tiny models with weights that do something: freshly made ones answer the same to everything."""

from collections.abc import Callable
from typing import Any

import pytest
import torch

from lal.model.transformer import Config, Transformer
from lal.text.tokenizer import Tokenizer

CONFIG: dict[str, Any] = {
    "vocabulary_size": 270,
    "num_layers": 2,
    "num_heads": 4,
    "num_kv_heads": 4,
    "width": 32,
    "feed_forward_width": 64,
    "context_length": 24,
    "query_key_norm": True,
    "tied_embeddings": False,
}


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture
def new_model() -> Callable[..., Transformer]:
    """Makes a model of `CONFIG` with changes, all of its weights moved away from where they start."""

    def build(**changes: Any) -> Transformer:
        model = Transformer(Config(**(CONFIG | changes)), seed=1)
        generator = torch.Generator().manual_seed(2)
        with torch.no_grad():
            for weight in model.parameters():
                weight.add_(torch.randn(weight.shape, generator=generator), alpha=0.1 if weight.ndim == 1 else 0.2)
        return model.eval()

    return build


@pytest.fixture(scope="session")
def tokenizer() -> Tokenizer:
    return Tokenizer.train(["Who's there? Nay, answer me: stand and unfold yourself. Long live the King!"], 270)


@pytest.fixture
def ids() -> torch.Tensor:
    """(3, 24) ids below the control tokens."""
    return torch.randint(0, 266, (3, 24), generator=torch.Generator().manual_seed(3))
