"""Trains the base model to predict the next token of the corpus; goes on where it was killed."""

from pipeline import Place, run, stage


def main(tokenizer: Place, tokens: Place, base: Place, curve: Place) -> None:
    """What dvc.yaml runs as `pretrain`."""
    with stage("pretrain") as running:
        from lal.stages.pretrain import pretrain as recipe

        running.metrics = recipe(
            params=running.params,
            tokenizer=tokenizer,
            tokens=tokens,
            base=base,
            curve=curve,
            scratch=running.scratch,
            reporter=running.reporter,
            foretold=running.scratch.parents[1] / "plan.json",
        )


if __name__ == "__main__":
    run(main)
