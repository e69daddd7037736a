"""A model small enough to build in a blink, and its folder."""

from pathlib import Path

import pytest

from lal.model.folder import LoadedModel, load_model, save_model
from lal.model.transformer import Config, Transformer
from lal.text.tokenizer import Tokenizer


@pytest.fixture(scope="session")
def measured(tmp_path_factory: pytest.TempPathFactory) -> LoadedModel:
    tokenizer = Tokenizer.train(["Giue me my Armor, and giue me my Horse. " * 20], 270)
    config = Config(
        vocabulary_size=tokenizer.vocabulary_size,
        num_layers=2,
        num_heads=2,
        num_kv_heads=1,
        width=16,
        feed_forward_width=32,
        context_length=64,
        query_key_norm=True,
        tied_embeddings=False,
    )
    model = Transformer(config, seed=3)
    for weight in model.parameters():  # A fresh head is zero, and then all models answer alike.
        weight.data.add_(0.3 * weight.data.new_tensor(range(weight.numel())).sin().view_as(weight))
    folder: Path = tmp_path_factory.mktemp("measured")
    save_model(
        folder,
        model,
        tokenizer,
        {
            "stage": "sft",
            "inputs": {"train.jsonl": "ab" * 32},
            "parent": {"stage": "pretrain", "inputs": {}, "parent": None},
        },
    )
    return load_model(folder)
