"""The decision boundary: regions where the function says them, samples where they lie."""

import array_api_strict
import numpy as np
import pytest

from chainrule import NeuralNetwork
from chainrule.plots import plot_decision_boundary
from chainrule.plots.canvas import class_colours
from support.data import XOR_X, XOR_Y, blobs


def halves(X):
    """One class to the left of 0.5, another to the right."""
    right = (X[:, :1] > 0.5).astype(float)
    return np.concatenate([1 - right, right], axis=1)


def points(axes):
    """The samples of each class, by the class's name."""
    return {
        c.get_label(): c.get_offsets().tolist()
        for c in axes.collections
        if len(c.get_offsets()) > 0 and c.get_label()[0] != "_"
    }


def tint(axes, x, y):
    """The colour of the plane at a point."""
    image = axes.images[0].get_array()
    left, right, bottom, top = axes.images[0].get_extent()
    rows, columns = image.shape[:2]
    return image[
        round((y - bottom) / (top - bottom) * (rows - 1)),
        round((x - left) / (right - left) * (columns - 1)),
    ]


def nearest_class(colour, count):
    strongest = [
        np.dot(1 - colour, 1 - np.array(_rgb(c))) / np.linalg.norm(1 - np.array(_rgb(c)))
        for c in class_colours(count)
    ]
    return int(np.argmax(strongest))


def _rgb(colour):
    from matplotlib.colors import to_rgb

    return to_rgb(colour)


def test_each_side_has_the_colour_of_its_class_and_the_line_is_between():
    axes = plot_decision_boundary(halves, XOR_X, [0, 0, 1, 1]).axes[0]
    assert nearest_class(tint(axes, 0.1, 0.5), 2) == 0
    assert nearest_class(tint(axes, 0.9, 0.5), 2) == 1
    lines = [c for c in axes.collections if type(c).__name__ == "QuadContourSet"]
    places = np.concatenate([path.vertices[:, 0] for path in lines[0].get_paths()])
    assert places == pytest.approx(0.5, abs=0.01)


def test_the_surer_the_stronger():
    def slope(X):
        return np.concatenate([1 - X[:, :1], X[:, :1]], axis=1)

    axes = plot_decision_boundary(slope, XOR_X, [0, 0, 1, 1]).axes[0]
    whiteness = [tint(axes, x, 0.5).min() for x in (0.55, 0.75, 0.95)]
    assert whiteness == sorted(whiteness, reverse=True)


def test_the_samples_are_where_they_lie_and_named():
    axes = plot_decision_boundary(halves, XOR_X, ["no", "no", "yes", "yes"]).axes[0]
    assert points(axes) == {"no": [[0, 0], [0, 1]], "yes": [[1, 0], [1, 1]]}
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["no", "yes"]
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("x1", "x2")


@pytest.mark.parametrize("y", [XOR_Y, XOR_Y[:, 0], np.eye(2)[XOR_Y[:, 0]], XOR_Y[:, 0] > 0])
def test_targets_may_be_labels_a_column_one_hot_or_booleans(y):
    net = NeuralNetwork(2, 4, 1, seed=0)
    axes = plot_decision_boundary(net, XOR_X, y).axes[0]
    assert sorted(points(axes).values()) == [[[0, 0], [1, 1]], [[0, 1], [1, 0]]]


def test_one_output_is_the_probability_of_the_second_class():
    axes = plot_decision_boundary(lambda X: X[:, :1], XOR_X, [0, 0, 1, 1]).axes[0]
    assert nearest_class(tint(axes, 0.9, 0.5), 2) == 1
    assert nearest_class(tint(axes, 0.1, 0.5), 2) == 0


@pytest.mark.parametrize("count", [3, 10, 12])
def test_many_classes_have_a_name_and_a_marker_each(rng, count):
    X, y = blobs(rng, 400, 2, count)
    net = NeuralNetwork(2, 8, count, loss="cross_entropy", seed=0)
    axes = plot_decision_boundary(net, X, y).axes[0]
    assert len(axes.get_legend().get_texts()) == count
    markers = {collection.get_paths()[0].vertices.tobytes() for collection in axes.collections[-count:]}
    assert len(markers) == count


def test_a_class_without_a_sample_keeps_the_others_their_numbers(rng):
    net = NeuralNetwork(2, 4, 3, loss="cross_entropy", seed=0)
    axes = plot_decision_boundary(net, XOR_X, [0, 0, 2, 2]).axes[0]
    assert points(axes) == {"0": [[0, 0], [0, 1]], "2": [[1, 0], [1, 1]]}


def test_labels_are_taken_from_a_function_that_gives_labels():
    def says(X):
        return np.where(X[:, 0] > 0.5, "right", "left")

    axes = plot_decision_boundary(says, XOR_X, ["left", "left", "right", "right"]).axes[0]
    assert nearest_class(tint(axes, 0.9, 0.5), 2) == 1


def test_an_estimators_probabilities_are_asked_for_first():
    class Estimator:
        def predict(self, _rows):
            raise AssertionError

        def predict_proba(self, X):
            return halves(X)

    axes = plot_decision_boundary(Estimator(), XOR_X, [0, 0, 1, 1]).axes[0]
    assert nearest_class(tint(axes, 0.9, 0.5), 2) == 1


def test_the_plane_lies_at_the_median_of_all_other_features(rng):
    X, y = blobs(rng, 51, 4, 2)
    seen = []

    def watching(X):
        seen.append(X)
        return halves(X)

    names = ["a", "b", "c", "d"]
    axes = plot_decision_boundary(watching, X, y, features=(3, 1), names=names).axes[0]
    asked = np.concatenate(seen)
    assert (asked[:, [0, 2]] == np.median(X, axis=0)[[0, 2]]).all()
    assert asked[:, 3].min() < X[:, 3].min()
    assert asked[:, 1].max() > X[:, 1].max()
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("d", "b")
    assert axes.get_title(loc="left") == "plane at the median of the other 2 features"
    drawn = sorted(place for places in points(axes).values() for place in places)
    assert drawn == sorted(X[:, [3, 1]].tolist())


def test_a_quantity_is_a_surface_with_a_scale():
    picture = plot_decision_boundary(lambda X: X[:, :1] + X[:, 1:], XOR_X, [0.0, 1.0, 1.0, 2.5])
    plane, scale = picture.axes
    assert "predicted" in scale.get_ylabel()
    (samples,) = [c for c in plane.collections if type(c).__name__ == "PathCollection"]
    assert samples.get_array().tolist() == [0.0, 1.0, 1.0, 2.5]
    low, high = samples.norm.vmin, samples.norm.vmax
    assert low <= -0.3
    assert high >= 2.5


def test_a_network_on_another_library_is_drawn_as_well():
    net = NeuralNetwork(2, 4, 1, backend=array_api_strict, seed=0)
    X = array_api_strict.asarray(XOR_X.astype(float))
    axes = plot_decision_boundary(net.predict, X, XOR_Y).axes[0]
    assert len(points(axes)) == 2


def test_thousands_of_samples_are_one_image_in_an_svg(rng):
    X, y = blobs(rng, 3000, 2, 2)
    axes = plot_decision_boundary(halves, X, y).axes[0]
    assert all(
        c.get_rasterized() for c in axes.collections if len(points(axes)) and c.get_label()[0] != "_"
    )


@pytest.mark.parametrize(
    ("X", "y", "options", "said"),
    [
        ([[0.0], [1.0]], [0, 1], {}, r"X has shape \(2, 1\), wanted \(n, d\) with d of 2 or more"),
        ([0.0, 1.0], [0, 1], {}, r"X has shape \(2,\)"),
        (np.zeros((0, 2)), [], {}, r"X has shape \(0, 2\)"),
        ([[0.0, 1.0], [1.0, np.nan]], [0, 1], {}, "X holds NaN or infinity in row 1"),
        (XOR_X, [0, 1], {}, "y has 2 rows but X has 4"),
        (XOR_X, 1, {}, "y has no rows"),
        (XOR_X, [0, 0, 1, 1], {"features": (0, 2)}, r"features is \(0, 2\); give two different columns"),
        (XOR_X, [0, 0, 1, 1], {"features": (1, 1)}, r"features is \(1, 1\)"),
        (XOR_X, [0, 1, 2, 3], {}, "y has 4 classes but predict gives 2"),
        (XOR_X, [0, 0, 0, 7], {"features": (0, 1)}, None),
    ],
)
def test_what_cannot_be_drawn_is_refused(X, y, options, said):
    if said is None:  # two classes of any name are two classes
        assert len(points(plot_decision_boundary(halves, X, y, **options).axes[0])) == 2
        return
    with pytest.raises(ValueError, match=said):
        plot_decision_boundary(halves, X, y, **options)


def test_what_cannot_predict_is_refused():
    with pytest.raises(TypeError, match="predict is 'int'; give a network, an estimator"):
        plot_decision_boundary(3, XOR_X, XOR_Y)
