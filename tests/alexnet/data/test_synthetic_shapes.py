"""The built-in image set: the same pixels everywhere, balanced classes, and not solvable without looking at shape."""

import hashlib
from math import acos, pi, sqrt

import numpy as np
import pytest

from alexnet.data import synthetic_shapes
from alexnet.data.synthetic_shapes import CLASS_NAMES, make_shapes


@pytest.fixture(scope="module")
def default():
    return make_shapes()


@pytest.mark.slow
def test_the_default_set_has_the_promised_counts_and_types(default):
    for images, labels, count in (
        (default.train_images, default.train_labels, 8000),
        (default.test_images, default.test_labels, 2000),
    ):
        assert images.shape == (count, 3, 32, 32) and images.dtype == np.uint8
        assert labels.shape == (count,) and labels.dtype == np.int64


def test_there_are_ten_different_class_names():
    assert len(set(CLASS_NAMES)) == len(CLASS_NAMES) == 10


def test_the_first_images_of_seed_0_are_the_same_on_every_machine(default):
    """Legitimate to change only when the set is meant to change, which changes every result measured on it. To regenerate:

    python -c "import hashlib; from alexnet.data.synthetic_shapes import make_shapes as m; \
        print(hashlib.sha256(m(500, 0).train_images.tobytes()).hexdigest())"
    """
    digest = hashlib.sha256(default.train_images[:500].tobytes()).hexdigest()
    assert digest == "388601ec9c67622e9d71fe6064badd2c6b065bed0bb9da947758bbf18d25eed8"


def test_the_first_labels_of_seed_0_are_the_same_on_every_machine(default):
    names = [CLASS_NAMES[label] for label in default.train_labels[:8]]
    assert names == ["arrow", "arrow", "crescent", "frame", "crescent", "arrow", "star", "triangle"]


def test_another_seed_gives_other_images(default):
    other = make_shapes(200, 0, seed=1).train_images
    assert not {image.tobytes() for image in other} & {image.tobytes() for image in default.train_images}


@pytest.mark.parametrize("count", [0, 1, 99, 100, 101, 250])
def test_an_image_does_not_depend_on_how_many_are_asked_for(default, count):
    fewer = make_shapes(count, 300 - count)
    assert np.array_equal(fewer.train_images, default.train_images[:count])
    assert np.array_equal(fewer.train_labels, default.train_labels[:count])
    assert np.array_equal(fewer.test_images, default.test_images[: 300 - count])
    assert np.array_equal(fewer.test_labels, default.test_labels[: 300 - count])


def test_every_chunk_has_the_same_number_of_each_class(default):
    for labels in (default.train_labels, default.test_labels):
        for chunk in labels.reshape(-1, synthetic_shapes.CHUNK):
            assert np.bincount(chunk).tolist() == [synthetic_shapes.CHUNK // 10] * 10


def test_the_order_of_classes_is_shuffled_afresh_in_every_chunk(default):
    chunks = default.train_labels.reshape(-1, synthetic_shapes.CHUNK)
    assert len(np.unique(chunks, axis=0)) == len(chunks)
    neighbours_equal = (chunks[:, 1:] == chunks[:, :-1]).mean()
    assert neighbours_equal == pytest.approx(9 / 99, abs=0.015)  # of the 99 others, 9 share an image's class


def test_no_image_occurs_twice_within_or_between_training_and_test_set(default):
    images = np.concatenate([default.train_images, default.test_images])
    assert len({image.tobytes() for image in images}) == len(images)


def test_every_grey_level_is_used_and_few_pixels_are_clipped(default):
    counts = np.bincount(default.train_images[:1000].ravel(), minlength=256)
    assert counts.min() > 0
    assert (counts[0] + counts[255]) / counts.sum() < 0.1


# ----------------------------------------------------------------------------------------------------------------------
# Short cuts that must not work. Chance is 90% error; its standard deviation on 2,000 test images is 0.7 points.


def _least_squares_error(train, train_labels, test, test_labels, ridge):
    """Test error of the linear classifier on features [n, d] that fits one-hot labels best."""
    mean, deviation = train.mean(0), train.std(0)
    train, test = (train - mean) / deviation, (test - mean) / deviation
    gram = train.T @ train + ridge * np.eye(train.shape[1], dtype=train.dtype)
    weights = np.linalg.solve(gram, train.T @ (np.eye(10, dtype=train.dtype)[train_labels] - 0.1))
    return np.mean((test @ weights).argmax(1) != test_labels)


def test_the_mean_colour_of_an_image_does_not_reveal_its_class(default):
    train, test = default.train_images.mean((2, 3)), default.test_images.mean((2, 3))  # [n, 3]
    centres = np.stack([train[default.train_labels == label].mean(0) for label in range(10)])
    nearest = ((test[:, None] - centres) ** 2).sum(-1).argmin(1)
    assert np.mean(nearest != default.test_labels) >= 0.85
    assert _least_squares_error(train, default.train_labels, test, default.test_labels, ridge=0) >= 0.85


def _coarse(images):
    """[n, 3, 32, 32] uint8 to [n, 768] float32: means of 2x2 pixels, which also halves the noise."""
    return images.reshape(-1, 3, 16, 2, 16, 2).mean((3, 5), dtype=np.float32).reshape(len(images), -1)


def test_a_linear_classifier_of_pixels_does_poorly(default):
    train, test = _coarse(default.train_images), _coarse(default.test_images)
    assert _least_squares_error(train, default.train_labels, test, default.test_labels, ridge=1000) >= 0.5


def test_the_nearest_training_image_is_mostly_of_another_class(default):
    train, test = _coarse(default.train_images), _coarse(default.test_images[:500])
    train, test = train - 127.5, test - 127.5
    distance = (train**2).sum(1) - 2 * test @ train.T  # [500, 8000], less a constant of each test image
    assert np.mean(default.train_labels[distance.argmin(1)] != default.test_labels[:500]) >= 0.5


# ----------------------------------------------------------------------------------------------------------------------
# The outlines against areas worked out by hand


def _lens(large, small, apart):
    """Area common to two discs."""
    return (
        small**2 * acos((apart**2 + small**2 - large**2) / (2 * apart * small))
        + large**2 * acos((apart**2 + large**2 - small**2) / (2 * apart * large))
        - sqrt((small + large - apart) * (apart + small - large) * (apart - small + large) * (apart + small + large)) / 2
    )


TRIANGLE = 3 * sqrt(3) * 0.55**2  # equilateral, from the radius of the circle inside it
AREAS = {
    "disc": pi * 0.9**2,
    "ring": pi * (0.96**2 - 0.56**2),
    "square": 1.56**2,
    "frame": 1.72**2 - 1.0**2,
    "triangle": TRIANGLE,
    "cross": 2 * 2.0 * 0.54 - 0.54**2,
    "star": TRIANGLE * 4 / 3,  # a second triangle adds three corners, each a ninth of the first
    "crescent": pi - _lens(1.0, 0.8, 0.5),
    "arrow": 1.0 * (0.62 / 0.78) + 0.48 * 1.1,  # head, and the shaft below it
    "stripes": 3 * 0.4 * 1.7,
}


@pytest.mark.parametrize("name", CLASS_NAMES)
def test_an_outline_encloses_the_area_of_the_figure_it_is_named_for(name):
    along = (np.arange(600) + 0.5) / 200 - 1.5
    u, v = np.meshgrid(along, along)
    area = (synthetic_shapes.OUTLINES[name](u, v) < 0).mean() * 3.0**2
    assert area == pytest.approx(AREAS[name], rel=0.01)


def test_a_shape_is_painted_in_its_own_colour_where_its_outline_says():
    """One disc of radius 0.9 x 10 pixels in the middle of a black image."""
    image = np.zeros((1, 3, 32, 32), np.float32)
    along = (np.arange(32, dtype=np.float32) - 15.5) / 10
    u, v = np.meshgrid(along, along)
    synthetic_shapes._paint(image, synthetic_shapes._disc(u, v)[None], np.float32([10]), np.float32([[10, 20, 30]]))
    assert image[0, :, 16, 16].tolist() == [10, 20, 30]
    assert image[0, :, 0, 0].tolist() == [0, 0, 0]
    assert image[0, 0].sum() / 10 == pytest.approx(pi * 9**2, rel=0.01)  # soft edges keep the area
