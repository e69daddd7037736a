"""The rules that data must keep before anything is trained on them, held by Great Expectations.

Each rule is an expectation with a severity, its reason in words and a remedy. A broken `critical` rule stops the
pipeline; a broken `warning` rule is only shown. This is the one module that knows Great Expectations, which takes 3 to
4 s to import and is therefore imported inside the functions that need it.
"""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from lal.data.overlap import REVIEW
from lal.data.tables import Row, Table, shorten
from lal.data.versions import remedy as remedy_of_versions
from lal.errors import BrokenRuleError, DataError
from lal.params import GoldParams, ValidateParams

Severity = Literal["critical", "warning"]


@dataclass(frozen=True)
class Finding:
    """One place where a rule is broken."""

    place: str
    """`file:line`, or the folder for a rule about all of its lines."""
    value: str


@dataclass(frozen=True)
class Check:
    """A rule, and where it is broken."""

    table: str
    rule: str
    """What must be true, e.g. `ids are unique`."""
    severity: Severity
    remedy: str
    num_rows: int
    findings: tuple[Finding, ...]

    @property
    def stops(self) -> bool:
        """Whether the pipeline may not go on."""
        return self.severity == "critical" and bool(self.findings)

    @property
    def warns(self) -> bool:
        """Whether the rule is broken, but may be."""
        return self.severity == "warning" and bool(self.findings)


def check_tables(tables: Sequence[Table], params: ValidateParams, gold: GoldParams) -> list[Check]:
    """Holds each table against the rules of its name: `corpus`, `conversations`, `gold`, `versions` and `overlap`."""
    # The release pinned has no analytics left; an older or newer one shall not send any either.
    os.environ["GX_ANALYTICS_ENABLED"] = "false"
    import great_expectations as gx
    from great_expectations.data_context.types.base import ProgressBarsConfig

    rules = {
        "corpus": _corpus_rules(params),
        "conversations": _conversation_rules(params),
        "gold": _gold_rules(gold),
        "versions": _version_rules(next((t.counts["last_locked"] for t in tables if t.name == "versions"), 0)),
        "overlap": _overlap_rules(params),
    }
    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = ProgressBarsConfig(globally=False)
    return [check for table in tables for check in _check(context, table, rules[table.name])]


def unreadable(error: DataError) -> Check:
    """The rule that comes before all others, broken: there are no records to look at."""
    problems = [problem.partition(": ") for problem in error.problem.splitlines()]
    findings = tuple(Finding(place, value) for place, _, value in problems)
    remedy = error.remedy or "correct these lines"
    return Check("files", "every line is a record of its kind", "critical", remedy, 0, findings)


def refuse_broken(checks: Sequence[Check], report: str) -> None:
    """Stops the pipeline where a critical rule is broken.

    Args:
        checks: What was found.
        report: Where the whole of it can be read.

    Raises:
        BrokenRuleError: With a line `file:line: rule: value` for each finding, and each rule's remedy.
    """
    broken = [check for check in checks if check.stops]
    if broken:
        problems = [f"{finding.place}: {check.rule}: {finding.value}" for check in broken for finding in check.findings]
        remedies = dict.fromkeys(check.remedy for check in broken)
        raise BrokenRuleError.of(problems, "; ".join([*remedies, f"all findings: {report}"]))


def _corpus_rules(params: ValidateParams) -> list[Any]:
    import great_expectations.expectations as gxe

    return [
        _rule(gxe.ExpectColumnValuesToBeUnique, "ids are unique", "give each document its own id", column="id"),
        _rule(
            gxe.ExpectColumnValuesToMatchRegex,
            "documents have text",
            "remove the empty documents",
            column="text",
            regex=r"\S",
        ),
        _has_both_splits(gxe),
        _rule(
            gxe.ExpectColumnSumToBeBetween,
            f"there are {params.min_corpus_bytes:,} bytes or more to train on",
            "add text, or lower validate.min_corpus_bytes in params.yaml",
            column="train_bytes",
            min_value=params.min_corpus_bytes,
        ),
        _clean(gxe, "strayed", "a document stands in the file of its split", "run the data stage again"),
        _no_control_characters(gxe),
        _no_misread_characters(gxe),
        _clean(
            gxe,
            "also_trained_on",
            "no validation document is also trained on",
            "remove one of the two copies: the loss on a text that was learned by heart says nothing",
        ),
        _clean(gxe, "repeats", "no document stands there twice", "remove the copies", "warning"),
    ]


def _conversation_rules(params: ValidateParams) -> list[Any]:
    import great_expectations.expectations as gxe

    return [
        _rule(gxe.ExpectColumnValuesToBeUnique, "ids are unique", "give each conversation its own id", column="id"),
        _has_both_splits(gxe),
        _clean(gxe, "strayed", "a conversation stands in the file of its split", "run the data stage again"),
        _clean(gxe, "blank", "no message is blank", "write the missing text, or remove the conversation"),
        _no_control_characters(gxe),
        _clean(
            gxe,
            "also_trained_on",
            "no validation or test conversation is also trained on",
            "remove one of the two copies: a score on what was learned by heart says nothing",
        ),
        _clean(
            gxe,
            "also_validated_on",
            "no test conversation is also validated on",
            "remove one of the two copies",
            "warning",
        ),
        _rule(
            gxe.ExpectColumnValueLengthsToBeBetween,
            f"answers have at most {params.max_answer_characters:,} characters",
            "shorten them, or raise validate.max_answer_characters; what does not fit the context is not trained on",
            "warning",
            column="answer",
            max_value=params.max_answer_characters,
        ),
        _clean(
            gxe,
            "other_answer",
            "a prompt has one answer",
            "keep one answer to each prompt, unless both are right: the model can only learn their mixture",
            "warning",
        ),
        _clean(
            gxe,
            "control_token",
            "no text looks like a control token",
            "harmless, since text never becomes a control token, but look whether a chat template was left in the text",
            "warning",
        ),
        _no_misread_characters(gxe),
    ]


def _gold_rules(gold: GoldParams) -> list[Any]:
    import great_expectations.expectations as gxe

    return [
        _rule(gxe.ExpectColumnValuesToBeUnique, "ids are unique", "give each item its own id", column="id"),
        _rule(
            gxe.ExpectColumnValuesToBeUnique,
            "no question is asked twice",
            "remove one of the two items",
            column="question",
        ),
        _rule(
            gxe.ExpectColumnDistinctValuesToContainSet,
            f"the slices of the headline have items: {', '.join(gold.headline)}",
            "add items of the split dev, or correct gold.headline in params.yaml",
            column="dev_slice",
            value_set=list(gold.headline),
        ),
        _clean(
            gxe,
            "not_exact",
            "items of the headline's slices are scored by exact match",
            "take the slice out of gold.headline in params.yaml, or give its items an expected answer",
        ),
        _clean(gxe, "unreachable", "an item can be answered rightly", "correct what the item expects"),
        _clean(
            gxe,
            "needless_alternative",
            "alternatives differ from the expected answer and from each other",
            "remove the alternative",
        ),
        _no_control_characters(gxe),
    ]


def _version_rules(last: int) -> list[Any]:
    import great_expectations.expectations as gxe

    rule = "locked items stand as they were locked, and what is new or changed has a new version"
    return [_clean(gxe, "broken", rule, remedy_of_versions(last))]


def _overlap_rules(params: ValidateParams) -> list[Any]:
    import great_expectations.expectations as gxe

    return [
        _rule(
            gxe.ExpectColumnValuesToBeBetween,
            f"less than {100 * params.max_overlap:g} % of a gold item stands in the training data",
            "take the text out of the training data, or replace the gold item by one the model has not seen",
            column="share",
            max_value=params.max_overlap,
            strict_max=True,
            words="overlap",
        ),
        _rule(
            gxe.ExpectColumnValuesToBeBetween,
            f"less than {100 * REVIEW:g} % of a gold item stands in the training data",
            "compare the two texts: a common turn of phrase may stay, a copy with a word changed may not",
            "warning",
            column="review_share",
            max_value=REVIEW,
            strict_max=True,
            words="overlap",
        ),
    ]


def _has_both_splits(gxe: Any) -> Any:
    return _rule(
        gxe.ExpectColumnDistinctValuesToContainSet,
        "there is something to train on and something to validate on",
        "give the data stage more text, or raise data.validation_fraction in params.yaml",
        column="split",
        value_set=["train", "validation"],
    )


def _no_control_characters(gxe: Any) -> Any:
    rule = "no control characters but line feed and tab"
    return _clean(gxe, "control_character", rule, "remove them: NUL and its like are remains of another file format")


def _no_misread_characters(gxe: Any) -> Any:
    remedy = "save the source as UTF-8 again: these characters stand where others were lost"
    return _clean(gxe, "misread_character", "no text was read in the wrong encoding", remedy, "warning")


def _clean(gxe: Any, column: str, rule: str, remedy: str, severity: Severity = "critical") -> Any:
    """A rule whose column says in words what is wrong, and is null where nothing is."""
    return _rule(gxe.ExpectColumnValuesToBeNull, rule, remedy, severity, column=column, words=column)


def _rule(
    expectation: Any, rule: str, remedy: str, severity: Severity = "critical", *, words: str = "", **arguments: Any
) -> Any:
    """An expectation; `words` is the column that says what is wrong, and without it the value itself is quoted."""
    return expectation(severity=severity, meta={"rule": rule, "remedy": remedy, "words": words}, **arguments)


def _check(context: Any, table: Table, rules: Sequence[Any]) -> list[Check]:
    import great_expectations as gx
    import pandas as pd

    # GX reports the labels of an unnamed index as they are; a named one costs it 7 s for 100,000 findings.
    frame = pd.DataFrame(list(table.rows), index=pd.Index(table.places))
    batch = (
        context.data_sources.add_pandas(table.name)
        .add_dataframe_asset(table.name)
        .add_batch_definition_whole_dataframe("all")
        .get_batch({"dataframe": frame})
    )
    suite = gx.ExpectationSuite(table.name, list(rules))
    result_format = {"result_format": "COMPLETE", "return_unexpected_index_query": False}
    results = batch.validate(suite, result_format=result_format).results
    order = [rule.meta["rule"] for rule in rules]
    results = sorted(results, key=lambda result: order.index(result.expectation_config.meta["rule"]))
    rows = dict(zip(table.places, table.rows, strict=True))
    return [_read_result(result, table, rows) for result in results]


def _read_result(result: Any, table: Table, rows: Mapping[str, Row]) -> Check:
    config = result.expectation_config
    assert result.success or result.exception_info.get("raised_exception") is False, result.exception_info
    findings: tuple[Finding, ...] = ()
    if not result.success:
        places = result.result.get("unexpected_index_list")
        if places is None:
            findings = (Finding(table.folder, _sum_up(config.kwargs, result.result)),)
        else:
            words, column = config.meta["words"], config.kwargs["column"]
            findings = tuple(
                Finding(place, rows[place][words] if words else shorten(rows[place][column])) for place in places
            )
    return Check(
        table.name, config.meta["rule"], config.severity.value, config.meta["remedy"], len(table.rows), findings
    )


def _sum_up(arguments: Mapping[str, Any], result: Mapping[str, Any]) -> str:
    """What a rule about a whole column saw: the values missing from it, or its sum."""
    if "value_set" in arguments:
        return f"nothing for {', '.join(result.get('partial_missing_list') or arguments['value_set'])}"
    return f"got {result.get('observed_value') or 0:,.0f}"
