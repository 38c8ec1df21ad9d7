"""The decision boundary: regions where the function says them, samples where they lie."""

import array_api_strict
import numpy as np
import pytest
from matplotlib.colors import to_rgb

from chainrule import NeuralNetwork
from chainrule.plots import plot_decision_boundary
from chainrule.plots.canvas import class_colours
from support.data import XOR_X, XOR_Y, blobs

SIDES = [0, 0, 1, 1]  # targets by the first feature of XOR_X


def halves(X):
    """One class to the left of 0.5, another to the right."""
    right = (X[:, :1] > 0.5).astype(float)
    return np.concatenate([1 - right, right], axis=1)


class Estimator:
    """Its probabilities are taken, not its classes."""

    def predict(self, _):
        raise AssertionError

    def predict_proba(self, X):
        return halves(X)


def drawn(predict, X, y, **options):
    return plot_decision_boundary(predict, X, y, **options).axes[0]


def points(axes):
    """The samples of each class, by the class's name."""
    return {
        c.get_label(): c.get_offsets().tolist()
        for c in axes.collections
        if len(c.get_offsets()) > 0 and c.get_label()[0] != "_"
    }


def tint(axes, x):
    """How far the plane is from white at x, halfway up."""
    image, (left, right, *_) = axes.images[0].get_array(), axes.images[0].get_extent()
    rows, columns = image.shape[:2]
    return 1 - image[rows // 2, round((x - left) / (right - left) * (columns - 1))]


def class_at(axes, x):
    """Which of two classes the plane has the colour of."""
    colours = 1 - np.array([to_rgb(colour) for colour in class_colours(2)])
    return int(np.argmax(colours @ tint(axes, x) / np.linalg.norm(colours, axis=1)))


@pytest.mark.parametrize(
    ("predict", "y"),
    [
        (halves, SIDES),
        (lambda X: X[:, :1], SIDES),  # one output is the probability of the second class
        (lambda X: np.where(X[:, 0] > 0.5, "right", "left"), ["left", "left", "right", "right"]),
        (Estimator(), SIDES),
    ],
    ids=["probabilities", "one output", "labels", "estimator"],
)
def test_each_side_has_the_colour_of_its_class_and_the_line_is_between(predict, y):
    axes = drawn(predict, XOR_X, y)
    assert [class_at(axes, x) for x in (0.1, 0.9)] == [0, 1]
    line = next(c for c in axes.collections if type(c).__name__ == "QuadContourSet")
    places = np.concatenate([path.vertices[:, 0] for path in line.get_paths()])
    assert places == pytest.approx(0.5, abs=0.01)


def test_the_surer_the_stronger_and_the_samples_are_named_where_they_lie():
    axes = drawn(lambda X: X[:, :1], XOR_X, SIDES)
    strengths = [tint(axes, x).max() for x in (0.55, 0.75, 0.95)]
    assert strengths == sorted(strengths)
    axes = drawn(halves, XOR_X, ["no", "no", "yes", "yes"])
    assert points(axes) == {"no": [[0, 0], [0, 1]], "yes": [[1, 0], [1, 1]]}
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["no", "yes"]
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("x1", "x2")


@pytest.mark.parametrize("y", [XOR_Y, XOR_Y[:, 0], np.eye(2)[XOR_Y[:, 0]], XOR_Y[:, 0] > 0])
def test_targets_may_be_labels_a_column_one_hot_or_booleans(y):
    axes = drawn(NeuralNetwork(2, 4, 1, seed=0), XOR_X, y)
    assert sorted(points(axes).values()) == [[[0, 0], [1, 1]], [[0, 1], [1, 0]]]


def test_many_classes_have_a_name_and_a_marker_each(rng):
    X, y = blobs(rng, 400, 2, 12)
    axes = drawn(NeuralNetwork(2, 8, 12, loss="cross_entropy", seed=0), X, y)
    assert len(axes.get_legend().get_texts()) == 12
    markers = {collection.get_paths()[0].vertices.tobytes() for collection in axes.collections[-12:]}
    assert len(markers) == 12


def test_a_class_without_a_sample_keeps_the_others_their_numbers_and_two_may_have_any():
    net = NeuralNetwork(2, 4, 3, loss="cross_entropy", seed=0)
    assert points(drawn(net, XOR_X, [0, 0, 2, 2])) == {"0": [[0, 0], [0, 1]], "2": [[1, 0], [1, 1]]}
    assert set(points(drawn(halves, XOR_X, [0, 0, 0, 7]))) == {"0", "7"}
    assert set(points(drawn(lambda X: np.full(len(X), "only"), XOR_X, ["only"] * 4))) == {"only"}


def test_the_plane_lies_at_the_median_of_all_other_features(rng):
    X, y = blobs(rng, 51, 4, 2)
    seen = []

    def watching(X):
        seen.append(X)
        return halves(X)

    axes = drawn(watching, X, y, features=(3, 1), names=["a", "b", "c", "d"])
    asked = np.concatenate(seen)
    assert (asked[:, [0, 2]] == np.median(X, axis=0)[[0, 2]]).all()
    assert (asked.min(axis=0) < X.min(axis=0))[[1, 3]].all()
    assert (asked.max(axis=0) > X.max(axis=0))[[1, 3]].all()
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("d", "b")
    assert axes.get_title(loc="left") == "plane at the median of the other 2 features"
    places = sorted(place for places in points(axes).values() for place in places)
    assert places == sorted(X[:, [3, 1]].tolist())


def test_a_quantity_is_a_surface_with_a_scale():
    picture = plot_decision_boundary(lambda X: X[:, :1] + X[:, 1:], XOR_X, [0.0, 1.0, 1.0, 2.5])
    plane, scale = picture.axes
    assert "predicted" in scale.get_ylabel()
    (samples,) = [c for c in plane.collections if type(c).__name__ == "PathCollection"]
    assert samples.get_array().tolist() == [0.0, 1.0, 1.0, 2.5]
    assert samples.norm.vmin <= -0.3 < 2.5 <= samples.norm.vmax


def test_a_network_on_another_library_is_drawn_and_thousands_of_samples_are_one_image(rng):
    net = NeuralNetwork(2, 4, 1, backend=array_api_strict, seed=0)
    X = array_api_strict.asarray(XOR_X.astype(float))
    assert len(points(drawn(net.predict, X, XOR_Y))) == 2
    axes = drawn(halves, *blobs(rng, 3000, 2, 2))
    assert [c.get_rasterized() for c in axes.collections if c.get_label()[0] != "_"] == [True, True]


@pytest.mark.parametrize(
    ("X", "y", "options", "message"),
    [
        ([[0.0], [1.0]], [0, 1], {}, r"X has shape \(2, 1\), wanted \(n, d\) with d of 2 or more"),
        (np.zeros((0, 2)), [], {}, r"X has shape \(0, 2\)"),
        ([[0.0, 1.0], [1.0, np.nan]], [0, 1], {}, "X holds NaN or infinity in row 1"),
        (XOR_X, [0, 1], {}, "y has 2 rows but X has 4"),
        (XOR_X, 1, {}, "y has no rows"),
        (XOR_X, SIDES, {"features": (0, 2)}, r"features is \(0, 2\); give two different columns"),
        (XOR_X, SIDES, {"features": (1, 1)}, r"features is \(1, 1\)"),
        (XOR_X, [0, 1, 2, 3], {}, "y has 4 classes but predict gives 2"),
    ],
)
def test_data_that_give_no_plane_are_refused(X, y, options, message):
    with pytest.raises(ValueError, match=message):
        plot_decision_boundary(halves, X, y, **options)


def test_an_object_that_cannot_predict_is_refused():
    with pytest.raises(TypeError, match="predict is 'int'; give a network, an estimator"):
        plot_decision_boundary(3, XOR_X, XOR_Y)
