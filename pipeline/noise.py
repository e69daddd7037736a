"""Trains one recipe from several seeds and tells how far the scores lie apart: run by `lal noise`, never by DVC."""

from pathlib import Path

from pipeline import Place, run


def main(
    params: Place, profile: Place, corpus: Place, conversations: Place, gold: Place, out: Place, seeds: int = 5
) -> None:
    """What dvc.yaml has as the frozen stage `noise`."""
    from lal.evaluation.statistics.noise import write_noise
    from lal.stages.noise import noise, read_profile
    from lal.tracking.reporter import Tracker

    found = noise(
        params=read_profile(params, profile),
        profile=profile,
        num_seeds=seeds,
        corpus=corpus,
        conversations=conversations,
        gold=gold,
        scratch=Path(".lal", "noise"),
        reporter=Tracker(),  # The terminal alone: five trainings under one name would be one tangled curve.
    )
    write_noise(out, found)


if __name__ == "__main__":
    run(main)
