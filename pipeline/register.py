"""Keeps the exported bundle in the model registry, as a version with its lineage."""

from pipeline import Place, run, stage


def main(bundle: Place) -> None:
    """What dvc.yaml runs as `register`."""
    with stage("register") as running:
        from lal.lineage import project_root
        from lal.stages.register import register as recipe
        from lal.tracking.registry import project_registry

        running.metrics = recipe(
            params=running.params,
            bundle=bundle,
            registry=project_registry(project_root()),
            reporter=running.reporter,
        )


if __name__ == "__main__":
    run(main)
