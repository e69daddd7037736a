"""What params.yaml is built from: the strict base of all its sections, and the entries of its longer lists."""

import difflib
import math
from typing import Annotated, Any, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator


class Section(BaseModel):
    """Base of all sections: no unknown keys, strict types, never changed after reading."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


Format = Literal["gguf-f32", "gguf-f16", "gguf-q8_0", "onnx", "onnx-int8"]
"""What the model is written as beside safetensors, which is always there."""

FORMATS: tuple[Format, ...] = get_args(Format)


def check_formats(value: Any) -> Any:
    """Demands a list that names formats, each once.

    Raises:
        ValueError: It is another thing, or a name in it is not that of a format; the nearest one is named.
    """
    if not isinstance(value, (list, tuple)):
        raise ValueError(f"expected a list out of {', '.join(FORMATS)}")
    for name in map(str, value):
        if name not in FORMATS:
            near = difflib.get_close_matches(name, FORMATS, n=1)
            known = f"did you mean {near[0]!r}?" if near else f"known are {', '.join(FORMATS)}"
            raise ValueError(f"there is no format {name!r}, {known}")
    if len(set(map(str, value))) < len(value):
        raise ValueError("each format is written once: remove the names that stand there twice")
    return value


Difference = Annotated[float, Field(ge=0, le=100, allow_inf_nan=False)]
Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]


class _PerFormat(Section):
    """A limit for each format, and for the server."""

    def by_name(self) -> dict[str, float]:
        """Format, or `http` -> its limit."""
        return self.model_dump(by_alias=True)


class Tolerances(_PerFormat):
    """Largest difference of the log-probability of any next token, in nats, from the measured checkpoint in float32."""

    safetensors: Difference = Field(description="float32 is copied; `export.dtype: bfloat16` needs some hundredths")
    gguf_f32: Difference = Field(alias="gguf-f32", description="the same numbers, added up in another order")
    gguf_f16: Difference = Field(alias="gguf-f16", description="weights with 11 bits")
    gguf_q8_0: Difference = Field(alias="gguf-q8_0", description="weights with 8 bits, a scale for each 32")
    onnx: Difference = Field(description="the same numbers, added up in another order")
    onnx_int8: Difference = Field(alias="onnx-int8", description="weights with 8 bits, a scale for each 32")
    http: Difference = Field(description="the server's own answers, over the tokens that it returns")


class FlippedShares(_PerFormat):
    """Largest share of the gold items that may be answered in other words than those that were measured."""

    safetensors: Share = Field(description="share of the gold items, from 0 to 1")
    gguf_f32: Share = Field(
        alias="gguf-f32", description="the same; two tokens may be equally likely to the last digit"
    )
    gguf_f16: Share = Field(alias="gguf-f16", description="the same")
    gguf_q8_0: Share = Field(alias="gguf-q8_0", description="the same")
    onnx: Share = Field(description="the same")
    onnx_int8: Share = Field(alias="onnx-int8", description="the same")
    http: Share = Field(description="the same")


class ParityParams(Section):
    """How far each shipped format may be from the model that was measured; beyond that the stage fails."""

    tolerances: Tolerances
    flipped: FlippedShares


class Reference(Section):
    """A model of somebody else's, asked beside yours: a local GGUF file, or an OpenAI-compatible API."""

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._+-]{0,39}$", description="what tables and reports call it")
    gguf: str | None = Field(
        default=None, min_length=1, description="path of a GGUF file; DVC does not watch it: a new file, a new name"
    )
    endpoint: str | None = Field(
        default=None, pattern=r"^https?://[^\s?#]+$", description="address of the API, such as http://127.0.0.1:8080/v1"
    )
    model: str | None = Field(default=None, min_length=1, description="which of the endpoint's models; not with `gguf`")
    examples: Annotated[int, Field(ge=0, le=256)] = Field(
        description="solved examples before each question: the training conversations nearest to it, nearest first"
    )
    prompt: Literal["chat", "text"] = Field(
        default="chat", description="`chat`: examples as earlier turns; `text`: a text to continue; with `gguf` only"
    )
    api_key_variable: str | None = Field(
        default=None,
        pattern=r"^[A-Za-z_][A-Za-z0-9_]*$",
        description="environment variable with the endpoint's key; the key itself stands in no file",
    )

    @model_validator(mode="after")
    def _is_one_of_two_kinds(self) -> "Reference":
        if (self.gguf is None) == (self.endpoint is None):
            raise ValueError(f"{self.name}: name either a `gguf` file or an `endpoint`, and not both")
        if self.gguf is not None and (self.model or self.api_key_variable):
            raise ValueError(f"{self.name}: `model` and `api_key_variable` belong to an `endpoint`: take them out")
        if self.endpoint is not None and (self.model is None or self.prompt == "text"):
            raise ValueError(f"{self.name}: an `endpoint` needs a `model`, and is asked by `prompt: chat` alone")
        return self


class Condition(Section):
    """One condition of the gate: how a score of the shipped model must stand against a number, a solver, the champion.

    Each comparison has three outcomes, by its interval: met (wholly on the good side of the limit), unmet (wholly on
    the bad side), cannot tell (across it). What the last is worth is said by `required`.
    """

    metric: Literal["exact", "checks", "word_accuracy", "changed_words", "character_error_rate", "bits_per_byte"] = (
        Field(description="score that is compared; of the last two, less is better")
    )
    slice: Annotated[str, Field(min_length=1)] = Field(
        description="`headline`, `all`, a slice, a subslice, or `each`: one comparison for every slice with this metric"
    )
    against: float | str = Field(
        description="a number, the floor (where less is better, the ceiling); `champion`; the name of a solver such as "
        "`lexicon+rules`; or `best baseline`, the best on this metric and slice of what is free"
    )
    margin: Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)] = Field(
        description="how much worse than that counts as no worse, in units of the metric"
    )
    required: Literal["shown", "not_refuted", "observed", False] = Field(
        description="`shown`: must be met; `not_refuted`: must not be unmet, so `cannot tell` passes; `observed`: the "
        "score as it was counted decides, without an interval; `false`: told, never decides"
    )

    @field_validator("against", mode="before")
    @classmethod
    def _is_number_or_name(cls, value: Any) -> Any:
        if isinstance(value, bool) or not (isinstance(value, (int, float)) or (isinstance(value, str) and value)):
            raise ValueError("expected a number, `champion`, `best baseline` or the name of a solver")
        if isinstance(value, (int, float)) and not math.isfinite(value):
            raise ValueError("expected a finite number")
        if value == "lal":
            raise ValueError("a model cannot be judged against itself: name another solver, or `champion`")
        return value

    @model_validator(mode="after")
    def _shares_are_no_percentages(self) -> "Condition":
        unbounded = self.metric in ("character_error_rate", "bits_per_byte")
        if isinstance(self.against, (int, float)) and not (0 <= self.against <= 1 or unbounded):
            raise ValueError(f"{self.metric} is a share from 0 to 1, and `against` says {self.against}")
        return self
