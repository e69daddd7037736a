"""What can go wrong that a user can mend.

    LalError                     caught by every command: message on stderr, exit code 1, no traceback
    |-- ParamsError              params.yaml: unknown key, wrong type, out of range
    |-- SourceError              a pinned source cannot be fetched or is not the file that was pinned
    |-- DataError                a corpus, conversation or gold file is not what it should be
    |-- BrokenRuleError          the data were read, and broke a rule that stops the pipeline
    |-- TokenizerError           a vocabulary that cannot be built, or belongs to another model
    |-- TrainingError            the loss is not a number, nothing to train on, a batch that does not fit
    |   `-- LostProcessError     one of several processes that train together has ended
    |-- ModelError               a model folder is incomplete, damaged or of another format
    |-- GateError                the model is not what gate.conditions demands, or what was judged is another one
    |-- ExportError              what was written does not give the answers that were measured
    `-- RegistryError            the model registry is out of reach, or does not hold what is asked of it

Anything a user can cause is raised as one of these; anything only a developer can cause is an `assert`.
"""

from collections.abc import Sequence
from typing import Self


class LalError(Exception):
    """Base of all errors a user can mend.

    Args:
        problem: What is wrong, with the value and the place: `params.yaml:31: pretrain.learning_rate must be ...`.
        remedy: What to do about it, as a sentence; empty when the problem says it all.
    """

    def __init__(self, problem: str, remedy: str = "") -> None:
        super().__init__(f"{problem}\n  -> {remedy}" if remedy else problem)
        self.problem = problem
        self.remedy = remedy

    @classmethod
    def of(cls, problems: Sequence[str], remedy: str = "", most: int = 20) -> Self:
        """One error out of all problems of a file, the first `most` of them in full."""
        shown = list(problems[:most])
        if len(problems) > most:
            shown.append(f"... and {len(problems) - most} more")
        return cls("\n".join(shown), remedy)


class ParamsError(LalError):
    """params.yaml does not say what it should."""


class SourceError(LalError):
    """A pinned source cannot be fetched, or is not the file that was pinned."""


class DataError(LalError):
    """A corpus, conversation or gold file is not what it should be."""


class BrokenRuleError(LalError):
    """The data broke a rule that stops the pipeline."""


class TokenizerError(LalError):
    """A vocabulary cannot be built, or belongs to another model."""


class TrainingError(LalError):
    """Training cannot start or go on."""


class LostProcessError(TrainingError):
    """One of several processes that train together has ended: as good as a kill for the others."""


class ModelError(LalError):
    """A model folder is incomplete, damaged or of another format."""


class GateError(LalError):
    """A model does not fulfil the conditions of the gate, or is not the one that was judged."""


class ExportError(LalError):
    """What was written does not give the answers that were measured."""


class RegistryError(LalError):
    """The model registry is out of reach, or does not hold what is asked of it."""


def in_one_line(error: Exception, most: int = 160) -> str:
    """What a foreign error says, its first characters, without line breaks; its name if it says nothing."""
    return " ".join(str(error).split())[:most] or type(error).__name__
