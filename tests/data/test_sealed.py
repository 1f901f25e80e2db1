"""Sealed data writes down each access before anything is seen."""

import re

import pytest

from groundup.data import Sealed


def test_each_access_is_a_line_that_stays(tmp_path):
    log = tmp_path / "log"
    for purpose in ("first", "second"):
        assert Sealed(lambda: 7, log).open(purpose) == 7
    lines = log.read_text().splitlines()
    assert [line.split(" ", 1)[1] for line in lines] == ["first", "second"]
    assert all(
        re.match(r"\d{4}-\d\d-\d\dT[\d:]{8}\+00:00 ", it) for it in lines
    )


def test_a_purpose_opens_it_once(tmp_path):
    sealed = Sealed(lambda: 7, tmp_path / "log")
    sealed.open("seed 0")
    with pytest.raises(RuntimeError, match="'seed 0'"):
        sealed.open("seed 0")
    sealed.open("seed 1")
    assert len((tmp_path / "log").read_text().splitlines()) == 2


@pytest.mark.parametrize("purpose", ["", " ", "a\nb"])
def test_a_purpose_is_a_line(tmp_path, purpose):
    with pytest.raises(ValueError, match="line of text"):
        Sealed(lambda: 7, tmp_path / "log").open(purpose)


def test_the_line_is_written_though_loading_fails(tmp_path):
    def load():
        raise OSError("no such file")

    with pytest.raises(OSError, match="no such"):
        Sealed(load, tmp_path / "log").open("a look")
    assert "a look" in (tmp_path / "log").read_text()


def test_nothing_is_seen_that_cannot_be_written_down(tmp_path):
    seen = []
    with pytest.raises(OSError):
        Sealed(lambda: seen.append(1), tmp_path / "no" / "log").open("a look")
    assert not seen
