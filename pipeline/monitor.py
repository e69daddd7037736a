"""Holds what the server was asked and says against what was measured and what the model was made for."""

from pipeline import Place, run, stage


def main(
    live: Place, gold: Place, answers: Place, corpus: Place, conversations: Place, base: Place, bundle: Place,
    report: Place,
) -> None:  # fmt: skip
    """What dvc.yaml runs as `monitor`."""
    with stage("monitor") as running:
        from lal.stages.monitor import monitor as recipe

        paths = {"live": live, "gold": gold, "answers": answers, "corpus": corpus, "conversations": conversations}
        running.metrics = recipe(
            params=running.params, base=base, bundle=bundle, report=report, reporter=running.reporter, **paths
        )


if __name__ == "__main__":
    run(main)
