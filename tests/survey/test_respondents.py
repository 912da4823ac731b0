from __future__ import annotations

import re
import unicodedata

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from webapp.errors import InvalidRequest
from webapp.survey.guess import guess_respondents
from webapp.survey.respondents import Respondent, compile_pattern, read_mapping, respondent_of


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


ROWS = "file{0}respondent\nA/Müller.jpg{0}Jürgen\nb.jpg{0}Zoë\n"
EXPECTED = {"A/Müller.jpg": Respondent("Jürgen"), "b.jpg": Respondent("Zoë")}


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize(
    "encoding",
    ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le", "cp1252"],
)
@pytest.mark.parametrize("line_end", ["\n", "\r\n", "\r"])
def test_a_mapping_is_read_however_it_was_saved(delimiter, encoding, line_end):
    text = ROWS.format(delimiter).replace("\n", line_end)
    assert read_mapping(text.encode(encoding)) == EXPECTED


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "cp1252"])
def test_excels_line_with_the_delimiter_is_no_row(encoding):
    text = "sep=;\r\n" + ROWS.format(";")
    assert read_mapping(text.encode(encoding)) == EXPECTED
    with pytest.raises(InvalidRequest, match="Line 4"):
        read_mapping(b"sep=;\r\nfile;respondent\na.jpg;anna\na.jpg;bo\n")


@pytest.mark.parametrize(
    "data",
    [
        b"\n\nfile;respondent\na;b\n",
        b'"sep=;"\r\nfile;respondent\r\na;b\r\n',
        b"file,respon\0dent\na,b\0\0\n" + bytes(60),
        b"File Name,Participant\na,b\n",
        b"file,respondent\n./a,b\n",
    ],
)
def test_tables_that_editors_and_crashed_programs_leave(data):
    assert read_mapping(data) == {"a": Respondent("b")}


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b'file,respondent\n"a,b\nc,d\n', "Line 3"),
        (b"file,respondent\n,\n", "names no file"),
        (b"a.jpg,Anna\nb.jpg,Bo\n", "columns a.jpg, anna"),
    ],
)
def test_a_table_without_a_row_that_counts_is_refused(data, words):
    with pytest.raises(InvalidRequest, match=words):
        read_mapping(data)


@pytest.mark.parametrize("head", [b"PK\x03\x04", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"])
def test_a_workbook_is_named(head):
    with pytest.raises(InvalidRequest, match="save the sheet as CSV"):
        read_mapping(head + bytes(range(256)) * 8)


@pytest.mark.parametrize(
    "columns", ["file,respondent,File", "file,respondent,age,respondent", "file,respondent,age,age"]
)
def test_of_two_columns_with_one_name_none_is_taken_silently(columns):
    values = [f"v{number}" for number in range(columns.count(",") + 1)]
    with pytest.raises(InvalidRequest, match="Two columns are called"):
        read_mapping(f"{columns}\n{','.join(values)}\n".encode())
    unnamed = b"file;respondent;;;\na.jpg;Ann;;;\n"  # what spreadsheets leave behind a table
    assert set(read_mapping(unnamed)) == {"a.jpg"}


def test_names_in_both_unicode_forms_and_with_backslashes_are_the_same():
    decomposed = unicodedata.normalize("NFD", "file,respondent\nA\\Müller.jpg,x\n")
    assert read_mapping(decomposed.encode()) == {"A/Müller.jpg": Respondent("x")}


def test_quoted_fields_and_empty_lines():
    data = b'"File" , "Respondent"\n\n"a, b.jpg","Ann ""A"" B"\nc.jpg\n'
    assert read_mapping(data.replace(b'" , "', b'","')) == {"a, b.jpg": Respondent('Ann "A" B')}


def test_a_mapping_that_contradicts_itself_is_refused():
    with pytest.raises(InvalidRequest, match="Line 3"):
        read_mapping(b"file,respondent\na.jpg,anna\na.jpg,bo\n")
    for data in (b"name,who\n", b"", bytes(range(256)), b"\xff\xfe"):
        with pytest.raises(InvalidRequest, match="columns"):
            read_mapping(data)


def test_other_columns_become_attributes():
    table = b"file,respondent,Age band,market\na.jpg,anna,18-29,\n"
    assert read_mapping(table) == {"a.jpg": Respondent("anna", (("age band", "18-29"),))}
    with pytest.raises(InvalidRequest, match="at most 10 columns"):
        read_mapping(("file,respondent," + ",".join(f"c{n}" for n in range(11))).encode())


@pytest.mark.parametrize(
    ("paths", "words", "rule"),
    [
        (
            [f"A/person{p}/{n}.jpg" for p in range(30) for n in range(6)],
            "30 people, 6 pictures each",
            "folder",
        ),
        (
            [f"A/{p:03}/{n}.jpg" for p in range(9) for n in range(2)],
            "9 people, 2 pictures",
            "folder",
        ),
        (
            [f"{g}/{g}{p:02}/{n}.jpg" for g in "AB" for p in range(4) for n in range(3)],
            "8 people, 3 pictures each",
            "folder",
        ),
        ([f"{p}_{n}.jpg" for p in ("anna", "bo", "cy") for n in "ab"], "3 people, 2", "pattern"),
        ([f"B/{n}-{k}.png" for n in range(5) for k in range(n + 2)], "5 people, 2 to 6", "pattern"),
        ([f"A/smile_{n}.jpg" for n in range(3) for _ in range(1)], None, None),
        ([f"A/IMG_{n:04}.jpg" for n in range(20)], None, None),
        ([f"A/{e}/{n}.jpg" for e in ("happy", "sad") for n in range(9)], None, None),
        (["a.jpg", "b.jpg"], None, None),
        ([], None, None),
    ],
)
def test_people_are_guessed_from_folders_and_names(paths, words, rule):
    guess = guess_respondents(paths, ("A", "B"))
    if words is None:
        assert guess is None
    else:
        assert guess.words.startswith(words)
        assert guess.rule == rule


def test_groups_and_single_files_name_nobody():
    assert guess_respondents([f"{g}/{n}.jpg" for g in "AB" for n in range(9)], ("A", "B")) is None
    assert respondent_of("x/1.jpg", "single") == "x/1.jpg"


@pytest.mark.parametrize(
    "pattern", ["*a*a*a{respondent}ab", "{respondent}a*a*a*b", "*{respondent}*x*"]
)
def test_no_pattern_makes_matching_slow(pattern):
    class Counted(str):
        looks = 0

        def find(self, *args):
            Counted.looks += 1
            return super().find(*args)

    text = Counted("a" * 255)
    assert compile_pattern(pattern).respondent(text) is None
    assert Counted.looks <= 3  # once for each piece: nothing is tried again


@settings(deadline=None, max_examples=300)
@given(st.text("ab*_", max_size=4), st.text("ab*_", max_size=4), st.text("abAB_", max_size=7))
def test_patterns_mean_what_a_regular_expression_would(before, after, name):
    assume((before + after).count("*") <= 3)
    lazy = [re.escape(part).replace(r"\*", ".*?") for part in (before, after)]
    expected = re.fullmatch(f"{lazy[0]}(.+?){lazy[1]}", name, re.IGNORECASE)
    found = respondent_of(name, "pattern", f"{before}{{respondent}}{after}")
    assert found == (expected[1] if expected and name else None)


def test_letters_whose_small_form_is_longer_keep_their_place():
    assert respondent_of("\u0130\u0130_1.JPG", "pattern", "{respondent}_*.jpg") == "\u0130\u0130"
