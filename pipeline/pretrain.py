"""Trains the base model to predict the next token of the corpus; goes on where it was killed."""

from pipeline import Place, Shard, run, stage


def main(tokenizer: Place, tokens: Place, base: Place, curve: Place, shard: Shard = False) -> None:
    """What dvc.yaml runs as `pretrain`."""
    with stage("pretrain") as running:
        from lal.stages.pretrain import pretrain as recipe
        from lal.train.processes import join_processes

        with join_processes(shard) as processes:
            running.metrics = recipe(
                params=running.params,
                tokenizer=tokenizer,
                tokens=tokens,
                base=base,
                curve=curve,
                scratch=running.scratch,
                reporter=running.reporter,
                processes=processes,
                foretold=running.scratch.parents[1] / "plan.json",
            )


if __name__ == "__main__":
    run(main)
