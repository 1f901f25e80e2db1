"""Windows over images: a view, counted and refused."""

import pytest
import torch

from groundup.nn.functional.windows import frame, pair, windows


def test_windows_copy_nothing_and_share_the_memory():
    x = torch.arange(20.0).view(1, 1, 4, 5)
    view = windows(x, (2, 3))
    assert view.shape == (1, 1, 2, 3, 3, 3)
    assert view.data_ptr() == x.data_ptr()
    x[0, 0, 1, 1] = -1.0
    assert view[0, 0, 1, 1, 0, 0] == -1.0
    assert torch.equal(view[0, 0, :, :, 2, 1], x[0, 0, 2:4, 1:4])


def test_gaps_and_steps_are_strides():
    x = torch.arange(49.0).view(1, 1, 7, 7)
    view = windows(x, (2, 3), (2, 1), (3, 2))
    assert view.shape == (1, 1, 2, 3, 2, 3)
    assert torch.equal(view[0, 0, :, :, 1, 2], x[0, 0, 2::3, 2::2][:2, :3])


@pytest.mark.parametrize(
    "size, options", [((8, 2), {}), ((2, 2), {"dilation": (1, 7)})]
)
def test_a_window_that_does_not_fit_is_shown_with_the_picture(size, options):
    with pytest.raises(RuntimeError, match="8.*7 x 7"):
        windows(torch.zeros(1, 1, 7, 7), size, **options)


def test_one_number_stands_for_two():
    assert pair(3) == pair((3,)) == pair([3, 3]) == (3, 3)
    with pytest.raises(RuntimeError, match="1, 2, 3"):
        pair((1, 2, 3))


def test_the_frame_of_same_puts_what_is_odd_behind():
    assert frame("same", (4, 3), (1, 1), (1, 1)) == [1, 1, 1, 2]
    assert frame("valid", (4, 3), (2, 2), (1, 1)) == [0, 0, 0, 0]
    assert frame((1, 2), (4, 3), (2, 2), (1, 1)) == [2, 2, 1, 1]
