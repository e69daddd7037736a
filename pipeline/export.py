"""Writes the folder that is shipped, and proves that it gives the answers that were scored."""

from pipeline import Place, run, stage


def main(
    instruct: Place, corpus: Place, tokens: Place, conversations: Place, gold: Place,
    answers: Place, scores: Place, gate: Place, bundle: Place,
) -> None:  # fmt: skip
    """What dvc.yaml runs as `export`."""
    with stage("export") as running:
        from lal.stages.export import export as recipe

        running.metrics = recipe(
            params=running.params,
            instruct=instruct, corpus=corpus, tokens=tokens,
            conversations=conversations,
            gold=gold,
            answers=answers,
            scores=scores,
            gate=gate,
            bundle=bundle,
            reporter=running.reporter,
        )  # fmt: skip


if __name__ == "__main__":
    run(main)
