"""params.yaml as one typed, frozen tree: every knob with its bounds, its unit and what moves when it is turned.

The file is read with the YAML 1.2 parser that DVC uses (PyYAML reads `1e-3` as text and `on` as true). There are no
defaults: what params.yaml does not say is not known. `docs/params.md` is generated from the descriptions below.
"""

import difflib
import io
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, Field, ValidationError, field_validator, model_validator
from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.error import MarkedYAMLError, YAMLError

from lal.errors import ParamsError
from lal.sections import Condition, Format, ParityParams, Reference, Section, check_formats

Fraction = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
Rate = Annotated[float, Field(gt=0, le=1, allow_inf_nan=False)]
Count = Annotated[int, Field(ge=1)]


class DataParams(Section):
    """What the model is made from."""

    corpus: str = Field(
        description="text to pretrain on: `tinyshakespeare` (1.1 MB, byte-exact, comparable with published numbers), "
        "`plays` (33 complete plays, 4 MB), or the path of a folder of .txt, .md and .jsonl files"
    )
    conversations: str = Field(
        description="what to fine-tune on: `first-folio` (spelling pairs of 1623) or the path of a .jsonl file of chats"
    )
    max_conversations: int | None = Field(
        ge=1, description="use this many training conversations of the main source, drawn at random; null: all"
    )
    validation_fraction: Annotated[float, Field(gt=0, lt=1)] = Field(
        description="share held out from your own corpus and conversations; the built-in ones bring their own split"
    )


class ValidateParams(Section):
    """When the data are not good enough to train on."""

    min_corpus_bytes: Count = Field(description="bytes; a smaller training corpus stops the pipeline")
    max_overlap: Annotated[float, Field(gt=0, le=1)] = Field(
        description="share of a gold item's letter sequences found together in one training row that makes it a leak"
    )
    max_answer_characters: Count = Field(description="characters; longer answers are reported as a warning")


class TokenizerParams(Section):
    """How text becomes numbers."""

    vocabulary_size: Annotated[int, Field(ge=260, le=65535)] = Field(
        description="tokens, control tokens included; 260 means bytes, more means longer pieces (byte-pair merges)"
    )


class Shape(Section):
    """A model's size in numbers."""

    num_layers: Count = Field(description="blocks; deeper is more steps of reasoning, proportionally slower")
    num_heads: Count = Field(description="attention heads; must divide `width`")
    width: Count = Field(description="size of the residual stream; cost grows with its square")
    context_length: Annotated[int, Field(ge=8, le=8192)] = Field(description="tokens a prediction can look back on")

    @model_validator(mode="after")
    def _heads_divide_width(self) -> "Shape":
        if self.width % self.num_heads or (self.width // self.num_heads) % 2:
            raise ValueError(
                f"width {self.width} must be num_heads {self.num_heads} times an even number: "
                f"try width {self.num_heads * 32}"
            )
        return self


SHAPES = {
    "tiny": Shape(num_layers=4, num_heads=4, width=128, context_length=128),
    "small": Shape(num_layers=6, num_heads=6, width=384, context_length=256),
    "medium": Shape(num_layers=8, num_heads=8, width=512, context_length=512),
    "lal": Shape(num_layers=12, num_heads=12, width=768, context_length=512),
}
"""The four sizes of the teaching series."""


class ModelParams(Section):
    """The network."""

    size: Literal["tiny", "small", "medium", "lal"] | Shape = Field(
        description="`tiny`, `small`, `medium`, `lal`, or a mapping of num_layers, num_heads, width and context_length"
    )
    num_kv_heads: int | None = Field(
        ge=1, description="key/value heads shared by groups of query heads; null: one for each query head"
    )
    query_key_norm: bool = Field(
        description="normalise queries and keys (the Qwen3 layout); false gives Llama's layout"
    )
    tied_embeddings: bool = Field(description="use the embedding table as output head too: fewer parameters")

    @property
    def shape(self) -> Shape:
        """The size in numbers."""
        return SHAPES[self.size] if isinstance(self.size, str) else self.size

    @model_validator(mode="after")
    def _kv_heads_divide_heads(self) -> "ModelParams":
        if self.num_kv_heads is not None and self.shape.num_heads % self.num_kv_heads:
            raise ValueError(f"num_kv_heads {self.num_kv_heads} must divide num_heads {self.shape.num_heads}")
        return self


class TrainingParams(Section):
    """What pretraining and fine-tuning have in common."""

    batch_size: Count = Field(
        description="rows a step: windows of the corpus, or conversations; smaller means more steps"
    )
    optimizer: Literal["muon", "adamw"] = Field(
        description="`muon`: Muon for the matrices inside the blocks, AdamW for the rest; `adamw`: AdamW for everything"
    )
    learning_rate: Rate = Field(
        description="peak rate of the matrices inside the blocks; too high diverges, too low crawls"
    )
    embedding_learning_rate: Rate = Field(description="peak rate of the embedding table")
    head_learning_rate: Rate = Field(description="peak rate of the output head and of the norms' gains")
    warmup_fraction: Fraction = Field(description="share of the steps in which the rate climbs from 0 to its peak")
    decay_fraction: Fraction = Field(description="share of the steps, at the end, in which the rate falls to 0")
    weight_decay: Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)] = Field(
        description="pull of the matrices towards 0 a step, times the rate"
    )
    max_grad_norm: Annotated[float, Field(gt=0, allow_inf_nan=False)] = Field(
        description="gradients longer than this are shortened to it"
    )
    validate_every: Count = Field(description="steps between validations; a checkpoint is saved at each")
    patience: Count = Field(description="validations without improvement after which training stops early")
    precision: Literal["auto", "fp32", "bf16"] = Field(
        description="`auto`: bf16 where the processor computes it natively, else fp32"
    )
    compile: bool = Field(description="compile the blocks with torch.compile: some seconds of start, then faster steps")

    @model_validator(mode="after")
    def _phases_fit(self) -> "TrainingParams":
        if self.warmup_fraction + self.decay_fraction > 1:
            raise ValueError(
                f"warmup_fraction {self.warmup_fraction} and decay_fraction {self.decay_fraction} "
                "add up to more than 1: shorten one of them"
            )
        return self


class PretrainParams(TrainingParams):
    """Learning to predict the next token of the corpus."""

    steps: Count = Field(description="optimizer steps; the schedule stretches over them")


class SftParams(TrainingParams):
    """Learning to answer, from conversations; shape and tokenizer are the base model's."""

    epochs: Annotated[float, Field(gt=0, le=1000, allow_inf_nan=False)] = Field(
        description="passes over the training conversations; a fraction is allowed"
    )
    persona_repeats: Annotated[int, Field(ge=0)] = Field(
        description="times each persona conversation is shown an epoch; 0 leaves the persona out"
    )
    bpe_dropout: Fraction = Field(
        description="probability of leaving out a merge when a question is encoded, anew each epoch; teaches spelling; "
        "0: none"
    )
    validation_conversations: Count = Field(description="conversations scored at each validation, drawn once")


class GoldParams(Section):
    """Which scores count."""

    headline: tuple[str, ...] = Field(
        strict=False,
        min_length=1,
        description="slices whose exact-match scores are averaged, each with the same weight, into the headline",
    )

    @field_validator("headline", mode="before")
    @classmethod
    def _each_slice_once(cls, value: Any) -> Any:
        if not isinstance(value, (list, tuple)):
            raise ValueError("expected a list of slice names")
        if len({str(name) for name in value}) < len(value):
            raise ValueError("each slice counts once: remove the names that stand there twice")
        return value


class EvaluateParams(Section):
    """Running the gold set."""

    few_shot_examples: Annotated[int, Field(ge=0)] = Field(
        description="solved examples put before the question when the base model is asked; as many as fit its context"
    )
    max_new_tokens: Count = Field(description="longest answer, in tokens")
    batch_size: Count = Field(description="questions answered side by side")
    references: tuple[Reference, ...] = Field(
        strict=False,
        description="models of somebody else's that answer the gold set too; nothing else is ever contacted",
    )

    @field_validator("references")
    @classmethod
    def _each_name_once(cls, value: tuple[Reference, ...]) -> tuple[Reference, ...]:
        if len({reference.name for reference in value}) < len(value):
            raise ValueError("two references have the same name: rename one")
        return value


class GateParams(Section):
    """When a model may take the champion's place; decided before its scores are seen."""

    stop: bool = Field(
        description="true: `dvc repro` fails when the gate is not passed, after everything was written, and exports "
        "nothing; false: it goes on, and the verdict stands in the report, in MLflow and on the model card"
    )
    conditions: tuple[Condition, ...] = Field(
        strict=False, description="what the model must fulfil; every required one of them, or the gate is not passed"
    )

    @field_validator("conditions", mode="before")
    @classmethod
    def _is_a_list(cls, value: Any) -> Any:
        if not isinstance(value, (list, tuple)):
            raise ValueError("expected a list of conditions, each `- {metric, slice, against, margin, required}`")
        return value


class ExportParams(Section):
    """The model as it is shipped."""

    dtype: Literal["float32", "bfloat16"] = Field(
        description="type of the shipped weights; bfloat16 halves the file and rounds to 3 digits"
    )
    temperature: Annotated[float, Field(ge=0, le=5, allow_inf_nan=False)] = Field(
        description="default when chatting: 0 is greedy, higher is more varied"
    )
    top_p: Annotated[float, Field(gt=0, le=1)] = Field(
        description="default when chatting: draw from the likeliest tokens that together have this probability"
    )
    max_new_tokens: Count = Field(description="default limit of an answer, in tokens")
    formats: Annotated[tuple[Format, ...], BeforeValidator(check_formats)] = Field(
        strict=False,
        description="beside safetensors: any of `gguf-f32`, `gguf-f16`, `gguf-q8_0`, `onnx`, `onnx-int8`",
    )


class RegisterParams(Section):
    """The model registry."""

    name: str = Field(
        pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$",
        description="what the registry calls your models; projects that share a server need a name each",
    )


class MonitorParams(Section):
    """What is looked at while the model is in use, and when it is an alarm."""

    endpoint: str | None = Field(
        pattern=r"^https?://[^\s?#]+$",
        description="API of the running server, such as http://127.0.0.1:8000/v1; null: the bundle, served briefly",
    )
    min_requests: Annotated[int, Field(ge=10)] = Field(
        description="fewer requests in data/live say nothing about drift and coverage"
    )
    false_alarm_rate: Annotated[float, Field(gt=0, le=0.5)] = Field(
        description="chance that a run finds drift where there is none; all signals together"
    )
    max_uncovered: Annotated[float, Field(ge=0, le=1)] = Field(
        description="share of the requests without a gold item near them, beyond which it is an alarm"
    )


class Params(Section):
    """The whole of params.yaml."""

    seed: Annotated[int, Field(ge=0, le=2**32 - 1)] = Field(description="start of every random draw")
    data: DataParams
    validation: ValidateParams = Field(alias="validate")
    tokenizer: TokenizerParams
    model: ModelParams
    pretrain: PretrainParams
    sft: SftParams
    gold: GoldParams
    evaluate: EvaluateParams
    gate: GateParams
    export: ExportParams
    parity: ParityParams
    registration: RegisterParams = Field(alias="register")
    monitor: MonitorParams


def load_params(path: Path) -> Params:
    """Reads and checks the whole of params.yaml.

    Raises:
        ParamsError: With one line `params.yaml:12: pretrain.stepz: unknown key, did you mean 'steps'?` a problem.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise ParamsError(
            f"{path}: cannot be read: {error.strerror}", "run in the folder that holds params.yaml"
        ) from error
    except UnicodeDecodeError as error:
        raise ParamsError(f"{path}: not UTF-8", "save the file as UTF-8") from error
    return parse_params(text, path.name)


def parse_params(text: str, name: str = "params.yaml") -> Params:
    """Parses the text of a params.yaml; `name` is what errors call it. Raises: see `load_params`."""
    try:
        tree = YAML(typ="rt").load(io.StringIO(text))
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = f"{name}:{mark.line + 1}:{mark.column + 1}" if mark else name
        raise ParamsError(f"{place}: {(error.problem or str(error)).splitlines()[0]}") from error
    except (YAMLError, ValueError, RecursionError) as error:
        raise ParamsError(f"{name}: not valid YAML: {str(error).splitlines()[0]}") from error
    if not isinstance(tree, CommentedMap):
        got = "nothing" if tree is None else type(tree).__name__
        raise ParamsError(f"{name}: expected sections such as `seed:` and `model:`, got {got}")
    try:
        return Params.model_validate(tree)
    except ValidationError as error:
        problems = [_explain(dict(problem), tree, name) for problem in error.errors() if _is_meant(dict(problem))]
        raise ParamsError.of(list(dict.fromkeys(problems))) from error


def _is_meant(problem: dict[str, Any]) -> bool:
    """False for the half of a union error that speaks of the alternative the user did not choose."""
    wrote_mapping = isinstance(problem["input"], dict)
    return not _is_size(problem) or problem["type"] != ("literal_error" if wrote_mapping else "model_type")


def _is_size(problem: dict[str, Any]) -> bool:
    """True for errors in `model.size`, the one key whose value may be of two kinds."""
    return list(problem["loc"][:2]) == ["model", "size"]


def _explain(problem: dict[str, Any], tree: CommentedMap, name: str) -> str:
    """One pydantic error as `name:line: key: what is wrong, got value`."""
    keys = list(problem["loc"])
    if _is_size(problem):
        del keys[2:3]  # the alternative that pydantic tried, `function-after[...]` or `literal[...]`
    line, node = 1, tree
    for key in keys:
        if isinstance(node, CommentedMap) and key in node:
            line, node = node.lc.key(key)[0] + 1, node[key]
        elif isinstance(node, CommentedSeq) and isinstance(key, int) and key < len(node):
            line, node = node.lc.item(key)[0] + 1, node[key]
    place, key = f"{name}:{line}", ".".join(str(part) for part in keys)
    if problem["type"] == "extra_forbidden":
        near = difflib.get_close_matches(str(keys[-1]), _known_keys(keys[:-1]), n=1)
        return f"{place}: {key}: unknown key" + (f", did you mean {near[0]!r}?" if near else "; see docs/params.md")
    if problem["type"] == "missing":
        return f"{place}: {key}: missing; see docs/params.md for what it means"
    message = problem["msg"].removeprefix("Value error, ")
    if problem["type"] == "model_type":
        message = f"expected keys such as `{_known_keys(keys)[0]}:` below it"
    given = "" if isinstance(problem["input"], dict) else f", got {problem['input']!r:.60}"
    return f"{place}: {key}: {message[0].lower()}{message[1:]}{given}"


def _known_keys(path: list[Any]) -> list[str]:
    model: Any = Params
    for part in path:
        if isinstance(part, int):
            continue
        field = next((f for n, f in model.model_fields.items() if part in (n, f.alias)), None)
        entries = {"size": Shape, "conditions": Condition, "references": Reference}
        model = entries.get(part) or getattr(field, "annotation", None)
        if not (isinstance(model, type) and issubclass(model, BaseModel)):
            return []
    return [field.alias or key for key, field in model.model_fields.items()]
