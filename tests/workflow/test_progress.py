"""Progress is told at a bearable rate, and its end always."""

import logging
import time

from fakes.records import epoch_of

from imagenet_tasks.workflow.progress import Progress, log_line


def progress(heard: list, **others) -> Progress:
    settings = {"task": "t", "item": "i", "label": "cobra", "total": 5, "unit": "pictures", "interval_s": 3600}
    return Progress(**settings | others, listeners=(heard.append,))


def test_between_two_snapshots_nothing_is_told_but_the_end_always_is():
    heard = []
    counting = progress(heard)
    for _ in range(5):
        counting.advance()
    assert [s.done for s in heard] == [5]


def test_without_an_interval_each_step_is_told():
    heard = []
    counting = progress(heard, interval_s=0)
    for _ in range(5):
        counting.advance()
    assert [s.done for s in heard] == [1, 2, 3, 4, 5]


def test_figures_stay_until_they_change():
    heard = []
    counting = progress(heard, interval_s=0)
    counting.advance(rejected=2)
    counting.advance(loss=0.5)
    assert [s.figures for s in heard] == [{"rejected": 2}, {"rejected": 2, "loss": 0.5}]


def test_what_is_left_is_unknown_before_the_first_step_and_nothing_at_the_end():
    heard = []
    counting = progress(heard)
    counting.tell()
    counting.advance(5)
    assert (heard[0].remaining_s, heard[1].remaining_s) == (None, 0)


def test_what_was_done_before_counts_as_done_and_not_into_the_time_that_is_left(monkeypatch):
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    heard = []
    counting = progress(heard, total=100, interval_s=0)
    counting.resume(80, rejected=3)
    assert (heard[-1].done, heard[-1].remaining_s, heard[-1].figures) == (80, None, {"rejected": 3})
    now[0] += 10.0
    counting.advance(5)
    assert (heard[-1].done, heard[-1].elapsed_s, heard[-1].remaining_s) == (85, 10.0, 30.0)
    counting.advance(15)
    assert (heard[-1].done, heard[-1].remaining_s) == (100, 0)


def test_without_anything_done_before_all_of_it_counts_into_the_time_that_is_left(monkeypatch):
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    heard = []
    counting = progress(heard, total=100, interval_s=0)
    counting.resume(0)
    now[0] += 10.0
    counting.advance(20)
    assert heard[-1].remaining_s == 40.0


def test_where_all_was_done_before_the_end_is_told():
    heard = []
    progress(heard).resume(5)
    assert [(s.done, s.remaining_s) for s in heard] == [(5, None)]
    assert str(heard[0]) == "cobra: 5/5 pictures"


def test_a_snapshot_is_plain_json_values():
    heard = []
    progress(heard).advance(5, rejected=1)
    assert heard[0].as_dict() | {"elapsed_s": 0, "updated_s": 0, "rate_per_s": 0} == {
        "task": "t",
        "item": "i",
        "label": "cobra",
        "unit": "pictures",
        "done": 5,
        "total": 5,
        "elapsed_s": 0,
        "rate_per_s": 0,
        "remaining_s": 0,
        "updated_s": 0,
        "figures": {"rejected": 1},
        "history": [],
    }


def test_the_logs_line_says_what_how_far_its_figures_its_rate_and_the_time_left(caplog, monkeypatch):
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    heard = []
    counting = progress(heard, total=100, interval_s=0)
    now[0] += 10.0
    counting.advance(20, rejected=1, loss=0.25)
    with caplog.at_level(logging.INFO):
        log_line(heard[0])
    assert caplog.messages == ["cobra: 20/100 pictures, rejected 1, loss 0.25, 2/s, 40 s left"]


def test_a_tick_tells_where_it_is_time_and_nothing_after_the_end(monkeypatch):
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    heard = []
    counting = progress(heard, interval_s=10.0)
    counting.tick()
    now[0] += 11.0
    counting.tick()
    counting.advance(5)
    now[0] += 11.0
    counting.tick()
    assert [s.done for s in heard] == [0, 5]


def test_a_live_listener_hears_the_first_step_then_every_two_seconds_and_the_end(monkeypatch):
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    heard, live = [], []
    counting = progress(heard, live=live.append)
    for _ in range(4):
        counting.advance()
        now[0] += 1.5
    counting.advance()
    assert [s.done for s in live] == [1, 3, 5]
    assert [s.done for s in heard] == [5]


def test_a_snapshot_keeps_the_epochs_so_far():
    heard = []
    counting = progress(heard)
    counting.history = epochs = [epoch_of(1)]
    counting.tell()
    epochs.append(epoch_of(2))
    assert heard[0].history == (epoch_of(1),)
