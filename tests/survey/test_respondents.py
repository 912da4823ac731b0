from __future__ import annotations

import pytest

from webapp.errors import InvalidRequest
from webapp.survey.respondents import compile_pattern, read_mapping, respondent_of


@pytest.mark.parametrize(
    ("path", "rule", "pattern", "expected"),
    [
        ("A/anna/1.jpg", "folder", "", "anna"),
        ("1.jpg", "folder", "", None),
        ("A/p07_3.jpg", "pattern", "{respondent}_*.jpg", "p07"),
        ("A/x-p07.JPG", "pattern", "x-{respondent}.jpg", "p07"),
        ("A/other.png", "pattern", "{respondent}_*.jpg", None),
        ("A/anna/1.jpg", "none", "", None),
    ],
)
def test_the_respondent_follows_from_the_path(path, rule, pattern, expected):
    assert respondent_of(path, rule, pattern) == expected


@pytest.mark.parametrize("pattern", ["", "*.jpg", "{respondent}{respondent}", "{respondent}****"])
def test_patterns_that_cannot_be_used(pattern):
    with pytest.raises(InvalidRequest):
        compile_pattern(pattern)


def test_a_pattern_is_no_regular_expression():
    assert respondent_of("a.jpg", "pattern", "(.+)+{respondent}") is None


def test_a_mapping_is_read_with_comma_or_semicolon():
    assert read_mapping("file,respondent\na.jpg,anna\n") == {"a.jpg": "anna"}
    assert read_mapping("\ufeffFile;Respondent\nb\\a.jpg;bo\n\n") == {"b/a.jpg": "bo"}


def test_a_mapping_that_contradicts_itself_is_refused():
    with pytest.raises(InvalidRequest, match="Line 3"):
        read_mapping("file,respondent\na.jpg,anna\na.jpg,bo\n")
    with pytest.raises(InvalidRequest, match="columns"):
        read_mapping("name,who\n")
