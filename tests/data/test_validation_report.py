"""The report: what was checked, what was found, and nothing that a browser would run."""

from html.parser import HTMLParser

from lal.data.validation import Check, Finding
from lal.data.validation_report import render_report


class Page(HTMLParser):
    """Collects the tags and the text of a page."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.words = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        assert not [name for name, _ in attrs if name in ("src", "href") or name.startswith("on")]

    def handle_data(self, data: str) -> None:
        self.words += data


def test_the_report_says_what_was_checked_and_escapes_what_it_quotes() -> None:
    nasty = "<script>alert('x')</script> & <|end|>"
    checks = [
        Check("corpus", "ids are unique", "critical", "rename", 2, ()),
        Check("gold", "a <b>bold</b> rule", "critical", "mend it", 3, (Finding(f"gold/{nasty}.jsonl:1", nasty),)),
        Check("gold", "warned", "warning", "look", 3, tuple(Finding(f"g:{n}", f"value {n}") for n in range(300))),
    ]
    page = Page(render_report(checks, {"corpus": {"documents": {nasty: 1234}}, "overlap": {"largest_share": 0.5}}))
    assert "script" not in page.tags
    assert nasty in page.words
    for said in (
        "1 rule broken",
        "3 rules: 1 kept, 1 with warnings, 1 broken",
        "1,234",
        "What to do: mend it.",
        "and 200 more",
    ):
        assert said in page.words
    assert page.words.index("Gold set") < page.words.index("Corpus"), "what is broken comes first"


def test_the_report_of_sound_data_says_so() -> None:
    assert "Fit to train on" in Page(render_report([Check("corpus", "r", "critical", "m", 2, ())], {})).words
