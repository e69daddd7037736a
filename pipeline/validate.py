"""Checks corpus, conversations and gold set, and stops the pipeline where they break a rule."""

from pipeline import Place, run, stage


def main(corpus: Place, conversations: Place, gold: Place, report: Place, overlaps: Place) -> None:
    """What dvc.yaml runs as `validate`."""
    with stage("validate") as running:
        from lal.stages.validate import validate as recipe

        running.metrics = recipe(
            params=running.params,
            corpus=corpus,
            conversations=conversations,
            gold=gold,
            report=report,
            overlaps=overlaps,
            reporter=running.reporter,
        )


if __name__ == "__main__":
    run(main)
