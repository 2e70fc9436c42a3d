"""The geometry of the pages' line charts."""

import pytest

from imagenet_tasks.pages.lines import Line, draw_lines


def line(shares, **others):
    return Line(name="n", style="s", places=list(range(1, len(shares) + 1)), values=shares, **others)


def test_a_line_goes_from_the_left_edge_to_the_right_and_up_with_its_shares():
    chart = draw_lines([line([0.0, 0.5, 1.0])], width=150, height=130)
    points = [tuple(map(float, p.split(","))) for p in chart.lines[0].points.split()]
    left, right, top, bottom = chart.edges
    assert points == [(left, 130 - bottom), ((left + 150 - right) / 2, (top + 130 - bottom) / 2), (150 - right, top)]


@pytest.mark.parametrize("highest", [0.04, 0.11, 0.38, 0.62, 1.0])
def test_the_axis_ends_at_a_round_share_above_all_values(highest):
    chart = draw_lines([line([0.0, highest])])
    assert 3 <= len(chart.y_ticks) <= 5
    assert min(y for y, _ in chart.y_ticks) <= min(float(p.split(",")[1]) for p in chart.lines[0].points.split())


def test_a_single_value_is_a_dot_and_no_line():
    chart = draw_lines([line([0.3])])
    assert chart.lines[0].points == "" and len(chart.lines[0].dots) == 1


def test_intervals_lie_around_their_values_and_within_the_chart():
    chart = draw_lines([line([0.5, 0.6], dots=True, bounds=[(0.4, 0.95), None])], height=130)
    first, second = chart.lines[0].dots
    assert first.high < first.y < first.low and first.high >= chart.edges[2]
    assert second.low is None


def test_the_horizontal_axis_reaches_to_where_the_training_will_end():
    chart = draw_lines([line([0.1, 0.2])], last=24)
    assert chart.x_ticks[-1][1] in ("20", "24")
    assert float(chart.lines[0].points.split()[-1].split(",")[0]) < chart.width / 4


def test_nothing_to_draw_is_an_empty_chart():
    assert draw_lines([]).lines == ()
