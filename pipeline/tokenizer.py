"""Learns the vocabulary and writes the texts as token files."""

from pipeline import Place, run, stage


def main(corpus: Place, conversations: Place, tokenizer: Place, tokens: Place) -> None:
    """What dvc.yaml runs as `tokenizer`."""
    with stage("tokenizer") as running:
        from lal.stages.tokenizer import tokenizer as recipe

        running.metrics = recipe(
            params=running.params,
            corpus=corpus,
            conversations=conversations,
            tokenizer=tokenizer,
            tokens=tokens,
            reporter=running.reporter,
        )


if __name__ == "__main__":
    run(main)
