import pytest

from lal.errors import DataError
from lal.evaluation.gold.slices import WordForms, choose_slice, learn_forms
from lal.gold_items import GoldItem
from lal.records import Conversation, Message, Split

PAIRS = [
    *[("I haue more then you", "I have more than you")] * 3,
    *[("Then I haue a kings horse", "Then I have a king's horse")] * 7,
    ("two kings", "two kings"),
]


@pytest.fixture(scope="module")
def forms() -> WordForms:
    return WordForms(PAIRS)


def test_a_line_in_which_nothing_changes_is_kept_even_if_its_words_are_unknown(forms: WordForms) -> None:
    choice = forms.choose("Te Deum", "Te Deum")
    assert (choice.name, choice.difficulty) == ("keep", "easy")


def test_a_word_that_was_never_trained_on_makes_a_line_unseen_whatever_else_it_has(forms: WordForms) -> None:
    choice = forms.choose("Then I haue a dogge", "Than I have a dog")
    assert choice.name == "unseen"
    assert "dogge" in choice.reason
    assert "haue" not in choice.reason


def test_a_line_whose_words_have_one_form_each_is_known_in_any_casing(forms: WordForms) -> None:
    assert forms.choose("I HAUE", "I HAVE").name == "known"


def test_a_form_that_is_not_the_commonest_is_the_minority_and_hard_if_it_is_rare(forms: WordForms) -> None:
    medium = forms.choose("I haue more then you", "I have more than you")
    assert (medium.slice, medium.subslice, medium.difficulty) == ("context", "context-minority", "medium")
    assert medium.reason == "then is than here, 3 times of 10 in training"
    hard = forms.choose("I haue two Kings", "I have two Kings")
    assert (hard.subslice, hard.difficulty) == ("context-minority", "hard")


def test_the_commonest_form_of_a_word_with_several_is_the_majority(forms: WordForms) -> None:
    choice = forms.choose("Then I haue a horse", "Then I have a horse")
    assert (choice.subslice, choice.difficulty) == ("context-majority", "medium")


def test_a_word_with_one_form_in_95_of_100_places_is_known() -> None:
    nearly = [("doe", "do")] * 95 + [("doe", "doe")] * 5
    assert WordForms(nearly).choose("doe!", "do!").name == "known"
    assert WordForms([*nearly, ("doe", "doe")]).choose("doe!", "do!").name == "context-majority"


def test_an_answer_with_more_words_than_its_line_is_refused(forms: WordForms) -> None:
    with pytest.raises(DataError, match="has 2 words and 'I have you' has 3"):
        forms.choose("haue you", "I have you")


def conversation(number: int, split: Split, prompt: str, answer: str) -> Conversation:
    messages = (Message(role="user", content=prompt), Message(role="assistant", content=answer))
    return Conversation(id=str(number), messages=messages, task="any", source="any", licence="any", split=split)


def test_only_lines_that_are_trained_on_count() -> None:
    rows = [
        conversation(1, "train", "Modernise: Haue I", "Have I"),
        conversation(2, "test", "Modernise: dogge", "dog"),
        conversation(3, "train", "Who are you?", "I am Lal."),
    ]
    assert len(learn_forms(rows)) == 2


def test_a_question_that_is_no_line_has_no_slice_by_program(forms: WordForms) -> None:
    question = GoldItem(
        id="q",
        slice="sums",
        messages=(Message(role="user", content="Two and two?"),),
        scorer="exact",
        expected="four",
        difficulty="easy",
        source="own",
        split="dev",
        version=1,
    )
    assert choose_slice(question, forms) is None
