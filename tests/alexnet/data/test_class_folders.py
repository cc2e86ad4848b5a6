"""Class folders of any images: made square as in section 2, every mode read, damaged files named or left out, never a crash."""

import json
import os
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from alexnet.data.image_files import read, square
from alexnet.data.image_sets import load
from alexnet.data.pixel_statistics import kept_sums, pixel_sums
from alexnet.errors import Refused

pytestmark = pytest.mark.filterwarnings("error")
DATA = Path(os.environ.get("DATA_DIR") or "data")
SAMPLES = DATA / "imagenet-samples"
needs_samples = pytest.mark.skipif(not SAMPLES.is_dir(), reason=f"no {SAMPLES}")


def pixels(height: int, width: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


# ---- One image -------------------------------------------------------------------------------------------------------


def test_shrinking_takes_the_mean_over_areas_and_the_middle_of_the_longer_side():
    large = pixels(8, 16)
    means = large.reshape(4, 2, 8, 2, 3).mean((1, 3))[:, 2:6]
    assert np.abs(square(Image.fromarray(large), 4).astype(float) - means).max() <= 1  # rounded along rows, then columns


@pytest.mark.parametrize(("height", "width"), [(5, 5), (5, 9), (9, 5)])
def test_enlarging_a_ramp_gives_a_ramp(height, width):
    """Cubic interpolation keeps straight lines, but for the edge; nearest pixels would make steps."""
    ramp = np.repeat(np.arange(width, dtype=np.uint8)[None, :, None] * 20, height, 0).repeat(3, 2)
    out = square(Image.fromarray(ramp), 20).astype(float)
    steps = np.diff(out[10, 4:-4, 0])
    assert out.shape == (20, 20, 3) and np.ptp(steps) <= 2.01 and steps.min() > 0


@pytest.mark.slow
@pytest.mark.parametrize(("height", "width"), [(256, 256), (75, 56), (1200, 1600), (1600, 1200), (257, 256), (1, 3000)])
def test_any_size_becomes_one_square(height, width):
    assert square(Image.fromarray(pixels(height, width)), 256).shape == (256, 256, 3)


def test_an_image_of_the_right_size_is_left_as_it_is():
    own = pixels(16, 16)
    assert np.array_equal(square(Image.fromarray(own), 16), own)


# ---- A folder --------------------------------------------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A data folder with "imagenet-samples" of three classes, three images each of other sizes, without loss."""
    for label, name in enumerate(("ant", "bee", "cat")):
        place = tmp_path / "imagenet-samples" / "train" / name
        place.mkdir(parents=True)
        for i in range(3):
            Image.fromarray(pixels(20 + i, 30 - i, 10 * label + i)).save(place / f"{i}.png")
    return tmp_path


def tear(folder: Path) -> Path:
    path = folder / "imagenet-samples" / "train" / "bee" / "torn.jpg"
    Image.fromarray(pixels(300, 300)).save(path)
    path.write_bytes(path.read_bytes()[:5000])
    return path


def test_images_of_all_sizes_become_squares_and_there_are_no_test_images(folder):
    images = load("imagenet-samples", folder)
    assert images.train_images.shape == (9, 256, 256, 3) and images.test_images.shape == (0, 256, 256, 3)
    assert sorted(images.train_labels.tolist()) == [0, 0, 0, 1, 1, 1, 2, 2, 2]
    first = images.train_labels.tolist().index(1)
    paths = sorted((folder / "imagenet-samples" / "train" / "bee").iterdir())
    assert any(np.array_equal(images.train_images[first], read(path, 256)) for path in paths)


def test_a_truncated_jpeg_is_refused_by_name_and_says_what_leaves_it_out(folder):
    path = tear(folder)
    with pytest.raises(Refused, match=rf"{path}: damaged image .*damaged='skip'"):
        load("imagenet-samples", folder)


def test_a_truncated_jpeg_is_left_out_by_choice_and_the_rest_is_as_without_it(folder):
    whole = load("imagenet-samples", folder)
    path = tear(folder)
    rest = load("imagenet-samples", folder, damaged="skip")
    assert sorted(map(bytes, rest.train_images.numpy())) == sorted(map(bytes, whole.train_images.numpy()))
    assert json.loads((folder / ".cache" / "imagenet-samples" / "manifest.json").read_text())["skipped"][0].startswith(
        str(path)
    )
    assert load("imagenet-samples", folder, damaged="skip").fingerprint == rest.fingerprint


def test_what_was_packed_without_damaged_files_is_not_taken_for_whole(folder):
    tear(folder)
    load("imagenet-samples", folder, damaged="skip")
    with pytest.raises(Refused, match="damaged image"):
        load("imagenet-samples", folder)


def test_all_damaged_files_are_counted(folder):
    for i in range(22):
        (folder / "imagenet-samples" / "train" / "cat" / f"bad{i}.jpg").write_bytes(b"no image")
    with pytest.raises(Refused, match="and 2 more"):
        load("imagenet-samples", folder)


def test_a_choice_about_damage_that_does_not_exist_is_refused(folder):
    with pytest.raises(Refused, match="damaged: 'ignore'"):
        load("imagenet-samples", folder, damaged="ignore")


# ---- Sums ------------------------------------------------------------------------------------------------------------


def same_sums(one, other) -> bool:
    return torch.equal(one.pixels, other.pixels) and torch.equal(one.products, other.products)


@pytest.mark.parametrize("damage", [lambda b: b, lambda b: b[:50], lambda b: b[:-200] + b"x" * 200, lambda b: b""])
def test_kept_sums_are_those_of_the_images_even_after_damage(tmp_path, damage):
    images = torch.from_numpy(np.stack([pixels(5, 4, i) for i in range(7)]))
    first = kept_sums(images, tmp_path, "f" * 12)
    (path,) = tmp_path.iterdir()
    path.write_bytes(damage(path.read_bytes()))
    assert same_sums(first, pixel_sums(images)) and same_sums(kept_sums(images, tmp_path, "f" * 12), first)


def test_kept_sums_are_not_computed_again(tmp_path, monkeypatch):
    images = torch.from_numpy(np.stack([pixels(5, 4, i) for i in range(7)]))
    first = kept_sums(images, tmp_path, "f" * 12)
    monkeypatch.setattr("alexnet.data.pixel_statistics.pixel_sums", lambda images: pytest.fail("summed again"))
    assert same_sums(kept_sums(images, tmp_path, "f" * 12), first)


# ---- Real photographs ------------------------------------------------------------------------------------------------


@needs_samples
def test_every_sample_photograph_is_read_greyscale_tiny_and_large_ones_among_them():
    images = load("imagenet-samples", DATA)
    assert images.train_images.shape == (189, 256, 256, 3)
    grey = (images.train_images.max(3).values == images.train_images.min(3).values).flatten(1).all(1)
    assert int(grey.sum()) >= 23  # as many files are greyscale


@needs_samples
def test_the_colours_of_real_photographs_vary_along_the_components_that_the_2012_code_stored():
    """ILSVRC's directions were (-.56, -.58, -.59), (-.71, -.02, .70), (.42, -.82, .40), with deviations 122, 37, 20."""
    values, directions = pixel_sums(load("imagenet-samples", DATA).train_images).principal_components()
    stored = torch.tensor([[-0.5635, -0.5762, -0.5920], [-0.7126, -0.0235, 0.7012], [0.4180, -0.8170, 0.3973]])
    assert ((directions.float() * stored).sum(1).abs() > 0.99).all()
    assert (values.sqrt() / torch.tensor([121.780, 37.094, 19.721])).sub(1).abs().max() < 0.25
