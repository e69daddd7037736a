"""Builds the corpus and the conversations from pinned sources, or from your own texts."""

from pipeline import Place, run, stage


def main(
    sources: Place, own: Place, persona: Place, patches: Place, forgotten: Place, corpus: Place, conversations: Place
) -> None:
    """What dvc.yaml runs as `data`."""
    with stage("data") as running:
        from lal.lineage import project_root
        from lal.stages.data import data as recipe

        running.metrics = recipe(
            params=running.params,
            sources=sources,
            cache=project_root() / ".lal" / "sources",
            own=own,
            persona=persona,
            patches=patches,
            forgotten=forgotten,
            corpus=corpus,
            conversations=conversations,
            reporter=running.reporter,
        )


if __name__ == "__main__":
    run(main)
