"""Fine-tunes the base model on the conversations, into one that answers; goes on where it was killed."""

from pipeline import Place, run, stage


def main(base: Place, conversations: Place, instruct: Place, curve: Place) -> None:
    """What dvc.yaml runs as `sft`."""
    with stage("sft") as running:
        from lal.stages.sft import sft as recipe

        running.metrics = recipe(
            params=running.params,
            base=base,
            conversations=conversations,
            instruct=instruct,
            curve=curve,
            scratch=running.scratch,
            reporter=running.reporter,
        )


if __name__ == "__main__":
    run(main)
