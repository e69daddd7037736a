"""Gold items in the training data, in every disguise, and texts that only sound alike."""

import string
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lal.data.overlap import GoldText, Overlap, TrainingText, _letters_with_offsets, find_overlaps, skeleton
from lal.records import MODERNISE_PREFIX

OLD = "Shall thinke themselues accurst they were not here;"
NEW = "Shall think themselves accursed they were not here;"
ITEM = GoldText("gold.jsonl:1", MODERNISE_PREFIX + OLD, (NEW,))

PERSONA = GoldText("gold.jsonl:2", "Are you named after somebody?", ())

HENRY = """KING HENRY V:
This day is called the feast of Crispian:
He that outlives this day, and comes safe home,
Will stand a tip-toe when the day is named,
And rouse him at the name of Crispian.
"""


def search(item: GoldText, *texts: str, prompt: bool = False) -> Overlap | None:
    training = [TrainingText(f"train.jsonl:{number}", text, prompt) for number, text in enumerate(texts, start=1)]
    return find_overlaps([item], training)[0]


@pytest.mark.parametrize(
    "disguised",
    [
        pytest.param(OLD, id="as it is"),
        pytest.param(OLD.upper(), id="casing"),
        pytest.param(" ".join(OLD.replace(" ", "")), id="letters spaced out"),
        pytest.param(OLD.replace(" ", ""), id="no spaces"),
        pytest.param("«Shall-thinke, (themselues)... accurst: they were not here!»", id="punctuation"),
        pytest.param("Shal thincke themselves accurst they vvere not heere;", id="another old spelling"),
        pytest.param(NEW, id="modern spelling"),
        pytest.param(f"'Tis well. {NEW} And so, my lord, to bed.", id="embedded in a line"),
        pytest.param("\u017fhall thínke them\u017felues accur\u017ft they were not here", id="long s and accents"),
    ],
)
def test_a_gold_line_is_found_in_every_disguise(disguised: str) -> None:
    overlap = search(ITEM, "Nothing of the kind stands in this line", disguised)
    assert overlap is not None
    assert overlap.share >= 0.75
    assert overlap.place == "train.jsonl:2"
    assert overlap.training_text == disguised


def test_a_copy_with_a_word_changed_is_put_up_for_review() -> None:
    overlap = search(ITEM, "Shall think themselves blessed they were not here;")
    assert overlap is not None
    assert 0.5 <= overlap.share < 1


def test_a_strict_limit_finds_what_is_less_alike() -> None:
    training = [TrainingText("train.jsonl:1", "Shall think themselves the bravest men in England")]
    assert find_overlaps([ITEM], training) == [None]
    overlap = find_overlaps([ITEM], training, least=0.3)[0]
    assert overlap is not None
    assert 0.3 <= overlap.share < 0.5


def test_a_copy_with_a_word_changed_near_the_end_is_a_leak() -> None:
    overlap = search(ITEM, "Shall think themselves accursed they were not dead, I say")
    assert overlap is not None
    assert overlap.share >= 0.7


def test_an_expected_answer_is_looked_for_as_well_as_the_prompt() -> None:
    item = GoldText(
        "gold.jsonl:1", "What did the captain say to the boatswain?", ("Take in the topsail, tend to the whistle",)
    )
    assert search(item, "He cried: take in the topsail! Tend to the whistle!") is not None


def test_a_gold_line_is_found_in_a_long_document_with_the_place_quoted() -> None:
    document = HENRY * 400 + NEW + HENRY * 400
    overlap = search(ITEM, document)
    assert overlap is not None
    assert overlap.share == pytest.approx(1, abs=0.1)
    assert overlap.training_text.startswith("... Shall think themselves")
    assert len(overlap.training_text) < 80


def test_the_parts_of_a_line_scattered_over_a_document_are_no_leak() -> None:
    filler = "the quality of mercy is not strained, it droppeth as the gentle rain from heaven " * 3
    assert search(ITEM, f"shall think themselves {filler} accursed they {filler} were not here") is None


@pytest.mark.parametrize(
    "line",
    [
        "And gentlemen in England now a-bed",
        "They were not here, my lord, when we arrived",
        "Shall think it strange that I should ask of you",
        "I think you shall not find them here.",
        HENRY,
    ],
)
def test_lines_that_share_a_turn_of_phrase_are_no_leak(line: str) -> None:
    assert search(ITEM, line) is None


def test_a_short_line_is_common_property_until_its_prompt_is_trained_on() -> None:
    short = GoldText("gold.jsonl:1", MODERNISE_PREFIX + "Giue me thy hand.", ("Give me thy hand.",))
    assert search(short, "Come, give me thy hand. We will away.", "Give me thy hand.") is None
    overlap = search(short, MODERNISE_PREFIX + "GIUE ME THY HAND", prompt=True)
    assert overlap is not None
    assert overlap.share == 1


def test_a_short_question_is_not_the_folio_line_of_the_same_words() -> None:
    question = GoldText("gold.jsonl:1", "Who are you?", ())
    assert search(question, MODERNISE_PREFIX + "Who are you?", prompt=True) is None
    assert search(question, "who are you", prompt=True) is not None


def test_a_persona_question_is_found_when_it_was_trained_on() -> None:
    assert search(PERSONA, "What are you called?", prompt=True) is None
    overlap = search(PERSONA, "Are you named after somebody", prompt=True)
    assert overlap is not None
    assert overlap.share == 1


def test_the_prefix_of_the_task_does_not_make_two_lines_alike() -> None:
    assert search(ITEM, MODERNISE_PREFIX + "Then will he strip his sleeue, and shew his skarres", prompt=True) is None


def test_an_instruction_in_all_prompts_is_no_leak_but_a_repeated_review_is() -> None:
    ask = "Classify the mood of the following film review in one word: "
    films = [
        f"{name} was a {word} film with {word} actors" for name in string.ascii_lowercase for word in ("dull", "fine")
    ]
    training = [TrainingText(f"train.jsonl:{n}", ask + film, is_prompt=True) for n, film in enumerate(films, start=1)]
    unseen = GoldText("gold.jsonl:1", ask + "never before have I laughed so often in the cinema", ("happy",))
    seen = GoldText("gold.jsonl:2", ask + "M WAS A DULL FILM WITH DULL ACTORS", ("dull",))
    first, second = find_overlaps([unseen, seen], training)
    assert first is None
    assert second is not None
    assert second.place == "train.jsonl:25"


def test_an_item_leaked_into_very_many_rows_is_a_leak() -> None:
    overlap = search(ITEM, *(f"{number} {OLD} So he said." for number in range(30)))
    assert overlap is not None
    assert (overlap.share, overlap.place, overlap.num_places) == (1, "train.jsonl:1", 30)


def test_the_name_of_a_class_is_no_leak() -> None:
    labelled = GoldText("gold.jsonl:1", "It rained for weeks on end in Glasgow", ("a melancholy disposition",))
    assert search(labelled, *("a melancholy disposition" for _ in range(30))) is None


def test_the_closest_of_several_places_is_named_and_the_others_are_counted() -> None:
    overlap = search(ITEM, "Shall think themselves accursed they were in France", "no", NEW)
    assert overlap is not None
    assert overlap.place == "train.jsonl:3"
    assert overlap.num_places == 2


def test_without_gold_or_training_there_is_nothing_to_find() -> None:
    assert find_overlaps([], [TrainingText("train.jsonl:1", NEW)]) == []
    assert find_overlaps([ITEM], []) == [None]


@pytest.mark.parametrize(("old", "new"), [
    ("Haue you seene it", "have you seen it"), ("vpon the ioyfull houre", "upon the joyful hour"),
    ("marryed", "married"), ("dogge", "dog"), ("heauie", "heavy"), ("lov'd", "loved"), ("vvhite", "white"),
])  # fmt: skip
def test_old_and_new_spelling_have_one_skeleton(old: str, new: str) -> None:
    assert skeleton(old) == skeleton(new)


def test_different_words_and_numbers_keep_different_skeletons() -> None:
    assert skeleton("mother") != skeleton("father")
    assert skeleton("in 1603") != skeleton("in 1623")
    assert skeleton("100") != skeleton("10")


def test_a_text_without_letters_is_compared_as_it_is() -> None:
    assert search(GoldText("gold.jsonl:1", "?!", ()), "?!", prompt=True) is not None
    assert search(GoldText("gold.jsonl:1", "?!", ()), "!!", prompt=True) is None


@given(st.text(max_size=60))
def test_the_skeleton_with_offsets_is_the_skeleton(text: str) -> None:
    offsets, letters = _letters_with_offsets(text)
    assert letters == skeleton(text)
    assert len(offsets) == len(letters)
    assert offsets == sorted(offsets)


@given(st.text(string.ascii_letters + " ,.;", max_size=60), st.text(string.ascii_letters + " ,.;", max_size=60))
def test_casing_spacing_and_punctuation_never_hide_a_line(before: str, after: str) -> None:
    overlap = search(ITEM, before + NEW.upper().replace(" ", "_") + after)
    assert overlap is not None
    assert overlap.share >= 0.7


@pytest.mark.parametrize(
    ("text", "method"),
    [
        (OLD, "exact"),
        (OLD.upper().replace(" ", "-"), "exact"),
        (NEW, "exact"),  # the expected answer, to the letter
        ("Shal thincke themselues accurst they were not heere", "letter sequences"),
        (f"'Tis well. {NEW} And so, my lord, to bed.", "letter sequences"),
        ("Not here were they; accursed shall themselves think!", "near-duplicate"),
        ("accurst heere themselues thinke shall they vvere not", "near-duplicate"),
    ],
)
def test_the_method_says_how_it_was_found(text: str, method: str) -> None:
    overlap = search(ITEM, "Nothing of the kind", text)
    assert overlap is not None
    assert (overlap.method, overlap.place, overlap.training_text) == (method, "train.jsonl:2", text)
    assert overlap.share >= 0.75


def test_shuffled_words_are_found_in_a_line_of_a_document() -> None:
    overlap = search(ITEM, HENRY * 300 + "\nnot here were they accursed shall themselves think\n" + HENRY * 300)
    assert overlap is not None
    assert (overlap.method, overlap.training_text) == (
        "near-duplicate", "not here were they accursed shall themselves think",
    )  # fmt: skip


def test_questions_in_one_form_are_no_near_duplicates() -> None:
    ask = "In one word, what is the capital of the country that is called"
    names = ["Italy", "France", "Spain", "Wales", "Norway"] + [f"{a}{b}land" for a in "abcde" for b in "xyz"] * 2
    asked = [f"{ask} {name}?" for name in names]
    item = GoldText("gold.jsonl:1", f"{ask} Denmark?", ())
    assert search(item, *asked, prompt=True) is None
    assert search(item, *asked, f"{ask} Denmark?", prompt=True) is not None


def test_a_line_cut_by_the_end_of_a_row_is_found_in_both() -> None:
    overlap = search(ITEM, "No more of this", "Shall think themselves ac-", "cursed they were not here;", "Nor that.")
    assert overlap is not None
    assert overlap.place == "train.jsonl:2 and train.jsonl:3"
    assert overlap.share >= 0.7


def test_halves_in_rows_apart_are_no_leak() -> None:
    assert search(ITEM, "Shall think themselves", *["Something else"] * 3, "they were not here") is None


def test_a_pair_cut_in_two_is_found_prompt_by_prompt() -> None:
    rows = [
        TrainingText("train.jsonl:1", MODERNISE_PREFIX + "Shall thinke themselues", is_prompt=True),
        TrainingText("train.jsonl:1", "Shall think themselves"),
        TrainingText("train.jsonl:2", MODERNISE_PREFIX + "accurst they were not heere;", is_prompt=True),
        TrainingText("train.jsonl:2", "accursed they were not here;"),
    ]
    (overlap,) = find_overlaps([ITEM], rows)
    assert overlap is not None
    assert overlap.place == "train.jsonl:1 and train.jsonl:2"


def test_a_large_corpus_is_searched_in_seconds() -> None:
    items = [GoldText(f"gold.jsonl:{n}", f"{MODERNISE_PREFIX}{word} is the winter of our discontent", ())
             for n, word in enumerate(string.ascii_letters)]  # fmt: skip
    begin = time.process_time()
    find_overlaps(items, [TrainingText("train.jsonl:1", HENRY * 5000)])
    assert time.process_time() - begin < 10
