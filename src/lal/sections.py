"""What params.yaml is built from: the strict base of all its sections, and the entries of its longer lists."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator


class Section(BaseModel):
    """Base of all sections: no unknown keys, strict types, never changed after reading."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


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
