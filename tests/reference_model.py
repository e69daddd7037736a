"""The network as transformers builds it, to hold ours against."""

from typing import Any

import transformers

from lal.model.transformer import Transformer


def reference(model: Transformer) -> Any:
    """The same network by transformers, with the same weights under the same names."""
    ours = model.config
    settings = {
        "vocab_size": ours.vocabulary_size,
        "hidden_size": ours.width,
        "intermediate_size": ours.feed_forward_width,
        "num_hidden_layers": ours.num_layers,
        "num_attention_heads": ours.num_heads,
        "num_key_value_heads": ours.num_kv_heads,
        "head_dim": ours.head_width,
        "max_position_embeddings": ours.context_length,
        "tie_word_embeddings": ours.tied_embeddings,
    }
    if ours.query_key_norm:
        theirs = transformers.Qwen3ForCausalLM(transformers.Qwen3Config(**settings))
    else:
        theirs = transformers.LlamaForCausalLM(transformers.LlamaConfig(**settings))
    weights = model.state_dict()
    if ours.tied_embeddings:
        weights["lm_head.weight"] = weights["model.embed_tokens.weight"]
    theirs.load_state_dict(weights, strict=True)
    return theirs.eval()
