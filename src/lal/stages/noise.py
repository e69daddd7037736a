"""Stage `noise`: train the same recipe from several seeds, and see how far the scores lie apart.

Not a part of `dvc repro`, which would pay for it at every change: `lal noise` runs it, and DVC keeps what it found.
"""

import hashlib
import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from pydantic import ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

import lal
from lal.errors import DataError, ParamsError
from lal.evaluation.gold.folder import load_gold
from lal.evaluation.scores.results import SHIPPED, Result
from lal.evaluation.scores.scoreboard import check_headline
from lal.evaluation.scores.scoring import score_answers
from lal.evaluation.solvers.likelihood import answer_bits
from lal.evaluation.solvers.solver import chat_model
from lal.evaluation.statistics.noise import NoiseFloor, Scores, Subject, gold_digest, noise_floor, seed_scores
from lal.files import sha256
from lal.gold_items import GoldItem
from lal.model.folder import LoadedModel, load_model
from lal.model.transformer import count_parameters
from lal.params import Params, load_params
from lal.reporting import Reporter
from lal.stages.pretrain import pretrain
from lal.stages.sft import sft
from lal.stages.tokenizer import tokenizer

TRAINED_BY = (
    "model/attention.py", "model/layers.py", "model/transformer.py", "records.py",
    "stages/pretrain.py", "stages/sft.py", "stages/tokenizer.py", "text", "train",
)  # fmt: skip
"""The code that decides what is trained, files and folders; with other code, kept models are of another recipe."""

KEPT = 3
"""Recipes whose trained seeds are kept in the scratch folder, the one in hand included; each takes some 40 MB."""


def noise(
    *,
    params: Params,
    profile: Path,
    num_seeds: int,
    corpus: Path,
    conversations: Path,
    gold: Path,
    scratch: Path,
    reporter: Reporter,
) -> NoiseFloor:
    """Trains and asks one model a seed; what was trained before, and is still the same, is only asked again.

    The data are taken as they stand, whatever `data` says.

    Args:
        params: What is trained and asked, see `read_profile`.
        profile: The file that says so, named in the outcome.
        num_seeds: Trainings: `params.seed` and the numbers that follow it.
        corpus: Folder with train.jsonl and validation.jsonl.
        conversations: Folder with train.jsonl and validation.jsonl.
        gold: Folder of gold items.
        scratch: Folder for what is trained: a kill costs at most the steps since the last checkpoint.
        reporter: Is told how it goes.

    Raises:
        LalError: Data, gold set or profile are not what they should be, or a training diverges.
    """
    items = load_gold(gold)
    check_headline(params.gold.headline, items)
    recipe = _recipe(params, corpus, conversations)
    folder = scratch / hashlib.sha256(json.dumps(recipe, sort_keys=True).encode()).hexdigest()[:16]
    _make_room(folder)
    scores: dict[int, Scores] = {}
    results: list[Result] = []
    for number, seed in enumerate(range(params.seed, params.seed + num_seeds)):
        reporter.say(f"noise: seed {seed}, {number + 1} of {num_seeds}")
        loaded = _train(params.model_copy(update={"seed": seed}), folder, corpus, conversations, reporter)
        results = _ask(loaded, items, params)
        scores[seed] = seed_scores(results, params.gold.headline)
    subject = Subject(
        profile=str(profile),
        params=recipe["params"],
        parameters=count_parameters(loaded.model),
        num_items=len(items),
        gold_sha256=gold_digest(results),
        corpus_sha256=recipe["inputs"]["corpus/train.jsonl"],
        conversations_sha256=recipe["inputs"]["conversations/train.jsonl"],
    )
    return noise_floor(scores, subject)


def read_profile(params: Path, profile: Path) -> Params:
    """Reads params.yaml with the values of a profile in place of its own.

    Args:
        params: A whole params file.
        profile: A file of sections like its, with those keys only that differ; or the same file, which changes nothing.

    Raises:
        ParamsError: A file cannot be read, or the profile names a key or value that params.yaml could not have.
    """
    whole = load_params(params).model_dump(mode="json", by_alias=True)
    try:
        tree = YAML(typ="safe").load(profile.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, YAMLError) as error:
        raise ParamsError(f"{profile}: cannot be read: {str(error).splitlines()[0]}") from error
    if not isinstance(tree, dict):
        raise ParamsError(f"{profile}: expected sections with keys, such as `sft: {{epochs: 0.5}}`")
    for section, values in tree.items():
        both = isinstance(values, dict) and isinstance(whole.get(section), dict)
        whole[section] = whole[section] | values if both else values
    try:
        return Params.model_validate_json(json.dumps(whole))
    except ValidationError as error:
        problems = [f"{profile}: {'.'.join(map(str, each['loc']))}: {each['msg']}" for each in error.errors()]
        raise ParamsError.of(problems, "a profile has the keys of params.yaml") from error


def _train(params: Params, folder: Path, corpus: Path, conversations: Path, reporter: Reporter) -> LoadedModel:
    """One seed's model; each of the three trainings is passed over if it stands there whole."""
    words, tokens = folder / "tokenizer", folder / "tokens"
    if not (tokens / "meta.json").is_file():  # Written last. The tokenizer draws nothing: one for all seeds.
        tokenizer(
            params=params,
            corpus=corpus,
            conversations=conversations,
            tokenizer=words,
            tokens=tokens,
            reporter=reporter,
        )
    own = folder / f"seed-{params.seed}"
    base, instruct, scratch = own / "base", own / "instruct", own / "checkpoints"
    if not (base / "lal.json").is_file():  # Written last.
        pretrain(
            params=params,
            tokenizer=words,
            tokens=tokens,
            base=base,
            curve=own / "pretrain.csv",
            scratch=scratch / "pretrain",
            reporter=reporter,
        )
    if not (instruct / "lal.json").is_file():
        sft(
            params=params,
            base=base,
            conversations=conversations,
            instruct=instruct,
            curve=own / "sft.csv",
            scratch=scratch / "sft",
            reporter=reporter,
        )
    return load_model(instruct)


def _ask(loaded: LoadedModel, items: Sequence[GoldItem], params: Params) -> list[Result]:
    """The answers of one model, scored as the stage `evaluate` scores them."""
    solver = chat_model(SHIPPED, loaded, params.evaluate.max_new_tokens, params.evaluate.batch_size)
    return score_answers(items, solver.answer(items), {solver.name: answer_bits(solver, items)})


def _recipe(params: Params, corpus: Path, conversations: Path) -> dict[str, Any]:
    """All that decides what is trained, but the seed."""
    sections = {
        "tokenizer": params.tokenizer,
        "model": params.model,
        "pretrain": params.pretrain,
        "sft": params.sft,
    }
    return {
        "params": {name: section.model_dump(mode="json") for name, section in sections.items()},
        "inputs": _digests(corpus, conversations),
        "code": _code_digest(),
        "torch": torch.__version__,
    }


def _digests(corpus: Path, conversations: Path) -> dict[str, str]:
    """SHA-256 of each file that is learned from or validated on."""
    files = [folder / f"{split}.jsonl" for folder in (corpus, conversations) for split in ("train", "validation")]
    if missing := [path for path in files if not path.is_file()]:
        raise DataError(f"{missing[0]}: not there", "run `dvc repro data` first")
    return {f"{path.parent.name}/{path.name}": sha256(path) for path in files}


def _code_digest() -> str:
    """One digest over the sources in `TRAINED_BY`."""
    root = Path(lal.__file__).parent
    paths = [root / name for name in TRAINED_BY]
    sources = [file for path in paths for file in (sorted(path.glob("*.py")) if path.is_dir() else [path])]
    digests: dict[str, Any] = {file.relative_to(root).as_posix(): sha256(file) for file in sources}
    return hashlib.sha256(json.dumps(digests).encode()).hexdigest()


def _make_room(folder: Path) -> None:
    """Makes the folder of a recipe, and removes those of the recipes that were trained longest ago."""
    folder.mkdir(parents=True, exist_ok=True)
    folder.touch()
    others = [path for path in folder.parent.iterdir() if path != folder]
    for old in sorted(others, key=lambda path: path.stat().st_mtime_ns, reverse=True)[KEPT - 1 :]:
        shutil.rmtree(old)
