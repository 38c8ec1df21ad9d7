"""The confusion matrix, and predicted against true."""

import numpy as np
import pytest

from chainrule.plots import plot_confusion, plot_predictions


def cells(axes):
    return {tuple(int(part) for part in text.get_position()): text.get_text() for text in axes.texts}


def names(axes):
    return [label.get_text() for label in axes.get_xticklabels()]


def test_a_cell_holds_how_often_a_class_was_taken_for_another():
    axes = plot_confusion([0, 0, 0, 1, 2, 2], [0, 0, 2, 1, 0, 2]).axes[0]
    # x is the predicted class, y the true one; what never happened is left empty
    assert cells(axes) == {(0, 0): "2", (2, 0): "1", (1, 1): "1", (0, 2): "1", (2, 2): "1"}
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("predicted class", "true class")
    assert axes.get_title(loc="left") == "4 of 6 right (66.7 %)"


def test_the_colour_of_a_cell_is_its_share_of_the_true_class_which_may_have_a_name():
    image = plot_confusion([0, 0, 0, 0, 1], [0, 0, 0, 1, 1]).axes[0].images[0]
    assert image.get_array().tolist() == [[0.75, 0.25], [0.0, 1.0]]
    axes = plot_confusion([0, 1], [0, 1], labels=["rain", "snow", "sun"]).axes[0]
    assert names(axes) == ["rain", "snow", "sun"]
    assert axes.images[0].get_array().shape == (3, 3)  # one that never occurs keeps its place


def test_long_names_are_turned_and_cut_and_none_overlaps():
    labels = ["Iris setosa", "Iris versicolor", "a name that goes on and on and will not end"]
    picture = plot_confusion([0, 1, 2], [0, 1, 2], labels=labels)
    axes = picture.axes[0]
    assert names(axes)[-1] == "a name that goes on and…"
    assert all(label.get_rotation() == 45 for label in axes.get_xticklabels())
    picture.draw_without_rendering()
    assert picture.get_tightbbox().x0 >= 0


def test_figures_are_left_out_where_they_could_not_be_read():
    classes = np.arange(40)
    axes = plot_confusion(classes, classes).axes[0]
    assert cells(axes) == {}
    assert axes.images[0].get_array().shape == (40, 40)


@pytest.mark.parametrize(
    ("truth", "said", "labels", "message"),
    [
        ([0, 1], [0], None, "got 2 true classes and 1 predicted"),
        ([], [], None, "got 0 true classes"),
        ([0, -1], [0, 1], None, "a true class is -1; give whole numbers from 0 to 1"),
        ([0, 1], [0, 2], ["a", "b"], "a predicted class is 2; give whole numbers from 0 to 1"),
        ([0, 1], [0, 0.5], None, "a predicted class is 0.5"),
    ],
)
def test_what_is_no_class_is_refused(truth, said, labels, message):
    with pytest.raises(ValueError, match=message):
        plot_confusion(truth, said, labels=labels)


def test_predictions_are_drawn_against_the_truth_with_the_line_where_they_are_equal():
    axes = plot_predictions([1.0, 2.0, 3.0], [[1.0], [2.0], [6.0]], name="price in €").axes[0]
    assert axes.collections[0].get_offsets().tolist() == [[1, 1], [2, 2], [3, 6]]
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("true price in €", "predicted price in €")
    assert axes.get_title(loc="left") == "root mean squared error 1.732"
    assert axes.lines[0].get_slope() == 1
    with pytest.raises(ValueError, match="got 2 true values and 1 predictions"):
        plot_predictions([1.0, 2.0], [1.0])
