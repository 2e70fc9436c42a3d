"""A table of files and labels: how its rows find their files, and what a wrong one says."""

import json
import os

import pyarrow
import pytest
from fakes.pictures import COBRA, PANDA, fill, picture, quiet
from fakes.web import FaultServer, answers
from pyarrow import parquet

from imagenet_tasks.download.classes import classes_of_run
from imagenet_tasks.download.records import Records
from imagenet_tasks.download.sources import open_source
from imagenet_tasks.download.stage import download_class
from imagenet_tasks.errors import ConfigError
from imagenet_tasks.settings.classes import folder_class
from imagenet_tasks.settings.config import DownloadConfig
from imagenet_tasks.settings.profiles import make_config
from imagenet_tasks.store.storage import Store


@pytest.fixture
def data(tmp_path):
    """Six pictures, called images/0000.png to images/0005.png."""
    fill(tmp_path / "in" / "images", range(6))
    return tmp_path / "in"


def found(location) -> dict[str, list[str]]:
    """Each class's name with the names of its candidates."""
    settings = DownloadConfig(source="folder", location=str(location))
    with open_source(settings, Store(location.parent / "home")) as source:
        return {
            c.name: [os.path.basename(name) for name in source.candidates(c.class_id)]  # noqa: PTH119
            for c in source.classes()
        }


WANTED = {"cat": ["0000.png", "0002.png"], "dog, big": ["0001.png"]}
ROWS = [("images/0000.png", "cat"), ("0001.png", "dog, big"), ("0002", "cat")]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("labels.csv", "file,label\n" + "".join(f'{file},"{label}"\n' for file, label in ROWS)),
        ("labels.csv", "\ufeffID;Breed\r\n" + "".join(f"{file};{label}\r\n" for file, label in ROWS)),
        ("labels.tsv", "label\tpath\n" + "".join(f"{label}\t./{file}\n" for file, label in ROWS)),
        ("labels.jsonl", "\n\n".join(json.dumps({"image": file, "class": label}) for file, label in ROWS)),
    ],
    ids=["csv", "csv of a spreadsheet", "tsv", "jsonl"],
)
def test_a_row_names_its_file_by_its_path_or_its_name_or_that_without_its_ending(data, name, text):
    (data / name).write_text(text, newline="")
    assert found(data) == WANTED
    assert found(data / name) == WANTED


def test_a_location_that_is_a_table_may_be_called_anything(data):
    (data / "train set.CSV").write_text("filename,category\nimages/0003.png,7\n0004.png,8\n")
    assert found(data / "train set.CSV") == {"7": ["0003.png"], "8": ["0004.png"]}


def test_labels_are_classes_by_wnid_or_by_any_text(data):
    (data / "labels.csv").write_text(f"file,label\n0000,{PANDA}\n0001,cobra\n0002,n/a\n0003,.x\n0004,N/A\n")
    settings = DownloadConfig(source="folder", location=str(data))
    with open_source(settings, Store(data.parent / "home")) as source:
        classes = source.classes()
    assert [c.name for c in classes] == ["giant panda", "cobra", "n/a", ".x", "N/A"]
    assert [c.class_id for c in classes[:2]] == [PANDA, COBRA]
    assert len({c.class_id.casefold() for c in classes}) == 5


def test_a_row_whose_file_is_not_there_is_a_candidate_with_its_reason(data):
    (data / "labels.csv").write_text("file,label\n0000,cat\nimages/9.png,cat\n../../etc/passwd,cat\n/etc/passwd,cat\n")
    store, settings = Store(data.parent / "home"), DownloadConfig(source="folder", location=str(data))
    with open_source(settings, store) as source:
        (cat,) = source.classes()
    ref, _ = download_class(store, settings, cat, progress=quiet())
    assert (ref.accepted, ref.rejected) == (1, {"unreadable": 3})
    assert ref.example == f"{data}/images/9.png: no file of that name lies below {data}"
    assert {r["detail"] for r in Records(store, "cat")._records.values() if r["reason"]} == {
        f"no file of that name lies below {data}"
    }


def test_a_name_that_two_files_have_is_no_ones(data):
    fill(data / "more", [1])
    (data / "labels.csv").write_text("file,label\n0000.png,cat\nmore/0000.png,dog\n")
    (missing,), (there,) = found(data).values()
    assert (missing, there) == ("0000.png", "0000.png")
    settings = DownloadConfig(source="folder", location=str(data))
    with open_source(settings, Store(data.parent / "home")) as source:
        assert source.candidates("cat") == {f"{data}/0000.png": f"several files have that name below {data}"}
        assert list(source.candidates("dog")) == [f"{data}/more/0000.png"]


def test_what_no_row_names_and_a_split_that_is_not_heeded_are_told(data):
    (data / "labels.csv").write_text("file,label,fold\n0000,cat,1\n0001,dog,train\n")
    config = make_config("best", {"source": "folder", "location": str(data)})
    found = classes_of_run(Store(data.parent / "home"), config.download, config.classes, named=False)
    assert [c.name for c in found.classes] == ["cat", "dog"]
    assert found.passed_over == (
        "not named by the table: 4 (images/0002.png, images/0003.png, images/0004.png, ...)",
        "a split column that is ignored, since it holds more than train, val and test: 1 (it holds '1')",
    )


SPLIT = "file,label,Split\n0000,cat,train\n0001,dog,TRAIN\n0002,cat,val\n0003,dog,val\n0004,cat,train\n"


def test_the_parts_that_the_rows_name_are_the_sides_of_the_split(data):
    (data / "labels.csv").write_text(SPLIT)
    settings = DownloadConfig(source="folder", location=str(data))
    with open_source(settings, Store(data.parent / "home")) as source:
        assert source.layout == ["train is split between training and validation", "val is the test side"]
        sides = {os.path.basename(name): source.given_side(name) for name in source.candidates("cat")}  # noqa: PTH119
    assert sides == {"0000.png": "not test", "0002.png": "test", "0004.png": "not test"}


def test_the_parts_that_the_rows_name_are_one_set_where_the_settings_say_so(data):
    (data / "labels.csv").write_text(SPLIT)
    settings = DownloadConfig(source="folder", location=str(data), given_split=False)
    with open_source(settings, Store(data.parent / "home")) as source:
        assert {source.given_side(name) for name in source.candidates("cat")} == {None}


def test_the_settings_may_name_the_columns(data):
    (data / "labels.csv").write_text("label,Photo,kind,part\n1,0000,cat,train\n1,0001,dog,train\n1,0002,dog,test\n")
    settings = DownloadConfig(
        source="folder", location=str(data), table_columns=("file=photo", "label=kind", "split=part")
    )
    with open_source(settings, Store(data.parent / "home")) as source:
        assert [c.name for c in source.classes()] == ["cat", "dog"]
        assert {source.given_side(name) for name in source.candidates("dog")} == {"not test", "test"}


@pytest.mark.parametrize("wrong", ["photo", "file=", "kind=label"])
def test_a_column_that_is_none_is_refused_by_name(wrong):
    with pytest.raises(ConfigError, match=rf"table_columns: expected such as file=photo.* received {wrong}"):
        make_config("best", {"table_columns": [wrong]})


def test_a_table_may_be_in_parquet(data):
    columns = {"image": [file for file, _ in ROWS], "label": [label for _, label in ROWS], "bytes": [b"x"] * len(ROWS)}
    parquet.write_table(pyarrow.table(columns), data / "labels.parquet")
    assert found(data) == WANTED
    assert found(data / "labels.parquet") == WANTED


def test_pictures_within_a_parquet_table_are_refused_with_its_columns(data):
    table = pyarrow.table({"image": [{"bytes": b"x", "path": "a.png"}], "label": [1]})
    parquet.write_table(table, data / "labels.parquet")
    with pytest.raises(ConfigError, match=r"column image holds more .* write them to files first"):
        found(data / "labels.parquet")


def test_a_parquet_table_is_read_by_the_columns_that_are_used(data):
    columns = {"file_name": ["0000"], "image": [{"bytes": b"x"}], "label": ["cat"], "category": [[1]]}
    parquet.write_table(pyarrow.table(columns), data / "labels.parquet")
    assert found(data / "labels.parquet") == {"cat": ["0000.png"]}


def test_a_small_parquet_table_of_large_texts_is_refused(data):
    """A dictionary holds a text once, and each row as a whole."""
    texts = pyarrow.array(["x" * 2**20] * 1000).dictionary_encode().cast(pyarrow.string())
    parquet.write_table(pyarrow.table({"file": texts, "label": texts}), data / "labels.parquet")
    assert (data / "labels.parquet").stat().st_size < 10**6
    with pytest.raises(ConfigError, match=r"labels\.parquet: expected a table of at most 500,000,000 bytes"):
        found(data / "labels.parquet")


@pytest.mark.parametrize("content", [b"", b"PAR1", b"PAR1" + bytes(100) + b"PAR1"])
def test_a_damaged_parquet_table_is_refused_by_name(data, content):
    (data / "labels.parquet").write_bytes(content)
    with pytest.raises(ConfigError, match=r"labels\.parquet: expected a table in Parquet"):
        found(data / "labels.parquet")


def test_rows_may_name_urls_beside_files(data):
    """Their pictures are asked for within the bounds of all downloads, and their hosts are counted as such."""
    with FaultServer() as web:
        web.routes = {"/a.png": answers(picture(100, kind="PNG"))}
        rows = f"0000,cat\n{web.url}/a.png,cat\n{web.url}/gone.png,cat\n0001,dog\n"
        (data / "labels.csv").write_text(f"image_url,label\n{rows}")
        store = Store(data.parent / "home")
        settings = DownloadConfig(source="folder", location=str(data), allowed_private_hosts=("127.0.0.1",))
        ref, _ = download_class(store, settings, folder_class("cat"), progress=quiet())
        blocked, _ = download_class(
            Store(data.parent / "other"), DownloadConfig(source="folder", location=str(data)), folder_class("cat"),
            progress=quiet(),
        )  # fmt: skip
    assert (ref.accepted, ref.rejected, ref.hosts) == (2, {"gone": 1}, {"other": (1, 2)})
    assert (blocked.accepted, blocked.rejected) == (1, {"blocked_address": 2})


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("labels.csv", b"", r"labels\.csv: expected a row for each picture, found none"),
        ("labels.csv", b"file,label\n", r"labels\.csv: expected a row for each picture, found none"),
        (
            "labels.csv",
            b'file,label\n1,cat\n2,"dog\n3,cat\n',
            r"line 3: not a valid row: .* quotation mark is not closed",
        ),
        (
            "labels.csv",
            b'file,label\n1,cat\n2,"dog\n3,"\n',
            r"line 4: expected .* in one line, found 'dog\\n3,'\. A quot",
        ),
        ("labels.csv", b"a,b\n1,2\n", r"line 2: expected a column for the file, called one of file, .* found a, b"),
        ("labels.csv", b"file,b\n1,2\n", r"line 2: expected a column for the label, called one of label, .* found"),
        ("labels.csv", b"file,label\n1,\n", r"line 2: expected a file and its label, found '1' and ''"),
        ("labels.csv", b"file,label\n\n1\n", r"line 3: expected a file and its label, found '1' and ''"),
        ("labels.csv", b"file,label\n" + b"x" * 200_000 + b",1", r"line 2: not a valid row: field larger"),
        ("labels.csv", b"file,label\n\xe9,1\n", "expected a table in UTF-8"),
        ("labels.jsonl", b'{"file": 1}\n', "line 1: expected a column for the label"),
        ("labels.jsonl", b"[" * 100_000, "line 1: expected a JSON object"),
        ("labels.jsonl", b'{"file": "1", "label": ["a"]}', "line 1: expected a file and its label, found '1' and ''"),
        ("labels.jsonl", b'{"file": "1", "label": NaN}', "line 1: expected a file and its label, found '1' and ''"),
        ("labels.jsonl", b"\n7\n", "line 2: expected a JSON object, found 7"),
    ],
)
def test_what_is_no_table_of_files_and_labels_is_refused_with_its_line(data, name, content, said):
    (data / name).write_bytes(content)
    config = make_config("best", {"source": "folder", "location": str(data / name)})
    with pytest.raises(ConfigError, match=rf"location.*{said}"):
        classes_of_run(Store(data.parent / "home"), config.download, config.classes, named=False)


@pytest.mark.parametrize(
    "row", ['1.png,cat,"Rex" runs', '"1.png" ,cat,', '1.png,cat,"says \\"hi\\""', '1.png,cat,5" long']
)
def test_quotation_marks_out_of_place_in_a_row_are_no_trouble(data, row):
    (data / "labels.csv").write_text(f"file,label,note\n{row}\n2.png,dog,\n")
    assert list(found(data / "labels.csv")) == ["cat", "dog"]


def test_whole_numbers_that_a_missing_one_made_fractions_are_read_as_they_were_meant(data):
    (data / "labels.jsonl").write_text('{"file": "1.png", "label": 1.0}\n{"file": "2.png", "label": 2}\n')
    assert list(found(data / "labels.jsonl")) == ["1", "2"]


@pytest.mark.parametrize(
    ("rows", "why"),
    [
        ("image,diagnosis\n1,mel\n", "line 2: expected a column for the label, called one of label, "),
        ("image,label\nhttps-less,mel\n", "none of its rows names a file that is there"),
    ],
)
def test_a_table_beside_classes_that_is_not_used_is_reported_with_its_reason(data, rows, why):
    for name in ("cat", "dog"):
        (data / name).mkdir(exist_ok=True)
        (data / name / "own.png").write_bytes(picture(1, kind="PNG"))
    (data / "metadata.csv").write_text(rows)
    settings = DownloadConfig(source="folder", location=str(data))
    passed_over = classes_of_run(Store(data.parent / "home"), settings, (), named=False).passed_over
    (said,) = [text for text in passed_over if "metadata.csv" in text]
    assert said.startswith("a table that is not used (") and why in said


def test_hidden_files_of_a_class_are_told_when_it_is_listed(data, caplog):
    caplog.set_level("INFO")
    (data / "cat" / ".trash").mkdir(parents=True)
    for name in (".a.png", "b.png"):
        (data / "cat" / name).write_bytes(picture(1, kind="PNG"))
    with open_source(DownloadConfig(source="folder", location=str(data)), Store(data.parent / "home")) as source:
        assert len(source.candidates("cat")) == 1
    assert f"cat: passed over, hidden: 2 (such as {data}/cat/.a.png)" in caplog.text


def test_a_table_that_is_not_there_is_refused(data):
    with pytest.raises(ConfigError, match=r"none\.csv: the table cannot be read: FileNotFoundError"):
        found(data / "none.csv")


def test_a_table_may_lie_behind_any_fsspec_url():
    store = Store("memory://table-test")
    store.write_bytes("images/a.png", picture(1, kind="PNG"))
    store.write_bytes("labels.csv", b"file,label\na.png,cat\n")
    with open_source(DownloadConfig(source="folder", location="memory://table-test"), store) as source:
        assert source.candidates("cat").keys() == {"memory://table-test/images/a.png"}
        assert source.fetch("memory://table-test/images/a.png") == picture(1, kind="PNG")


@pytest.mark.parametrize("row", [r"images\0001.png", "{data}/images/0001.png", "./images/0001.png"])
def test_a_row_may_name_its_file_as_another_system_does_or_from_the_root(data, row):
    (data / "labels.csv").write_text(f"file,label\n{row.format(data=data)},cat\n")
    assert found(data) == {"cat": ["0001.png"]}


def test_a_name_without_its_ending_is_a_pictures(data):
    (data / "images" / "0001.txt").write_text("what is on it")
    (data / "labels.csv").write_text("file,label\n0001,cat\n")
    assert found(data) == {"cat": ["0001.png"]}


def test_a_row_that_names_a_link_out_of_the_location_has_no_file(data, tmp_path):
    (tmp_path / "secret.png").write_bytes(picture(1, kind="PNG"))
    (data / "images" / "link.png").symlink_to(tmp_path / "secret.png")
    (data / "labels.csv").write_text("file,label\n0000,cat\nimages/link.png,cat\n")
    settings = DownloadConfig(source="folder", location=str(data))
    with open_source(settings, Store(tmp_path / "home")) as source:
        assert list(source.candidates("cat").values())[1] == "a link out of the location"


def test_ends_of_lines_within_a_field_are_part_of_it(data):
    (data / "labels.jsonl").write_text('{"file": "0000", "label": "a\\u2028b\u2028c"}\n')
    assert list(found(data)) == ["a\N{REPLACEMENT CHARACTER}b\N{REPLACEMENT CHARACTER}c"]
    (data / "labels.jsonl").unlink()
    (data / "labels.csv").write_text('file,label\n0000,"a\nb"\n0001,c\x85d\n')
    assert list(found(data)) == ["a\N{REPLACEMENT CHARACTER}b", "c\N{REPLACEMENT CHARACTER}d"]


def test_a_label_that_is_no_text_in_unicode_is_a_class_all_the_same(data):
    (data / "labels.jsonl").write_text('{"file": "0000", "label": "\\ud800"}\n{"file": "0001", "label": "b"}\n')
    assert list(found(data)) == ["\N{REPLACEMENT CHARACTER}", "b"]


@pytest.mark.parametrize("text", ["index,name\n0,cat\n", "id,label\n0,cat\n1,dog\n"])
def test_a_labels_csv_of_another_purpose_beside_classes_is_none_of_their_table(tmp_path, text):
    for name in ("cat", "dog"):
        fill(tmp_path / "in" / name, [1])
    (tmp_path / "in" / "labels.csv").write_text(text)
    assert list(found(tmp_path / "in")) == ["cat", "dog"]


def test_paths_are_found_without_listing_all_that_lies_there(data, monkeypatch):
    (data / "labels.csv").write_text("file,label\nimages/0000.png,cat\nimages/0001.png,dog\n")
    monkeypatch.setattr("imagenet_tasks.download.files.FileSource._below", None)
    assert found(data) == {"cat": ["0000.png"], "dog": ["0001.png"]}
