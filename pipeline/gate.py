"""Judges the scores, writes the report, and stops the pipeline if params.yaml says so."""

from pipeline import Place, run, stage


def main(
    answers: Place, scores: Place, failures: Place, copies: Place, overlaps: Place,
    champion: Place, noise: Place, report: Place,
    pretrain: Place, pretrain_curve: Place, sft: Place, sft_curve: Place,
) -> None:  # fmt: skip
    """What dvc.yaml runs as `gate`."""
    with stage("gate") as running:
        from lal.stages.gate import demand_passed
        from lal.stages.gate import gate as recipe

        running.metrics = recipe(
            params=running.params, answers=answers, scores=scores, failures=failures, copies=copies, overlaps=overlaps,
            champion=champion, noise=noise, report=report,
            trainings={"pretrain": (pretrain, pretrain_curve), "sft": (sft, sft_curve)}, reporter=running.reporter,
        )  # fmt: skip
    demand_passed(running.metrics, running.params)


if __name__ == "__main__":
    run(main)
