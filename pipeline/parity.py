"""Opens every format of the bundle, and demands the answers that were scored."""

from pipeline import Place, run, stage


def main(instruct: Place, bundle: Place, gold: Place, answers: Place, report: Place) -> None:
    """What dvc.yaml runs as `parity`."""
    with stage("parity") as running:
        from lal.stages.parity import parity as recipe

        running.metrics = recipe(
            params=running.params,
            instruct=instruct,
            bundle=bundle,
            gold=gold,
            answers=answers,
            report=report,
            reporter=running.reporter,
        )


if __name__ == "__main__":
    run(main)
