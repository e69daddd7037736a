"""A model small enough to build in a blink, its folder, and the data it says it was trained on."""

from pathlib import Path

import numpy as np
import torch

from lal.files import sha256, write_bytes, write_jsonl
from lal.model.folder import save_model
from lal.model.transformer import Config, Transformer
from lal.records import Document, Split
from lal.text.tokenizer import Tokenizer


def write_speaking_model(folder: Path, seed: int = 1) -> None:
    """A model folder whose answers are gibberish, but not all alike: a fresh head of zeros would say one thing only."""
    tokenizer = Tokenizer.train(["Modernise: giue vs loue and haue no horsse. " * 30], 290)
    config = Config(tokenizer.vocabulary_size, 1, 2, 2, 16, 32, 96, query_key_norm=True, tied_embeddings=False)
    model = Transformer(config, seed=seed)
    for weight in model.parameters():
        weight.data.add_(0.3 * weight.data.new_tensor(range(weight.numel())).sin().view_as(weight))
    save_model(folder, model, tokenizer, {"stage": "sft"}, generation={"max_new_tokens": 9})


def write_grouped_model(
    folder: Path, query_key_norm: bool = True, tied_embeddings: bool = False, width: int = 64, context_length: int = 96
) -> None:
    """A model folder in either layout with two query heads to a key/value head, and weights that all matter."""
    tokenizer = Tokenizer.train(["Modernise: giue vs loue and haue no horsse, 'tis 1623. " * 30], 284)
    config = Config(tokenizer.vocabulary_size, 2, 4, 2, width, 96, context_length, query_key_norm, tied_embeddings)
    model = Transformer(config, seed=1)
    generator = torch.Generator().manual_seed(2)
    with torch.no_grad():
        for weight in model.parameters():
            scale = 0.2 if weight.ndim == 1 else weight.shape[1] ** -0.5
            weight.add_(torch.randn(weight.shape, generator=generator), alpha=scale)
    save_model(folder, model, tokenizer, {"stage": "sft"}, generation={"max_new_tokens": 9})


def write_corpus_and_tokens(folder: Path, split: Split, tokenizer: Tokenizer, texts: list[str]) -> None:
    """A split of the corpus, and its tokens as the stage `tokenizer` writes them."""
    documents = [
        Document(id=f"{split}-{number}", text=text, source="x", licence="unknown", split=split)
        for number, text in enumerate(texts)
    ]
    write_jsonl(folder / "corpus" / f"{split}.jsonl", documents)
    ids = [identity for text in texts for identity in (*tokenizer.encode(text), tokenizer.end_id)]
    write_bytes(folder / "tokens" / f"{split}.bin", np.array(ids, dtype="<u2").tobytes())


def save_trained(folder: Path, model: Transformer, tokenizer: Tokenizer) -> None:
    """A fine-tuned model that names what it was trained on, as the stages do."""
    splits = ("train", "validation")
    tokens = {f"{split}.bin": sha256(folder / "tokens" / f"{split}.bin") for split in splits}
    chats = {f"{split}.jsonl": sha256(folder / "conversations" / f"{split}.jsonl") for split in splits}
    base = {"stage": "pretrain", "inputs": tokens, "parent": None}
    save_model(folder / "instruct", model, tokenizer, {"stage": "sft", "inputs": chats, "parent": base})
