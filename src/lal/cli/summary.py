"""`lal summary`: what came out of the last `dvc repro`, where it is, and what to try next."""

from pathlib import Path

RESULTS = Path("reports/gold.jsonl")
GATE = Path("metrics/gate.json")
TRAININGS = (Path("metrics/pretrain.json"), Path("metrics/sft.json"))

PLACES = {
    "the model you ship": Path("models/export"),
    "the report on the gold set": Path("reports/gold.html"),
    "the report on the data": Path("reports/validation.html"),
}


def summary() -> None:
    """Show the scores, where things are, what to try next."""
    from lal.cli.gold import table
    from lal.evaluation.scores.results import read_results

    table(RESULTS)
    modernises = any(result.is_line for result in read_results(RESULTS))
    print()
    for what, path in PLACES.items():
        print(f"{what + ':':<28} {path}" + ("" if path.exists() else "   (not made yet: dvc repro)"))
    give_work = ('echo "Haue you had quiet Guard?" | lal modernise', "give it work")
    read_failures = ("lal gold list --failed", "read what it got wrong")
    print("\nNext, after `. .venv/bin/activate`:")
    for command, what in [
        ("lal chat", "talk with it"),
        give_work if modernises else read_failures,
        ("lal ui", "compare this run with the others"),
    ]:
        print(f"  {command:<50} # {what}")
    _tell_training()
    _tell_verdict()


def _tell_training() -> None:
    """How each training ended and what to try next; and what became of `lal plan`'s prediction."""
    from lal.files import read_json

    for path in TRAININGS:
        metrics = read_json(path) if path.exists() else {}
        if diagnosis := metrics.get("diagnosis"):
            print(f"\n{path.stem}: {diagnosis['finding']}: {diagnosis['evidence']}.\n  Next: {diagnosis['next']}")
        if prediction := metrics.get("prediction"):
            print(f"  lal plan: {prediction['sentence']}")


def _tell_verdict() -> None:
    """The gate's word, last, where it is read; what it refuses, each in a line."""
    from lal.evaluation.verdict.gate_file import read_gate

    if not GATE.exists():
        print("\nThe gate has not judged this model yet: dvc repro")
        return
    gate = read_gate(GATE)
    print()
    for sentence in gate.failed:
        print(f"  FAILS  {sentence}")
    print(gate.sentence + (" `lal promote` makes it the champion." if gate.passed else ""))
