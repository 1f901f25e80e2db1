import matplotlib.pyplot as plt
import pytest
import torch

from groundup import nn
from groundup.inside.hooks import watch_outputs
from groundup.inside.statistics import (
    Statistics,
    draw_histograms,
    plot_dead,
    plot_histograms,
    plot_moments,
)
from groundup.testing import assert_close, assert_equal


@pytest.fixture
def stats():
    torch.manual_seed(0)
    stats = Statistics(every=2, reach=1.0, n_bins=8)
    for _ in range(5):
        stats.record("a", torch.randn(50, 6).relu())
        stats.record("b", torch.randn(50, 6))
    return stats


def test_every_kth_tensor_of_each_name_is_kept(stats):
    assert stats.series("a", "step").tolist() == [0, 2, 4]
    assert stats.series("b", "step").tolist() == [0, 2, 4]


def test_a_snapshot_holds_the_tensors_moments_and_counts():
    stats, x = Statistics(reach=2.0, n_bins=4), torch.randn(40, 3)
    stats.record("x", x)
    assert_equal(stats.series("x", "mean"), x.mean()[None])
    assert_close(stats.series("x", "std"), x.std(correction=0)[None])
    counts = stats.series("x", "counts")[0]
    expected = [
        ((x < -1).sum()),
        ((x >= -1) & (x < 0)).sum(),
        ((x >= 0) & (x < 1)).sum(),
        (x >= 1).sum(),
    ]
    assert counts.tolist() == [count.item() for count in expected]


@pytest.mark.parametrize("far", [1e30, torch.inf, torch.nan])
def test_what_lies_beyond_or_is_no_number_falls_into_the_last_bin(far):
    stats = Statistics(reach=2.0, n_bins=4)
    stats.record("x", torch.tensor([[far, 0.5, -far]]))
    counts = stats.series("x", "counts")[0]
    assert counts.sum() == 3 and counts[0] + counts[-1] == 2


@pytest.mark.parametrize("shape", [(8, 4), (8, 4, 5, 5)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_dead_units_are_those_that_are_always_zero(shape, dtype):
    stats = Statistics()
    for step in range(3):
        x = torch.rand(shape).to(dtype) + 0.1
        x[:, 1] = 0
        x[:, 2] = float(step == 0)  # died after the first batch
        x[0, 3] = 0  # zero for one example: alive
        stats.record("x", x)
    assert stats.dead("x", last=3).tolist() == [False, True, False, False]
    assert stats.dead("x", last=2).tolist() == [False, True, True, False]
    share = 1 / 8
    assert_close(stats.series("x", "zeros")[0, 3], torch.tensor(share))


def test_units_may_lie_on_another_axis():
    stats, x = Statistics(unit_axis=-1), torch.ones(2, 5, 3)
    x[..., 0] = 0
    stats.record("x", x)
    assert stats.dead("x").tolist() == [True, False, False]


def test_dead_looks_at_the_last_five_snapshots():
    stats = Statistics()
    for step in range(7):
        alive = [step == 1, step == 2]
        stats.record("x", torch.tensor([alive]).float())
    assert stats.dead("x").tolist() == [True, False]


def test_recording_takes_part_in_no_graph():
    stats, x = Statistics(), torch.ones(2, 3, requires_grad=True)
    stats.record("x", x * 2)
    assert not stats.series("x", "mean").requires_grad


def test_mistakes_name_what_was_given(stats):
    with pytest.raises(KeyError, match=r"'c' is not one of \['a', 'b'\]"):
        stats.series("c", "mean")
    with pytest.raises(ValueError, match="got 0 and"):
        Statistics(every=0)
    with pytest.raises(ValueError, match="and -1"):
        Statistics(reach=-1)
    with pytest.raises(ValueError, match=r"'a' has shape \(5,\): no axis 1"):
        stats.record("a", torch.ones(5))


def test_an_empty_batch_is_passed_over():
    stats, net = Statistics(), nn.Linear(3, 2)
    with watch_outputs({"": net}, stats.record):
        net(torch.ones(0, 3))
        net(torch.ones(4, 3))
    assert stats.series("", "step").tolist() == [1]


def test_pictures_show_each_name(stats):
    moments = plot_moments(stats)
    for ax, field in zip(moments.axes, ("mean", "std"), strict=True):
        lines = {line.get_label(): line for line in ax.lines}
        assert list(lines) == ["a", "b"]
        for name, line in lines.items():
            assert line.get_ydata().tolist() == pytest.approx(
                stats.series(name, field).tolist()
            )
    assert [ax.get_title() for ax in moments.axes] == ["mean", "std"]
    (legend,) = moments.legends
    assert [text.get_text() for text in legend.get_texts()] == ["a", "b"]
    titles = [ax.get_title() for ax in plot_histograms(stats).axes]
    assert titles == ["a", "b"]
    (ax,) = plot_dead(stats, ["a"]).axes
    (line,), legend = ax.lines, ax.get_legend()
    assert line.get_ydata().tolist() == [0, 0, 0]
    assert [text.get_text() for text in legend.get_texts()] == ["a"]


def test_a_histogram_gets_a_new_colour_whenever_the_count_doubles():
    stats, (_, ax) = Statistics(every=3, reach=3.0, n_bins=6), plt.subplots()
    values = [-2.5, *3 * [-1.5], *6 * [-0.5], *7 * [0.5], *100 * [1.5]]
    for _ in range(7):
        stats.record("x", torch.tensor(values)[:, None])
    draw_histograms(ax, stats, "x")
    (image,) = ax.images
    assert image.get_array().T.tolist() == 3 * [[1, 2, 2, 3, 6, 0]]
    assert image.get_extent() == [0, 9, -3, 3] and image.origin == "lower"


def test_no_picture_of_nothing():
    with pytest.raises(ValueError, match="nothing was recorded"):
        plot_histograms(Statistics())
