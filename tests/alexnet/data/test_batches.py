"""Batches of training images and averaged answers: colour noise, crops and views of section 4.1, ensembles."""

import dataclasses
import itertools

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from made_up_images import image_set, random_pixels
from scipy import stats
from torch import nn

from alexnet.data.batches import Feed
from alexnet.data.image_sets import ImageSet
from alexnet.data.pixel_statistics import kept_sums, pixel_sums
from alexnet.data.prefetch import THREADS, Stored, placed
from alexnet.errors import Refused
from alexnet.machine import Machine
from alexnet.recipe import Data, Layer, Model, Optim, Recipe
from alexnet.training.data_parallel import Ranks
from alexnet.training.evaluate import count_wrong, ensemble, probabilities
from alexnet.training.loop import fit

pytestmark = [pytest.mark.filterwarnings("error"), pytest.mark.usefixtures("one_thread")]
few_examples = settings(max_examples=40, deadline=None, derandomize=True, database=None)


def feed(train: np.ndarray, batch_size: int = 8, size: int = 0, seed: int = 0, test: np.ndarray | None = None, **data) -> Feed:
    layers, classes = (Layer(kind="full", outputs=len(train)),), len(train)
    model = Model(layers=layers, image_size=size or train.shape[1], classes=classes)
    return Feed(Recipe(model=model, data=Data(**data), optim=Optim(batch_size=batch_size)), image_set(train, test), seed)


def epoch_of(shown: Feed, epoch: int) -> tuple[np.ndarray, list[int]]:
    """Images [n, height, width, 3] in float64 and labels of one epoch, as they come."""
    batches = [shown.batch(step) for step in range(epoch * shown.steps_per_epoch, (epoch + 1) * shown.steps_per_epoch)]
    pixels = torch.cat([images for images, _ in batches]).permute(0, 2, 3, 1)
    return pixels.double().numpy(), torch.cat([labels for _, labels in batches]).tolist()


# ---- Colour noise ----------------------------------------------------------------------------------------------------

MANY = 4000


def coloured(n: int = MANY, side: int = 2) -> np.ndarray:
    """Images whose colours vary together, as those of photographs do."""
    mixed = np.array([[40, 38, 36], [14, 1, -15], [4, -8, 4]])
    drawn = np.random.default_rng(0).standard_normal((n, side, side, 3)) @ mixed + [127, 119, 104]
    return drawn.clip(0, 255).round().astype(np.uint8)


def covariance_of_colours(images: np.ndarray) -> np.ndarray:
    return np.cov(images.reshape(-1, 3).astype(np.float64), rowvar=False, bias=True)


def noise_of(epoch: int = 0, divisor: float = 1.0, **data) -> np.ndarray:
    """What colour noise added to each image of an epoch: [n, height, width, 3]."""
    clean, _ = epoch_of(feed(coloured(), MANY, **{k: v for k, v in data.items() if not k.startswith("colour")}), epoch)
    noisy, _ = epoch_of(feed(coloured(), MANY, **data, colour_noise_divisor=divisor), epoch)
    return noisy * divisor - clean


def assert_normal_with_covariance(drawn: np.ndarray, covariance: np.ndarray) -> None:
    """Draws [n, 3]: along the axes of `covariance`, in its standard deviations, three independent standard normals."""
    values, axes = np.linalg.eigh(covariance)
    standard = drawn @ axes / np.sqrt(values)
    for along in standard.T:
        assert stats.kstest(along, "norm").pvalue > 0.001
        assert abs(along.mean()) < 4 / np.sqrt(len(drawn))
        assert abs(along.var() - 1) < 4 * np.sqrt(2 / len(drawn))
    assert (abs(np.corrcoef(standard, rowvar=False) - np.eye(3)) < 4 / np.sqrt(len(drawn))).all()


@pytest.mark.parametrize("strength", [0.1, 0.7])
def test_colour_noise_has_the_covariance_of_the_colours_times_its_strength_squared(strength):
    added = noise_of(colour_noise=strength, colour_noise_times="standard_deviation")[:, 0, 0]
    assert_normal_with_covariance(added, strength**2 * covariance_of_colours(coloured()))


def test_colour_noise_as_printed_varies_by_the_eigenvalue_of_pixels_from_0_to_1():
    """alpha * lambda of pixels / 255, then back to 0 to 255: alpha * lambda / 255 grey levels along each axis."""
    values, axes = np.linalg.eigh(covariance_of_colours(coloured()))
    added = noise_of(colour_noise=0.1, colour_noise_times="eigenvalue")[:, 0, 0]
    assert_normal_with_covariance(added, axes @ np.diag((0.1 * values / 255) ** 2) @ axes.T)
    assert np.std(added @ axes, 0) == pytest.approx(0.1 * values / 255, rel=0.05)


def test_colour_noise_is_one_draw_for_all_pixels_of_an_image():
    added = noise_of(colour_noise=0.5)
    np.testing.assert_allclose(added, np.broadcast_to(added[:, :1, :1], added.shape), atol=1e-4)
    assert len(np.unique(added[:, 0, 0].round(3), axis=0)) == MANY


def test_colour_noise_is_drawn_anew_each_epoch():
    one, other = (noise_of(epoch, colour_noise=0.5, order="fixed")[:, 0, 0] for epoch in (0, 1))
    assert abs(np.corrcoef(one.sum(1), other.sum(1))[0, 1]) < 4 / np.sqrt(MANY)


@pytest.mark.parametrize("batch_size", [1, 16])
def test_colour_noise_is_the_same_whatever_the_batch_size(batch_size):
    whole, parts = (epoch_of(feed(coloured(48), size, colour_noise=0.3), 1)[0] for size in (48, batch_size))
    assert np.array_equal(whole, parts)


def test_colour_noise_is_in_units_of_the_inputs():
    """Where each channel is divided by its standard deviation, so is what is added to it."""
    grey, standard = (noise_of(colour_noise=0.3, inputs=inputs)[:, 0, 0] for inputs in ("minus_mean_image", "standardized"))
    np.testing.assert_allclose(standard * np.sqrt(np.diag(covariance_of_colours(coloured()))), grey, atol=1e-3)


def test_principal_components_are_those_of_numpy():
    values, axes = np.linalg.eigh(covariance_of_colours(coloured(300, 4)))
    ours, directions = pixel_sums(torch.from_numpy(coloured(300, 4))).principal_components()
    np.testing.assert_allclose(ours, values[::-1], rtol=1e-9)
    along = directions.numpy() @ axes[:, ::-1]
    np.testing.assert_allclose(abs(along), np.eye(3), atol=1e-9)


def test_colours_of_one_shade_of_grey_have_one_component():
    grey = np.repeat(random_pixels(50, 4)[..., :1], 3, -1)
    values, directions = pixel_sums(torch.from_numpy(grey)).principal_components()
    np.testing.assert_allclose(values, [3 * grey[..., 0].astype(np.float64).var(), 0, 0], rtol=1e-9, atol=1e-6)
    np.testing.assert_allclose(directions[0], [3**-0.5] * 3, rtol=1e-9)


def test_noisy_images_are_divided_by_the_divisor_after_the_noise():
    noisy, divided = (
        epoch_of(feed(coloured(64), 64, colour_noise=0.3, colour_noise_divisor=divisor), 0)[0] for divisor in (1.0, 1.1)
    )
    np.testing.assert_allclose(divided * 1.1, noisy, rtol=1e-5, atol=1e-4)


def test_noise_and_divisor_end_with_their_last_epoch():
    limited = feed(coloured(64), 16, colour_noise=0.3, colour_noise_divisor=1.1, colour_noise_epochs=2)
    lasting = feed(coloured(64), 16, colour_noise=0.3, colour_noise_divisor=1.1)
    clean = feed(coloured(64), 16)
    as_lasting = [np.array_equal(epoch_of(limited, epoch)[0], epoch_of(lasting, epoch)[0]) for epoch in range(4)]
    as_clean = [np.array_equal(epoch_of(limited, epoch)[0], epoch_of(clean, epoch)[0]) for epoch in range(4)]
    assert (as_lasting, as_clean) == ([True, True, False, False], [False, False, True, True])


def test_without_noise_there_is_no_divisor():
    one, other = (epoch_of(feed(coloured(32), colour_noise_divisor=divisor), 0)[0] for divisor in (1.0, 1.1))
    assert np.array_equal(one, other)


@pytest.mark.parametrize("ten", [False, True])
def test_views_have_neither_noise_nor_divisor(ten):
    pixels = random_pixels(8, 6)
    noisy, clean = feed(pixels, size=4, colour_noise=0.5, colour_noise_divisor=1.1), feed(pixels, size=4)
    for (one, _), (other, _) in zip(noisy.views(*noisy.test, ten=ten), clean.views(*clean.test, ten=ten), strict=True):
        assert torch.equal(one, other)


def test_colour_noise_moves_neither_order_nor_crops_nor_flips():
    settings_of_both = {"shift": 1, "flip": True, "inputs": "minus_mean_image"}
    black = np.zeros((32, 5, 5, 3), np.uint8)
    black[:, 2, 3] = 200 * (np.arange(32) % 2)[:, None]
    noisy, clean = feed(black, colour_noise=0.01, **settings_of_both), feed(black, **settings_of_both)
    (one, labels), (other, same) = epoch_of(noisy, 1), epoch_of(clean, 1)
    assert labels == same
    np.testing.assert_allclose(one, other, atol=5)  # a hundredth of a spread of 28; another crop would be 100 off


# ---- Crops and flips -------------------------------------------------------------------------------------------------


def matching_crops(shown: np.ndarray, image: np.ndarray, size: int, subtract) -> list[tuple[int, int, bool]]:
    """All (y, x, flipped) at which `image` less `subtract(y, x, flipped)` is what was shown."""
    found, ends = [], range(len(image) - size + 1)
    for y, x, flipped in [(y, x, flipped) for y in ends for x in ends for flipped in (False, True)]:
        crop = image[y : y + size, x : x + size].astype(np.float64)
        crop = crop[:, ::-1] if flipped else crop
        if np.allclose(crop - subtract(y, x, flipped), shown, atol=1e-3):
            found.append((y, x, flipped))
    return found


def crops_seen(pixels: np.ndarray, size: int, epochs: int = 1, batch_size: int = 8, seed: int = 0, **data):
    """(y, x, flipped) of every image shown, in the order in which they come, found by looking."""
    shown = feed(pixels, batch_size, size, seed, **data)
    mean, middle = pixels.mean(0, dtype=np.float64), (pixels.shape[1] - size) // 2
    centre = mean[middle : middle + size, middle : middle + size]

    def at_its_place(y, x, flipped):
        own = mean[y : y + size, x : x + size]
        return own[:, ::-1] if flipped else own

    subtract = at_its_place if data.get("inputs", "minus_mean_image") == "minus_mean_image" else lambda y, x, flipped: centre
    seen = []
    for epoch in range(epochs):
        for image, label in zip(*epoch_of(shown, epoch), strict=True):
            (found,) = matching_crops(image, pixels[label], size, subtract)  # exactly one: random pixels are alike nowhere
            seen.append(found)
    return seen


@pytest.mark.parametrize("inputs", ["minus_mean_image", "minus_centre_of_mean_image"])
def test_the_mean_is_taken_off_at_the_crops_own_place_or_always_at_the_centre(inputs):
    """And at the centre unmirrored, whatever the flip (2012 code). That every crop is found as such a difference is the
    test."""
    seen = crops_seen(random_pixels(64, 7), 4, inputs=inputs, flip=True)
    assert len(seen) == 64 and len(set(seen)) > 16


@pytest.mark.parametrize(("offsets", "flip"), [(1, False), (1, True), (2, False), (4, False)])
def test_with_fewer_offsets_crops_cover_the_first_so_many_alone(offsets, flip):
    seen = crops_seen(random_pixels(200, 7), 3, crop_offsets=offsets, flip=flip)
    possible = list(itertools.product(range(offsets), range(offsets), (False, True) if flip else (False,)))
    assert set(seen) == set(possible)
    assert len(possible) == 1 or stats.chisquare([seen.count(crop) for crop in possible]).pvalue > 0.001


@pytest.mark.parametrize("flip", [False, True])
def test_centre_crops_are_all_of_the_centre_and_may_still_be_mirrored(flip):
    seen = crops_seen(random_pixels(48, 7), 4, epochs=2, crops="centre", flip=flip)
    assert set(seen) == {(1, 1, flipped) for flipped in ((False, True) if flip else (False,))}


@pytest.mark.slow
@pytest.mark.parametrize(("share", "count"), [(4, 64), (8, 64), (5, 64), (32, 64), (100, 64)])
def test_so_many_consecutive_images_share_a_crop_and_a_flip(share, count):
    seen = crops_seen(random_pixels(count, 9), 4, epochs=2, flip=True, images_per_draw=share)
    for epoch in (seen[:count], seen[count:]):
        for first in range(0, count, share):
            assert len(set(epoch[first : first + share])) == 1, first


def test_groups_that_share_a_crop_draw_theirs_independently():
    seen = crops_seen(random_pixels(240, 5), 4, epochs=2, flip=True, images_per_draw=2)
    firsts = seen[::2]
    counts = [firsts.count((y, x, flipped)) for y in range(2) for x in range(2) for flipped in (False, True)]
    assert stats.chisquare(counts).pvalue > 0.001
    repeats = sum(one == other for one, other in zip(firsts[::2], firsts[1::2], strict=True))
    assert stats.binomtest(repeats, len(firsts) // 2, 1 / 8).pvalue > 0.001


def test_a_shared_draw_is_the_one_that_its_first_image_would_have_had_alone():
    """So that runs with and without sharing are paired by their seed."""
    alone, shared = (crops_seen(random_pixels(64, 7), 4, flip=True, images_per_draw=share) for share in (1, 8))
    assert shared[::8] == alone[::8]


# ---- Order -----------------------------------------------------------------------------------------------------------


def test_a_fixed_order_is_the_same_each_epoch_and_a_reshuffled_one_is_not():
    fixed, shuffled = (feed(random_pixels(64, 2), order=order) for order in ("fixed", "reshuffled"))
    assert epoch_of(fixed, 0)[1] == epoch_of(fixed, 1)[1] == epoch_of(fixed, 7)[1] != sorted(epoch_of(fixed, 0)[1])
    orders = [tuple(epoch_of(shuffled, epoch)[1]) for epoch in range(4)]
    assert len(set(orders)) == 4 and orders[0] == tuple(epoch_of(fixed, 0)[1])


def test_a_fixed_order_is_another_for_another_seed():
    one, other = (epoch_of(feed(random_pixels(64, 2), seed=seed, order="fixed"), 0)[1] for seed in (0, 1))
    assert one != other and sorted(one) == sorted(other)


def test_images_in_a_fixed_order_are_cropped_anew_each_epoch():
    seen = crops_seen(random_pixels(64, 7), 4, epochs=2, order="fixed", flip=True)
    assert sum(one == other for one, other in zip(seen[:64], seen[64:], strict=True)) < 10  # of 64 by chance: 2


# ---- Images that do not fit on the device ----------------------------------------------------------------------------


def stored(images: ImageSet, source=None) -> ImageSet:
    """The same set, its images left where they are, in memory or in `source`, in another order of rows."""
    rows = np.random.default_rng(0).permutation(len(images.train_images))
    if source is None:
        source = np.empty_like(images.train_images.numpy())
        source[rows] = images.train_images.numpy()
    test = Stored(images.test_images.numpy(), np.arange(len(images.test_images)))
    return dataclasses.replace(images, train_images=Stored(source, rows), test_images=test)


@st.composite
def recipes(draw):
    """Of 7x7 images: a crop's size, how it is drawn, what becomes of it, and how the set is divided."""
    size, inputs = (
        draw(st.integers(3, 7)),
        draw(st.sampled_from(["minus_mean_image", "minus_centre_of_mean_image", "standardized"])),
    )
    shift = draw(st.integers(0, 2 if inputs != "minus_centre_of_mean_image" else 0))
    data = {
        "shift": shift,
        "inputs": inputs,
        "crops": draw(st.sampled_from(["random", "centre"])),
        "flip": draw(st.booleans()),
        "order": draw(st.sampled_from(["fixed", "reshuffled"])),
        "images_per_draw": draw(st.sampled_from([1, 4])),
        "validation_images": draw(st.integers(0, 5)),
        "colour_noise": draw(st.sampled_from([0.0, 0.1])),
    }
    if data["crops"] == "random":
        data["crop_offsets"] = draw(st.integers(0, 8 + 2 * shift - size))
    return size, data


@example((5, {"shift": 2, "inputs": "standardized", "flip": True}), 4, [0, 3], 1, 0)
@few_examples
@given(
    recipes(), st.integers(1, 9), st.lists(st.integers(0, 20), min_size=1, max_size=6), st.integers(1, 3), st.integers(0, 99)
)
def test_batches_of_images_left_outside_the_device_are_those_of_images_on_it(recipe, batch_size, steps, count, seed):
    """In any order of steps, epochs crossed, and on any of several ranks; to the bit."""
    size, data = recipe
    images = image_set(random_pixels(24, 7, seed))
    model = Model(layers=(Layer(kind="full", outputs=24),), image_size=size, classes=24)
    both = Recipe(model=model, data=Data(**data), optim=Optim(batch_size=max(batch_size, count)))
    for ranks in (Ranks(rank, count) for rank in range(count)):
        inside, outside = (Feed(both, one, seed, ranks.share) for one in (images, stored(images)))
        for step in steps:
            (pixels, labels), (same, own) = inside.batch(step), outside.batch(step)
            assert torch.equal(pixels, same) and torch.equal(labels, own)
        for ten in (False, True):
            for split in ("validation", "test"):
                parts = (list(f.views(*getattr(f, split), ten=ten, size=3)) for f in (inside, outside))
                for (pixels, labels), (same, own) in zip(*parts, strict=True):
                    assert torch.equal(pixels, same) and torch.equal(labels, own)


def test_images_that_are_on_the_device_already_stay_there_whatever_memory_is_left():
    there = torch.empty((4, 6, 6, 3), dtype=torch.uint8, device="meta")  # stands for a GPU whose memory cannot be asked
    assert placed(there, "meta") is there


@pytest.mark.slow
def test_a_run_on_images_left_outside_ends_in_the_weights_of_one_with_them_on_the_device():
    layers = (Layer(outputs=4, kernel=3, weight_std=0.1), Layer(kind="full", outputs=32, weight_std=0.1))
    model = Model(layers=layers, image_size=6, classes=32)
    data = Data(flip=True, validation_images=8, colour_noise=0.1)
    recipe = Recipe(model=model, data=data, optim=Optim(batch_size=8, epochs=2))
    machine = Machine(device="cpu", name="test machine", precision="fp32", threads=1)
    inside = image_set(random_pixels(32, 8))
    one, other = (fit(recipe, 0, machine, images) for images in (inside, stored(inside)))
    assert one.weights_sha256 == other.weights_sha256 and one.test_error_ten_views == other.test_error_ten_views
    assert [p.validation_error for p in one.points] == [p.validation_error for p in other.points]


class Unreadable:
    """Images of which one cannot be read."""

    def __init__(self, images: np.ndarray, row: int):
        self.images, self.row, self.shape, self.read = images, row, images.shape, []

    def __getitem__(self, row: int) -> np.ndarray:
        self.read.append(row)
        if row == self.row:
            raise Refused(f"image {row} is damaged")
        return self.images[row]


def test_an_image_that_cannot_be_read_ends_the_batch_it_is_in_and_none_before():
    images = image_set(random_pixels(40, 4))
    order = feed(images.train_images.numpy(), 8).batch(0)[1].tolist()
    inside = feed(images.train_images.numpy(), 8)
    bad = int(torch.cat([inside.batch(step)[1] for step in range(5)])[3 * 8 + 2])  # of the fourth batch
    assert bad not in order
    source = Unreadable(images.train_images.numpy(), -1)
    outside = Stored(source, np.arange(40))
    model = Model(layers=(Layer(kind="full", outputs=40),), image_size=4, classes=40)
    shown = Feed(
        Recipe(model=model, data=Data(), optim=Optim(batch_size=8)), dataclasses.replace(images, train_images=outside), 0
    )
    source.row = bad
    for step in range(3):
        shown.batch(step)
    with pytest.raises(Refused, match=f"image {bad} is damaged"):
        shown.batch(3)


def test_the_next_batches_are_read_before_they_are_asked_for_and_no_image_twice_an_epoch():
    pixels = random_pixels(64, 4)
    source = Unreadable(pixels, -1)
    images = dataclasses.replace(image_set(pixels), train_images=Stored(source, np.arange(64)))
    model = Model(layers=(Layer(kind="full", outputs=64),), image_size=4, classes=64)
    shown = Feed(Recipe(model=model, data=Data(), optim=Optim(batch_size=4)), images, 0)
    source.read.clear()  # the mean image
    shown.batch(0)
    for future in shown.crops.waiting.values():
        future.result()
    assert 8 <= len(source.read) <= 4 * (THREADS + 1)
    for step in range(1, 16):
        shown.batch(step)
    assert sorted(source.read) == list(range(64))


def test_sums_of_images_left_outside_are_those_of_images_on_the_device_and_are_kept(tmp_path):
    images = image_set(random_pixels(30, 5))
    inside, outside = (pixel_sums(one.train_images[:21]) for one in (images, stored(images)))
    assert torch.equal(inside.pixels, outside.pixels) and torch.equal(inside.products, outside.products)
    kept_sums(stored(images).train_images, tmp_path, "f" * 12)
    again = kept_sums(Stored(Unreadable(images.train_images.numpy(), 0), np.arange(30)), tmp_path, "f" * 12)
    assert torch.equal(again.pixels, pixel_sums(images.train_images).pixels)


# ---- Validation images -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("total", [0, 30])
def test_validation_images_are_the_last_ones_and_in_no_batch(total):
    pixels = random_pixels(40, 4)
    shown = feed(pixels, 4, train_images=total, validation_images=10)
    last = total or 40
    trained = {label for epoch in range(3) for label in epoch_of(shown, epoch)[1]}
    assert trained <= set(range(last - 10)) and len(trained) > 0.9 * (last - 10)
    assert shown.validation[1].tolist() == list(range(last - 10, last))
    assert np.array_equal(shown.validation[0], pixels[last - 10 : last])


@pytest.mark.parametrize("inputs", ["minus_mean_image", "minus_centre_of_mean_image", "standardized"])
def test_validation_images_are_in_no_mean_and_no_component(inputs):
    pixels = random_pixels(40, 4)
    altered = np.concatenate([pixels[:30], 255 - pixels[30:] // 2])
    one, other = (feed(p, 6, validation_images=10, inputs=inputs, colour_noise=0.3) for p in (pixels, altered))
    for epoch in (0, 1):
        assert np.array_equal(epoch_of(one, epoch)[0], epoch_of(other, epoch)[0])


# ---- Views -----------------------------------------------------------------------------------------------------------

DISTINCT = np.arange(6 * 6 * 3, dtype=np.uint8).reshape(1, 6, 6, 3)  # no two values alike
BLACK = np.zeros((8, 6, 6, 3), np.uint8)  # to train on: a mean of zero


@pytest.mark.parametrize("inputs", ["minus_mean_image", "minus_centre_of_mean_image"])
def test_ten_views_are_four_corners_and_the_centre_and_then_their_mirror_images(inputs):
    shown = feed(BLACK, size=4, test=DISTINCT, inputs=inputs)
    ((views, labels),) = shown.views(*shown.test, ten=True)
    image = DISTINCT[0]
    five = [image[:4, :4], image[:4, 2:], image[2:, :4], image[2:, 2:], image[1:5, 1:5]]
    expected = np.stack(five + [view[:, ::-1] for view in five])
    assert np.array_equal(views[0].permute(0, 2, 3, 1), expected) and labels.tolist() == [0]


def test_ten_views_and_the_middle_of_an_odd_rest():
    """Three pixels more than the crop: the centre starts at the second, as the single view does."""
    shown = feed(BLACK, size=3, test=DISTINCT)
    ((views, _),), ((single, _),) = shown.views(*shown.test, ten=True), shown.views(*shown.test)
    assert np.array_equal(views[0, 4].permute(1, 2, 0), DISTINCT[0, 1:4, 1:4]) and torch.equal(views[:, 4:5], single)


@pytest.mark.parametrize("inputs", ["minus_mean_image", "minus_centre_of_mean_image"])
def test_the_mean_of_a_view_is_taken_where_that_of_a_training_crop_is(inputs):
    train = random_pixels(20, 6)
    shown = feed(train, size=4, test=DISTINCT, inputs=inputs)
    ((views, _),) = shown.views(*shown.test, ten=True)
    mean = train.mean(0, dtype=np.float64)
    own = mean[:4, 2:] if inputs == "minus_mean_image" else mean[1:5, 1:5]
    np.testing.assert_allclose(views[0, 1].permute(1, 2, 0), DISTINCT[0, :4, 2:] - own, atol=1e-4)


@pytest.mark.parametrize("size", [1, 3, 7])
def test_views_come_in_parts_in_order(size):
    test = random_pixels(7, 6, seed=4)
    shown = feed(BLACK, size=4, test=test)
    parts = list(shown.views(*shown.test, ten=True, size=size))
    assert torch.cat([labels for _, labels in parts]).tolist() == list(range(7))
    whole = torch.cat([views for views, _ in parts]).permute(0, 1, 3, 4, 2)
    assert np.array_equal(whole[:, 3], test[:, 2:, 2:]) and max(len(labels) for _, labels in parts) == size


@given(st.integers(1, 40), st.integers(1, 50), st.integers(1, 4), st.booleans(), st.integers(0, 99))
@few_examples
def test_views_in_any_order_are_shared_by_ranks_part_by_part(images, size, count, outside, seed):
    """So that ranks look at as many parts, and that what all have seen after each is what one process has seen."""
    train = random_pixels(images, 6, seed)
    classes = max(images, 5)  # labels of the test images go to 4
    model = Model(layers=(Layer(kind="full", outputs=classes),), image_size=6, classes=classes)
    recipe = Recipe(model=model, data=Data(inputs="minus_mean_image"), optim=Optim(batch_size=images))
    order, mean = torch.from_numpy(np.random.default_rng(seed).permutation(images)), train.mean(0, dtype=np.float64)
    shared = []
    for rank in range(count):
        shown = Feed(recipe, stored(image_set(train)) if outside else image_set(train), 0, Ranks(rank, count).share)
        shared.append(list(shown.views(shown.images, shown.labels, size=size, order=order)))
    parts = [torch.cat([labels for _, labels in part]).tolist() for part in zip(*shared, strict=True)]
    assert parts == [part.tolist() for part in order.split(size)]
    for views, labels in itertools.chain(*shared):
        np.testing.assert_allclose(views[:, 0].permute(0, 2, 3, 1), train[labels.numpy()] - mean, atol=1e-4)


class ReadsItsAnswer(nn.Module):
    """Logits are the colours of the first pixel; of three classes."""

    def __init__(self):
        super().__init__()
        self.modes = []

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        self.modes.append(self.training)
        return images[:, :, 0, 0]


FULL = torch.autocast("cpu", torch.bfloat16, enabled=False)
# One view is sure of the first class, two lean to the second: the mean of probabilities says the second, that of logits the
# first.
TORN = torch.log(torch.tensor([[0.998, 0.001, 0.001], [0.1, 0.8, 0.1], [0.1, 0.8, 0.1]]))


def as_images(logits: torch.Tensor) -> torch.Tensor:
    """Of logits [n, views, 3] images [n, views, 3, 2, 2] that `ReadsItsAnswer` answers with them."""
    return logits[..., None, None].expand(*logits.shape, 2, 2).contiguous()


def test_the_error_of_several_views_is_that_of_their_averaged_probabilities():
    inputs = as_images(torch.stack([TORN, TORN.flip(1), TORN]))
    batches = [(inputs[:2], torch.tensor([1, 1])), (inputs[2:], torch.tensor([0]))]
    assert count_wrong(ReadsItsAnswer(), batches, FULL, (1, 2)) == pytest.approx([1, 0, 3])


@pytest.mark.parametrize("measure", [count_wrong, probabilities])
def test_a_network_is_measured_in_evaluation_and_left_in_training_mode(measure):
    network = ReadsItsAnswer()
    measure(network, [(as_images(TORN[None]), torch.tensor([0]))] * 2, FULL)
    assert network.modes == [False, False] and network.training


@pytest.mark.parametrize("views", [1, 3])
def test_probabilities_of_all_batches_are_averaged_over_views_and_add_up_to_one(views):
    logits = torch.from_numpy(np.random.default_rng(1).standard_normal((5, views, 3))).float()
    batches = [(as_images(logits[:3]), torch.arange(3)), (as_images(logits[3:]), torch.arange(3, 5))]
    ours, labels = probabilities(ReadsItsAnswer(), batches, FULL)
    weights = np.exp(logits.double().numpy())
    np.testing.assert_allclose(ours, (weights / weights.sum(-1, keepdims=True)).mean(1), rtol=1e-5)
    assert labels.tolist() == [0, 1, 2, 3, 4]


# ---- Ensembles -------------------------------------------------------------------------------------------------------


def members(count: int, images: int, classes: int, seed: int = 0) -> list[torch.Tensor]:
    drawn = np.random.default_rng(seed).dirichlet(np.ones(classes), (count, images))
    return list(torch.from_numpy(drawn))


def test_an_ensemble_is_the_mean_of_its_members_probabilities():
    three = members(3, 6, 4)
    np.testing.assert_allclose(ensemble(three), np.mean([m.numpy() for m in three], 0), rtol=1e-12)


def test_a_callers_default_type_changes_no_draw():
    def shown():
        return epoch_of(feed(coloured(24, 6), size=4, flip=True, colour_noise=0.1, inputs="minus_mean_image"), 0)

    (plain, labels), before = shown(), torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        other, other_labels = shown()
    finally:
        torch.set_default_dtype(before)
    assert labels == other_labels and plain.tobytes() == other.tobytes()


# ---- What is no image set --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("field", "value", "says"),
    [
        ("train_images", torch.rand(8, 4, 4, 3), r"images: .*\.train_images are torch\.float32"),
        ("test_images", torch.zeros(4, 4, 5, 3, dtype=torch.uint8), r"images: .*\.test_images are \[4, 4, 5, 3\]"),
        ("test_images", torch.zeros(4, 5, 5, 3, dtype=torch.uint8), "test_images have 5 pixels a side, and its train_images 4"),
        ("train_images", torch.zeros(8, 3, 4, 4, dtype=torch.uint8), r"images: .*\.train_images are \[8, 3, 4, 4\]"),
        ("train_labels", torch.arange(7), "train_labels are 7 of torch.int64; expected 8"),
        ("test_labels", torch.arange(4, dtype=torch.int32), "test_labels are 4 of torch.int32"),
        ("train_labels", torch.arange(8) - 1, "train_labels has -1"),
        ("test_labels", torch.arange(4) + 9, "model.classes: 8, but .* has label 12"),
    ],
)
def test_what_is_no_image_set_is_refused_before_anything_is_trained(field, value, says):
    whole = image_set(random_pixels(8, 4), random_pixels(4, 4))
    recipe = Recipe(
        model=Model(layers=(Layer(kind="full", outputs=8),), image_size=4, classes=8), data=Data(), optim=Optim(batch_size=4)
    )
    Feed(recipe, whole, 0)
    with pytest.raises(Refused, match=says):
        Feed(recipe, dataclasses.replace(whole, **{field: value}), 0)


def test_a_colour_that_never_varies_cannot_be_standardized():
    pixels = random_pixels(8, 4)
    pixels[..., 2] = 7
    with pytest.raises(Refused, match=r"^data\.inputs: 'standardized'"):
        feed(pixels, inputs="standardized")
    feed(pixels, inputs="minus_mean_image")
