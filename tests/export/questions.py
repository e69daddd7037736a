"""Gold items as the stage `parity` asks them."""

from lal.evaluation.scores.scoring import score_answers
from lal.export.opened import Question
from lal.gold_items import Answer, GoldItem
from lal.model.folder import LoadedModel
from lal.records import Message
from lal.text.chat import render_prompt


def gold_item(text: str, expected: str = "Have a Horse", number: int = 1) -> GoldItem:
    return GoldItem(
        id=f"g{number}",
        slice="known",
        messages=(Message(role="user", content=text),),
        scorer="exact",
        expected=expected,
        difficulty="easy",
        source="macbeth",
        split="dev",
        version=1,
    )


def question(loaded: LoadedModel, text: str, measured: str = "", expected: str = "Have a Horse") -> Question:
    """An item whose measured answer was `measured`."""
    item = gold_item(text, expected)
    num_tokens = len(loaded.tokenizer.encode(measured))
    answer = Answer(
        item_id=item.id, solver="lal", text=measured, finish_reason="stop", num_tokens=num_tokens, seconds=0.0
    )
    (result,) = score_answers([item], [answer])
    return Question(item, render_prompt(item.messages, loaded.tokenizer), result)
