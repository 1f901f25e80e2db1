"""groundup.plot: what stands on the figures."""

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from matplotlib.colors import to_rgb

from groundup.plot import show_confusion, show_images, show_pixels

matplotlib.use("Agg")


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


def test_every_image_is_shown_under_its_title():
    images = torch.rand(5, 4, 3)
    figure = show_images(images, titles=range(5), columns=3)
    shown = [ax for ax in figure.axes if ax.images]
    assert len(figure.axes) == 6 and not figure.axes[5].axison
    assert [ax.get_title() for ax in shown] == list("01234")
    for ax, image in zip(shown, images, strict=True):
        assert np.array_equal(ax.images[0].get_array(), image)


def test_a_list_of_images_of_different_sizes():
    images = [torch.rand(4, 3), torch.rand(2, 5)]
    figure = show_images(images)
    sizes = [ax.images[0].get_array().shape for ax in figure.axes]
    assert sizes == [(4, 3), (2, 5)]


def test_ink_goes_from_nothing_to_the_styles_colour():
    with plt.rc_context({"axes.prop_cycle": plt.cycler(color=["#2562a9"])}):
        figure = show_images(torch.tensor([[[0.0, 1.0]]]))
        (paper, ink) = figure.axes[0].images[0].to_rgba(np.array([0.0, 1.0]))
    assert paper[3] == 0 and ink[3] == 1
    assert np.allclose(ink[:3], to_rgb("#2562a9"))


def test_each_pixel_with_ink_has_its_number():
    image = torch.tensor([[0, 7], [255, 0]], dtype=torch.uint8)
    figure = show_pixels(image)
    texts = {t.get_position(): t.get_text() for t in figure.axes[0].texts}
    assert texts == {(1, 0): "7", (0, 1): "255"}


def test_a_confusion_matrix_shows_its_counts():
    counts = torch.tensor([[5, 0], [2, 3]])
    ax = show_confusion(counts)
    texts = {t.get_position(): t.get_text() for t in ax.texts}
    assert texts == {(0, 0): "5", (1, 0): "", (0, 1): "2", (1, 1): "3"}
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("answer", "digit")
