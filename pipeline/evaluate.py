"""Asks the models and the baselines the gold set, and scores what they say."""

from pipeline import Place, run, stage


def main(
    gold: Place, corpus: Place, conversations: Place, base: Place, instruct: Place,
    answers: Place, failures: Place, copies: Place,
) -> None:  # fmt: skip
    """What dvc.yaml runs as `evaluate`."""
    with stage("evaluate") as running:
        from lal.stages.evaluate import evaluate as recipe

        running.metrics = recipe(
            params=running.params,
            gold=gold,
            corpus=corpus,
            conversations=conversations,
            base=base,
            instruct=instruct,
            answers=answers,
            failures=failures,
            copies=copies,
            reporter=running.reporter,
        )


if __name__ == "__main__":
    run(main)
