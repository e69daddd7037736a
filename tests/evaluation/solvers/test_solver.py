import copy
import string
from collections.abc import Callable

import pytest
import torch

from lal.evaluation.solvers.nearest import Nearest
from lal.evaluation.solvers.solver import (
    ANSWER,
    Baseline,
    NearestAnswer,
    chat_model,
    draw_examples,
    few_shot_model,
    few_shot_text,
    learn_baselines,
    sizes_of,
)
from lal.gold_items import GoldItem
from lal.model.folder import LoadedModel
from lal.model.transformer import Config, Transformer
from lal.params import ModelParams, Shape
from lal.records import Conversation, Message
from lal.text.tokenizer import Tokenizer

Items = Callable[..., GoldItem]


def conversation(identity: str, prompt: str, answer: str, task: str = "modernise") -> Conversation:
    return Conversation(
        id=identity,
        messages=(Message(role="user", content=prompt), Message(role="assistant", content=answer)),
        task=task,
        source="hamlet",
        licence="CC0-1.0",
        split="train",
    )


TRAINING = [
    conversation("t1", "Modernise: Haue you loue?", "Have you love?"),
    conversation("t2", "Modernise: Giue it vp", "Give it up"),
    conversation("t3", "Modernise: A good Horse", "A good Horse"),
    conversation("t4", "Modernise: " + "Goe and looke vpon the Sea, my Lord. " * 3, "long"),
    conversation("t5", "Modernise: Looke vp", "Look up"),
    conversation("t6", "Modernise: Wee goe", "We go"),
    conversation("p1", "Who are you?", "I am Lal.", "persona"),
    conversation("p2", "What do you do?", "I modernise\nspelling.", "persona"),
]


@pytest.fixture(scope="module")
def loaded() -> LoadedModel:
    """A network that nobody trained: its answers are babble, but babble that repeats."""
    tokenizer = Tokenizer.train(["Haue you had quiet Guard? I am Lal. " * 4], 264)
    params = ModelParams(
        size=Shape(num_layers=1, num_heads=2, width=16, context_length=192),
        num_kv_heads=None,
        query_key_norm=True,
        tied_embeddings=True,
    )
    return LoadedModel(Transformer(Config.from_params(params, tokenizer.vocabulary_size)).eval(), tokenizer, {})


def test_baselines_answer_lines_and_pass_over_the_rest(line: Items, question: Items) -> None:
    items = [line("a", "Haue a Horse vnto loue", "?"), question("b", "Who are you?", "Lal")]
    answers = {solver.name: solver.answer(items) for solver in learn_baselines(TRAINING)}
    assert list(answers) == ["copy", "rules", "lexicon", "lexicon+rules"]
    assert {answer.item_id for found in answers.values() for answer in found} == {"a"}
    assert [found[0].text for found in answers.values()] == [
        "Haue a Horse vnto loue",
        "Have a Horse unto love",
        "Have a Horse vnto love",
        "Have a Horse unto love",
    ]


def test_without_lines_in_the_training_set_the_lexicon_is_empty_and_nothing_breaks(line: Items) -> None:
    for solver in learn_baselines([row for row in TRAINING if row.task == "persona"]):
        assert len(solver.answer([line("a", "haue", "have")])) == 1


def test_a_solver_is_a_name_and_a_way_to_answer(line: Items) -> None:
    (answer,) = Baseline("shout", str.upper).answer([line("a", "haue", "have")])
    assert (answer.solver, answer.text, answer.finish_reason) == ("shout", "HAUE", "stop")


def test_the_nearest_answer_is_given_to_every_item_and_finding_nothing_is_the_empty_answer(
    line: Items, question: Items
) -> None:
    items = [line("a", "looke vp there", "?"), question("b", "Who are they?", "Lal"), line("c", "Zounds", "?")]
    answers = NearestAnswer("nearest", Nearest.build(TRAINING)).answer(items)
    assert [(answer.item_id, answer.text) for answer in answers] == [("a", "Look up"), ("b", "I am Lal."), ("c", "")]
    assert {(answer.solver, answer.finish_reason) for answer in answers} == {("nearest", "stop")}


def test_a_solver_says_how_large_it_is(loaded: LoadedModel) -> None:
    nearest = NearestAnswer("nearest", Nearest.build(TRAINING))
    sizes = sizes_of([*learn_baselines(TRAINING), nearest, chat_model("lal", loaded, 8, 4)])
    assert sizes["copy"] == 0 < sizes["rules"] < sizes["lexicon"] < sizes["lexicon+rules"]
    assert sizes["nearest"] == len(TRAINING)
    assert sizes["lal"] == sum(weight.numel() for weight in loaded.model.parameters())


def test_a_chat_model_answers_every_item_and_gives_the_same_answers_again(
    loaded: LoadedModel, line: Items, question: Items
) -> None:
    items = [line("a", "haue", "have"), question("b", "Who are you?", "Lal")]
    first, again = (chat_model("lal", loaded, 8, 4).answer(items) for _ in range(2))
    assert [answer.item_id for answer in first] == ["a", "b"]
    assert [answer.text for answer in first] == [answer.text for answer in again]
    assert all(answer.num_tokens <= 8 for answer in first)


def test_a_question_longer_than_the_context_is_an_error_of_that_item_alone(loaded: LoadedModel, line: Items) -> None:
    items = [line("long", "haue " * 200, "have"), line("short", "haue", "have")]
    long, short = chat_model("lal", loaded, 4, 4).answer(items)
    assert (long.finish_reason, long.text) == ("error", "")
    assert short.finish_reason in ("stop", "length")


def test_examples_are_short_single_lines_that_show_a_change_and_always_the_same() -> None:
    drawn = draw_examples([row for row in TRAINING if row.task == "modernise"], 2)
    assert {row.id for row in drawn} == {"t5", "t6"}
    assert drawn == draw_examples([row for row in TRAINING if row.task == "modernise"], 2)
    assert [row.id for row in draw_examples([row for row in TRAINING if row.task == "persona"], 3)] == ["p1"]
    assert draw_examples([], 3) == []


def test_the_base_model_is_shown_text_to_continue() -> None:
    assert few_shot_text("Modernise: Haue I?", [TRAINING[5]]) == (
        "Question:\nWee goe\nAnswer:\nWe go\n\nQuestion:\nHaue I?\nAnswer:\n"
    )


def test_the_marks_of_the_examples_are_made_of_what_english_text_has() -> None:
    """A sign that the corpus never shows has an embedding that nobody trained, and the base model goes astray."""
    text = few_shot_text("x", [conversation("e", "x", "x")])
    assert set(text) <= set(string.ascii_letters + ":\n")


def test_each_question_is_preceded_by_examples_of_its_kind(loaded: LoadedModel, line: Items, question: Items) -> None:
    solver = few_shot_model("base", loaded, TRAINING, 1, 8, 4)
    decode = loaded.tokenizer.decode
    assert decode(solver.ask(question("b", "Who made you?", "Lal"))) == (
        "Question:\nWho are you?\nAnswer:\nI am Lal.\n\nQuestion:\nWho made you?\nAnswer:\n"
    )
    assert decode(solver.ask(line("a", "Haue I?", "Have I?"))).endswith("\n\nQuestion:\nHaue I?\nAnswer:\n")


def test_there_are_as_many_examples_as_leave_room_for_an_answer(loaded: LoadedModel, line: Items) -> None:
    prompts = [
        few_shot_model("base", loaded, TRAINING, 3, limit, 4).ask(line("a", "Haue I?", "?")) for limit in (1, 100, 191)
    ]
    shown = [loaded.tokenizer.decode(prompt).count(ANSWER) - 1 for prompt in prompts]
    assert shown[0] == 3
    assert 0 < shown[1] < 3
    assert shown[2] == 0


def test_the_answer_of_a_base_model_ends_with_its_line(loaded: LoadedModel, line: Items) -> None:
    solver = few_shot_model("base", loaded, TRAINING, 1, 8, 4)
    assert [solver.end_id] == loaded.tokenizer.encode("\n")
    (answer,) = solver.answer([line("a", "haue", "have")])
    assert "\n" not in answer.text


def test_what_a_base_model_says_after_the_end_of_a_document_is_no_answer(loaded: LoadedModel, line: Items) -> None:
    tokenizer = loaded.tokenizer
    model = copy.deepcopy(loaded.model)
    with (
        torch.no_grad()
    ):  # All tokens look alike but for the end, which is a little larger: it is all that is ever said.
        model.model.embed_tokens.weight.fill_(1.0)
        model.model.embed_tokens.weight[tokenizer.end_id] = 2.0
    solver = few_shot_model("base", LoadedModel(model, tokenizer, {}), [], 0, 8, 4)
    (answer,) = solver.answer([line("a", "haue", "have")])
    assert (answer.text, answer.num_tokens, answer.finish_reason) == ("", 0, "stop")
