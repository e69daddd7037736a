"""A model small enough to build in a blink, and its folder."""

from pathlib import Path

from lal.model.folder import save_model
from lal.model.transformer import Config, Transformer
from lal.text.tokenizer import Tokenizer


def write_speaking_model(folder: Path) -> None:
    """A model folder whose answers are gibberish, but not all alike: a fresh head of zeros would say one thing only."""
    tokenizer = Tokenizer.train(["Modernise: giue vs loue and haue no horsse. " * 30], 290)
    config = Config(tokenizer.vocabulary_size, 1, 2, 2, 16, 32, 96, query_key_norm=True, tied_embeddings=False)
    model = Transformer(config, seed=1)
    for weight in model.parameters():
        weight.data.add_(0.3 * weight.data.new_tensor(range(weight.numel())).sin().view_as(weight))
    save_model(folder, model, tokenizer, {"stage": "sft"}, generation={"max_new_tokens": 9})
