"""The chat page in a real browser: with keys alone, on a phone, light and dark, under its strict policy."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from lal.live import FEEDBACK, REQUESTS, Feedback, Request
from lal.records import read_records
from lal.serve.page import load
from lal.serve.process import Options, running
from tests.serve.browser import CHROMIUM, Browser, browser
from tests.serve.conftest import Client

ANSWERED = "document.querySelector('.said') && document.querySelector('.said').getAttribute('aria-busy') === 'false'"

in_a_browser = pytest.mark.skipif(not CHROMIUM.exists(), reason="no Chromium here")


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with browser(tmp_path_factory.mktemp("profile")) as page:
        yield page


@pytest.fixture
def logged(folder: Path, tmp_path: Path) -> Iterator[Client]:
    with running(Options(lambda: folder, log_folder=tmp_path / "live", log_share=0.0)) as address:
        yield Client(address)


def test_it_needs_nothing_from_elsewhere_and_writes_no_markup() -> None:
    content = load()[0].decode()
    for word in ("http:", "https:", "//cdn", "innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval("):
        assert word not in content, word


@pytest.mark.slow
@in_a_browser
def test_a_person_with_a_keyboard_asks_looks_behind_the_words_and_corrects(
    page: Browser, logged: Client, tmp_path: Path
) -> None:
    page.open(f"{logged.address}/")
    page.wait("document.querySelector('#version').textContent.startsWith('lal-')")
    assert page.value("document.activeElement.id") == "question"
    page.type("<b>Haue</b> will@globe.example")
    page.press("Enter")
    page.wait(ANSWERED)
    assert page.value("document.querySelector('.question').textContent") == "<b>Haue</b> will@globe.example"
    said = page.value("document.querySelector('.said').textContent")
    assert page.value("document.querySelector('#status').textContent") == f"Answer: {said}"
    page.value("document.querySelector('.token').focus()")
    page.press("ArrowRight")
    assert page.value("document.activeElement === document.querySelectorAll('.token')[1]")
    assert page.value("document.querySelectorAll('.choices li').length") >= 8
    assert page.value("document.querySelectorAll('.choices .said-one').length") == 1
    assert "%" in page.value("document.querySelector('#status').textContent")
    page.value(
        "[...document.querySelectorAll('.tools button')].find((each) => each.textContent === 'Correct it').focus()"
    )
    page.press("Enter")
    assert page.value("document.activeElement.value") == said
    page.value("document.activeElement.value = ''")
    page.type("Have")
    page.press("Tab")
    page.press("Enter")
    page.wait("document.querySelector('.tools .note').textContent === 'Kept, thank you.'")
    (request,) = read_records(tmp_path / "live" / REQUESTS, Request)
    (feedback,) = read_records(tmp_path / "live" / FEEDBACK, Feedback)
    assert (request.prompt, request.answer, request.tags) == ("<b>Haue</b> [email]", said, {"source": "page"})
    assert (request.kept_because, feedback.rating, feedback.correction) == ("flagged", "down", "Have")
    assert page.complaints == []


@pytest.mark.slow
@in_a_browser
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_fits_a_phone_and_can_be_tapped(page: Browser, logged: Client, scheme: str) -> None:
    page.open(f"{logged.address}/", width=360, height=740, scheme=scheme)
    page.value("document.querySelector('#examples button').click()")
    page.wait(ANSWERED)
    page.value("document.querySelectorAll('.token')[2].click()")
    page.value(
        "[...document.querySelectorAll('.tools button')].find((each) => each.textContent === 'Correct it').click()"
    )
    assert page.value("document.documentElement.scrollWidth") <= 360
    assert page.value(
        "[...document.querySelectorAll('button')].every((each) => !each.offsetHeight || each.offsetHeight >= 44)"
    )
    color = page.value("getComputedStyle(document.body).backgroundColor")
    darkness = sum(int(part) for part in color.removeprefix("rgb(").removesuffix(")").split(","))
    assert (darkness < 200) == (scheme == "dark")
    assert page.complaints == []


@pytest.mark.slow
@in_a_browser
def test_it_asks_for_the_key_of_a_server_that_has_one_and_offers_no_feedback_without_a_log(
    page: Browser, folder: Path
) -> None:
    with running(Options(lambda: folder, key="secret")) as address:
        page.open(f"{address}/")
        page.type("Haue")
        page.press("Enter")
        page.wait("document.querySelector('.error')")
        assert "API key" in page.value("document.querySelector('.error').textContent")
        assert page.value("document.activeElement.id") == "key"
        page.type("secret")
        page.press("Enter")
        page.type("Haue")
        page.press("Enter")
        page.wait("document.querySelectorAll('article')[1].querySelectorAll('.token').length > 1")
        page.wait("document.querySelectorAll('.said')[1].getAttribute('aria-busy') === 'false'")
        assert page.value("document.querySelectorAll('.tools button').length") == 3  # the examples
    page.complaints.clear()  # The browser notes the 401.
