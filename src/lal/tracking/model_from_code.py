"""What MLflow itself runs to open a registered model: `mlflow models serve`, `mlflow.pyfunc.load_model`.

A script, not a part: nothing of Lal imports it, and it is copied into each registered version ("models from code"), so
that a version holds this text and no pickle. It needs an installed `lal`. Lal's own commands and server never run it;
they take the bundle out of the version, which is JSON and safetensors (see `lal.tracking.registry`).
"""

from pathlib import Path
from typing import Any

from mlflow.models import set_model
from mlflow.pyfunc import PythonModel
from pydantic import BaseModel


class Turn(BaseModel):
    """One turn of a conversation."""

    role: str  # A Literal is not among the types that MLflow makes a signature of.
    content: str


class Question(BaseModel):
    """A conversation to be answered: an optional system message, then user and assistant in turn, user last."""

    messages: list[Turn]


class LalModel(PythonModel):  # type: ignore[misc]  # MLflow ships no types.
    """A bundle that answers conversations, with its own settings from generation_config.json."""

    def load_context(self, context: Any) -> None:
        """Loads the bundle of the version; one that is not what its manifest says is refused."""
        from lal.runtime import Runtime

        self._runtime = Runtime.load(Path(context.artifacts["bundle"]))

    def predict(self, context: Any, model_input: list[Question]) -> list[str]:  # noqa: ARG002 - MLflow's signature
        """The answer to each conversation.

        Raises:
            ValueError: The turns of a conversation are in another order, or of another role.
            ModelError: A conversation is longer than the model's context.
        """
        return [self._answer(question) for question in model_input]

    def _answer(self, question: Question) -> str:
        from lal.records import Message, check_turns

        turns = tuple(Message.model_validate(turn.model_dump()) for turn in question.messages)
        check_turns(turns, last="user")
        return "".join(self._runtime.chat(turns, self._runtime.settings()))


set_model(LalModel())
