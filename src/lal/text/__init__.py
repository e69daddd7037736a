"""From text to batches of ids: tokenizer, chat template, batches."""
