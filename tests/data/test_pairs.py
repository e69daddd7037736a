"""Lines of two editions become pairs; whatever is left out is counted."""

from lal.data.clean import words_of
from lal.data.pairs import Pair, build_pairs


def folio(*lines: str) -> str:
    return "\n".join(["Actus Primus.", "", "  Ham. " + lines[0], *lines[1:]])


def modern(*lines: str) -> str:
    return "\n".join(["# Play", "", "**HAMLET**  ", *lines])


def test_a_line_keeps_its_words_punctuation_and_capitals() -> None:
    pairs = build_pairs({"hamlet": folio("Haue you had quiet Guard?")}, {"hamlet": modern("have you had quiet guard.")})
    assert pairs.kept == (Pair("hamlet", 1, "Haue you had quiet Guard?", "Have you had quiet Guard?"),)
    assert pairs.dropped == {}


def test_a_line_with_a_word_that_has_no_partner_is_dropped_and_counted() -> None:
    pairs = build_pairs(
        {"hamlet": folio("Not a Mouse stirring", "Zounds Haue you had quiet Guard")},
        {"hamlet": modern("Not a mouse stirring", "Have you had quiet guard")},
    )
    assert [pair.target for pair in pairs.kept] == ["Not a Mouse stirring"]
    assert pairs.dropped == {"word_without_partner": 1}


def test_a_line_that_is_another_line_in_the_modern_edition_is_dropped_and_counted() -> None:
    said = ["The regions of the ayre" for _ in range(6)]
    pairs = build_pairs(
        {"hamlet": folio(*said, "And whole regions of men")},
        {"hamlet": modern(*["The regions of the air" for _ in said], "And whole legions of men")},
    )
    assert {pair.target for pair in pairs.kept} == {"The regions of the air"}
    assert pairs.dropped == {"another_word": 1, "duplicate": 5}


def test_a_line_without_words_is_dropped_and_counted() -> None:
    pairs = build_pairs({"hamlet": folio("Not a Mouse", "- - -")}, {"hamlet": modern("Not a mouse")})
    assert pairs.dropped == {"no_words": 1}


def test_a_line_stands_on_one_side_of_the_split_only() -> None:
    line, spelled = "Giue me thy hand, my Lord", "Give me thy hand, my lord"
    plays = ["hamlet", "julius-caesar", "macbeth"]
    pairs = build_pairs(
        {"hamlet": folio(line.upper()), "julius-caesar": folio(line), "macbeth": folio(line)},
        {slug: modern(spelled) for slug in plays},
    )
    assert [pair.play for pair in pairs.kept] == ["macbeth"]
    assert pairs.dropped == {"in_test_play": 2}


def test_a_training_line_that_is_validated_on_is_dropped_and_counted() -> None:
    plays = ["hamlet", "julius-caesar"]
    pairs = build_pairs({slug: folio("Giue me") for slug in plays}, {slug: modern("Give me") for slug in plays})
    assert [pair.play for pair in pairs.kept] == ["julius-caesar"]
    assert pairs.dropped == {"in_validation_play": 1}


def test_a_play_that_one_edition_lacks_is_passed_over() -> None:
    assert build_pairs({"hamlet": folio("Haue")}, {"pericles": modern("Have")}).kept == ()


def test_source_and_target_have_the_same_number_of_words() -> None:
    lines = ["'Tis th' Ambassador o're-tooke", "Ile goe, and smoak'd DEERE"]
    spelled = ["'Tis the ambassador o'ertook", "I'll go, and smoked dear"]
    pairs = build_pairs({"hamlet": folio(*lines)}, {"hamlet": modern(*spelled)})
    assert [pair.target for pair in pairs.kept] == ["'Tis the Ambassador o'ertook", "I'll go, and smok'd DEAR"]
    assert all(len(words_of(pair.source)) == len(words_of(pair.target)) for pair in pairs.kept)
