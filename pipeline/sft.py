"""Fine-tunes the base model on the conversations, into one that answers; goes on where it was killed."""

from pipeline import Place, Shard, run, stage


def main(base: Place, conversations: Place, instruct: Place, curve: Place, shard: Shard = False) -> None:
    """What dvc.yaml runs as `sft`."""
    with stage("sft") as running:
        from lal.stages.sft import sft as recipe
        from lal.train.processes import join_processes

        with join_processes(shard) as processes:
            running.metrics = recipe(
                params=running.params,
                base=base,
                conversations=conversations,
                instruct=instruct,
                curve=curve,
                scratch=running.scratch,
                reporter=running.reporter,
                processes=processes,
            )


if __name__ == "__main__":
    run(main)
