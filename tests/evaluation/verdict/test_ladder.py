import re
from collections.abc import Callable

import pytest

from lal.evaluation.report.ladder import ladder_section
from lal.evaluation.report.table import render_table
from lal.evaluation.scores.results import Result
from lal.evaluation.scores.scoring import score_answers
from lal.evaluation.verdict.ladder import CHAMPION, Ladder, build_ladder
from lal.gold_items import Answer, GoldItem

Items = Callable[..., GoldItem]
Answers = Callable[..., Answer]
Run = Callable[[str, dict[str, str]], list[Result]]

FACTS = {
    "bits_per_byte": {"unigram": 4.83, "ngram": 2.189, "base": 2.091, "lal": 7.2},
    "size": {"rules": 15, "lexicon_rules": 59412, "unigram": 66, "ngram": 872756, "base": 935296, "lal": 935296},
}


@pytest.fixture
def run(line: Items, question: Items, said: Answers) -> Run:
    """Makes one solver's results out of signs, `+` for right, one item each, by slice."""

    def make(solver: str, signs: dict[str, str]) -> list[Result]:
        items, answers = [], []
        for name, marks in signs.items():
            for number, mark in enumerate(marks):
                identity = f"{name}-{number}"
                item = (
                    question(identity, f"Who {number}?", "have", slice=name)
                    if name == "persona"
                    else line(identity, "haue", "have", slice=name)
                )
                items.append(item)
                answers.append(said(item, "have" if mark == "+" else "haue", solver=solver))
        return score_answers(items, answers)

    return make


@pytest.fixture
def ladder(run: Run) -> Ladder:
    results = [
        *run("copy", {"known": "-" * 20, "unseen": "-" * 20}),
        *run("lexicon+rules", {"known": "+" * 20, "unseen": "+" * 2 + "-" * 18}),
        *run("nearest", {"known": "-" * 20, "unseen": "-" * 20, "persona": "+" * 10}),
        *run("base", {"known": "-" * 20, "unseen": "-" * 20, "persona": "-" * 10}),
        *run("lal", {"known": "+" * 19 + "-", "unseen": "+" * 14 + "-" * 6, "persona": "-" * 10}),
    ]
    return build_ladder(results, ["known", "unseen"], "lal", FACTS, run("lal", {"known": "+" * 20, "unseen": "-" * 20}))


def test_rungs_go_from_what_is_free_to_the_network_itself(ladder: Ladder) -> None:
    assert [(rung.name, rung.kind) for rung in ladder.rungs] == [
        ("copy", "free"),
        ("lexicon+rules", "free"),
        ("nearest", "free"),
        ("unigram", "free"),
        ("ngram", "free"),
        ("base", "free"),
        (CHAMPION, "champion"),
        ("lal", "own"),
    ]
    by_name = {rung.name: rung for rung in ladder.rungs}
    assert (by_name["ngram"].size, by_name["ngram"].text_bits, by_name["ngram"].headline) == (872756, 2.189, None)
    assert by_name["lexicon+rules"].size == 59412
    headline = by_name[CHAMPION].headline
    assert headline is not None
    assert headline.value == 0.5


def test_one_sentence_says_what_the_network_adds_over_the_best_and_where_it_loses(ladder: Ladder) -> None:
    """Each number from the paired comparison: 0.55, 0.825; of persona only nearest and base have an opinion."""
    assert ladder.best == "lexicon+rules"
    assert re.fullmatch(
        r"Lal adds 27 points over lexicon\+rules \(0\.82 against 0\.55, 95 % interval \+\d+ to \+\d+ points\), "
        r"most in unseen \(0\.70 against 0\.10\); it loses in known \(0\.95 against 1\.00, within chance\) and "
        r"persona \(0\.00 against 1\.00 of nearest\)\.",
        ladder.sentence,
    )


def test_the_hybrid_is_a_rung_of_its_own_and_not_free(run: Run) -> None:
    results = [
        *run("rules", {"known": "+" * 8 + "-" * 12}),
        *run("lal", {"known": "+" * 12 + "-" * 8}),
        *run("hybrid", {"known": "+" * 20}),
    ]
    ladder = build_ladder(results, ["known"], "lal", {"size": {"hybrid": 940_000}})
    assert ladder.best == "rules"
    assert [(rung.name, rung.kind) for rung in ladder.rungs] == [("rules", "free"), ("hybrid", "other"), ("lal", "own")]
    assert "940,000" in ladder_section(ladder)
    assert "parameters and entries" in ladder_section(ladder)


def test_a_difference_that_chance_explains_is_not_called_a_gain(run: Run) -> None:
    results = [*run("copy", {"known": "+" * 10 + "-" * 10}), *run("lal", {"known": "+" * 12 + "-" * 8})]
    sentence = build_ladder(results, ["known"], "lal").sentence
    assert sentence.startswith("These items cannot tell whether Lal adds anything over copy (0.60 against 0.50, 95 %")
    assert sentence.endswith("most in known (0.60 against 0.50); it loses in no slice.")


def test_a_network_behind_what_is_free_is_called_so(run: Run) -> None:
    results = [*run("rules", {"known": "+" * 20}), *run("lal", {"known": "+" * 5 + "-" * 15})]
    sentence = build_ladder(results, ["known"], "lal").sentence
    assert sentence.startswith("Lal is 75 points behind rules, which is free (0.25 against 1.00")
    assert sentence.endswith("; it loses in known (0.25 against 1.00).")


def test_without_a_common_headline_nothing_is_claimed(run: Run) -> None:
    alone = run("lal", {"known": "+" * 5})
    for results in (alone, [*run("copy", {"persona": "+"}), *alone]):
        ladder = build_ladder(results, ["known"], "lal")
        assert ladder.gain is None
        assert "no headline score" in ladder.sentence
        assert ladder.sentence in ladder_section(ladder)


def test_an_expensive_rival_is_shown_but_is_not_what_is_free(run: Run) -> None:
    results = [
        *run("copy", {"known": "-" * 20}),
        *run("large", {"known": "+" * 20}),
        *run("lal", {"known": "+" * 10 + "-" * 10}),
    ]
    ladder = build_ladder(results, ["known"], "lal")
    assert [(rung.name, rung.kind) for rung in ladder.rungs][1] == ("large", "other")
    assert ladder.best == "copy"


def test_bits_of_the_right_answers_are_all_bits_over_all_bytes(line: Items, said: Answers) -> None:
    items = [line("a", "x", "have"), line("b", "x", "have" * 3), line("c", "x", "have")]
    bits = {"lal": {"a": 1.0, "b": 3.0, "c": None}}
    results = score_answers(items, [said(item, "have") for item in items], bits)
    assert [result.scores["bits_per_byte"] for result in results] == [1.0, 3.0, None]
    (rung,) = build_ladder(results, ["known"], "lal").rungs
    assert rung.answer_bits == pytest.approx((4 * 1.0 + 12 * 3.0) / 16)


def test_the_section_shows_every_rung_and_what_a_text_model_cannot_do(ladder: Ladder) -> None:
    html = ladder_section(ladder)
    assert html.startswith('<section id="ladder">')
    assert html.count("<tr") == 1 + len(ladder.rungs)
    assert "872,756" in html
    assert "2.189" in html
    assert "predicts text, answers nothing" in html
    assert html.count('class="best"') == 1


def test_the_table_in_the_terminal_says_the_sentence(run: Run) -> None:
    results = [*run("copy", {"known": "-" * 20}), *run("lal", {"known": "+" * 20})]
    sentence = build_ladder(results, ["known"], "lal").sentence
    assert "Lal adds 100 points over copy" in sentence
    assert sentence in render_table(results, ["known"], "lal").splitlines()
