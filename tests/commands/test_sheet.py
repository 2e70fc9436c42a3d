"""The contact sheet of `predict --sheet`."""

import io
import re

import pytest
from fakes.pictures import fill
from PIL import Image

from imagenet_tasks.commands import sheet
from imagenet_tasks.commands.sheet import make_sheet


def answer(file, share=0.9, *, unlike=False, name="cobra"):
    found = [{"class_id": "n01747885", "name": name, "probability": share}] if share else []
    return {"file": str(file), "top": found, "unlike": unlike, "reason": None if share else "cannot be read"}


def page(answers) -> str:
    return make_sheet(".html", answers, called="the champion", unlike="unlike the others").decode()


def names(html) -> list[str]:
    return re.findall(r'<figure[^>]* title="([^"]*)"', html)


def test_what_is_unlike_its_classes_comes_first_and_then_the_least_certain():
    html = page([answer("sure", 0.99), answer("unsure", 0.3), answer("strange", 0.5, unlike=True), answer("odd", 0.4)])
    assert names(html) == ["strange", "unsure", "odd", "sure"]
    assert html.count("unlike its classes") == html.count('class="unlike"') == 1


def test_it_is_bounded_and_says_of_how_many_pictures_it_shows_the_first(monkeypatch):
    monkeypatch.setattr(sheet, "MOST_PICTURES", 2)
    monkeypatch.setattr(sheet, "MOST_UNREAD", 1)
    html = page([*(answer(f"{n}", n / 10) for n in range(1, 6)), *(answer(f"bad{n}", 0) for n in range(3))])
    assert names(html) == ["1", "2"] and "first 2 of 5\N{NO-BREAK SPACE}pictures" in html
    assert "bad0: cannot be read" in html and "bad1" not in html and "and 2 more" in html


def test_hostile_names_are_text_on_the_page():
    html = page([answer("<script>x</script>", name="<b>a</b>"), answer("<img src=x>", 0)])
    assert not re.search("<script|<b>a|<img src=x", html) and "&lt;b&gt;a&lt;/b&gt;" in html


@pytest.mark.parametrize("name", ["two\nlines", "\udcff", "long" * 90, "", "\0"])
def test_any_name_can_be_drawn(tmp_path, name):
    drawn = make_sheet(".png", [answer(tmp_path / name, unlike=True, name=name)], called=name, unlike="unlike")
    assert Image.open(io.BytesIO(drawn)).width == 1082


@pytest.mark.parametrize("suffix", [".png", ".html"])
def test_a_picture_that_is_gone_meanwhile_leaves_its_place_empty(tmp_path, suffix):
    fill(tmp_path, [1])
    there = next(tmp_path.iterdir())
    made = make_sheet(suffix, [answer(there), answer(tmp_path / "gone")], called="x", unlike="unlike")
    if suffix == ".html":
        assert made.count(b"<img") == 1 and b"cannot be shown" in made
    else:
        assert len(made) > len(make_sheet(suffix, [answer(tmp_path / "gone")] * 2, called="x", unlike="unlike"))


def test_without_an_answer_there_is_still_a_sheet():
    for suffix in (".png", ".html"):
        assert make_sheet(suffix, [answer("a", 0)], called="x", unlike="unlike")
