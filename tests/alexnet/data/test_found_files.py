"""Image folders as users have them: what counts as an image, a class, damage, or nothing of these."""

import errno
import io
import os
import struct
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from alexnet.data import image_files
from alexnet.data.class_folders import ClassFolders
from alexnet.data.found_files import files_by_class
from alexnet.data.image_files import read, square
from alexnet.errors import DamagedImage, Refused


def photograph(height: int = 96, width: int = 128, seed: int = 0) -> np.ndarray:
    """Smooth colours with some noise, as a JPEG file holds them in a few kilobytes."""
    random = np.random.default_rng(seed)
    coarse = Image.fromarray(random.integers(0, 256, (6, 8, 3), dtype=np.uint8)).resize(
        (width, height), Image.Resampling.BICUBIC
    )
    return np.clip(np.asarray(coarse) + random.normal(0, 8, (height, width, 3)), 0, 255).astype(np.uint8)


def encoded(kind: str = "JPEG", **options) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(photograph()).save(buffer, kind, **options)
    return buffer.getvalue()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two classes of two JPEG files each."""
    for name in ("cat", "dog"):
        (tmp_path / name).mkdir()
        for i in range(2):
            Image.fromarray(photograph(seed=i)).save(tmp_path / name / f"{i}.jpg")
    return tmp_path


# ---- Damage ----------------------------------------------------------------------------------------------------------


def zeroed(content: bytes) -> bytes:
    middle = len(content) // 2
    return content[:middle] + bytes(400) + content[middle + 400 :]


def with_a_hole(content: bytes) -> bytes:
    middle = len(content) // 2
    return content[:middle] + content[middle + 400 :]


def half_gone(content: bytes) -> bytes:
    return content[: len(content) // 2] + b"\xff\xd9"


@pytest.mark.parametrize("damage", [zeroed, with_a_hole, half_gone])
@pytest.mark.parametrize("options", [{}, {"progressive": True}], ids=["baseline", "progressive"])
def test_a_jpeg_that_pillow_takes_for_sound_is_damaged_by_name(tmp_path, damage, options):
    path = tmp_path / "x.jpg"
    path.write_bytes(damage(encoded(**options)))
    with Image.open(path) as image:
        image.load()  # no word of it
    with pytest.raises(DamagedImage, match=r"x\.jpg: damaged image"):
        read(path)


@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"quality": 30}, {"subsampling": 0}])
@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
def test_a_sound_jpeg_is_read_as_pillow_reads_it(tmp_path, options, mode):
    path = tmp_path / "x.jpg"
    Image.fromarray(photograph()).convert(mode).save(path, **options)
    with Image.open(path) as image:
        assert np.array_equal(read(path), np.asarray(image.convert("RGB")))


RAMP = np.arange(256, dtype=np.uint8).reshape(16, 16)


@pytest.mark.parametrize(
    ("name", "image"),
    [
        ("grey.png", Image.fromarray(RAMP)),
        ("grey.tif", Image.fromarray(RAMP).convert("LA")),
        ("16.png", Image.fromarray(RAMP.astype(np.uint16) * 257)),
        ("16.tif", Image.fromarray(RAMP.astype(np.uint16) * 257)),
        ("16 the other way.tif", Image.fromarray(RAMP.astype(">u2") * 257)),
        ("16.pgm", Image.fromarray(RAMP.astype(np.uint16) * 257)),
        ("palette.png", Image.fromarray(RAMP).convert("P")),
        ("palette and alpha.tif", Image.fromarray(RAMP).convert("P").convert("PA")),
        ("inks.tif", Image.fromarray(RAMP).convert("RGB").convert("CMYK")),
        ("opaque.png", Image.fromarray(RAMP).convert("RGBA")),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_grey_ramp_is_read_as_it_is_in_whatever_mode_it_is_kept(tmp_path, name, image):
    image.save(tmp_path / name)
    assert np.array_equal(read(tmp_path / name), np.repeat(RAMP[..., None], 3, 2))


def test_an_image_of_one_bit_a_pixel_is_black_and_white(tmp_path):
    Image.fromarray(RAMP > 99).save(tmp_path / "x.png")
    assert np.array_equal(read(tmp_path / "x.png"), np.repeat((RAMP > 99)[..., None] * 255, 3, 2))


def drawn(mode: str) -> Image.Image:
    """A black left half, and a right half that is black too and cannot be seen."""
    image = Image.new("LA", (8, 8), (0, 255))
    image.paste((0, 0), (4, 0, 8, 8))
    return image.convert(mode)


@pytest.mark.parametrize("side", [0, 4])
@pytest.mark.parametrize("name, mode", [("x.png", "LA"), ("x.png", "RGBA"), ("x.webp", "RGBA"), ("x.tif", "RGBA")])
def test_what_is_transparent_is_seen_on_white(tmp_path, name, mode, side):
    options = {"lossless": True, "exact": True} if name == "x.webp" else {}
    drawn(mode).save(tmp_path / name, **options)
    columns = read(tmp_path / name, side)[0, :, 0]
    assert columns.tolist() == [0] * (len(columns) // 2) + [255] * (len(columns) // 2)


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB"])
def test_a_colour_that_a_png_calls_transparent_is_seen_on_white(tmp_path, mode):
    image = Image.new("L", (8, 8), 255)
    image.paste(0, (0, 0, 4, 8))
    hidden = {"RGB": (0, 0, 0)}.get(mode, 0)
    image.convert(mode).save(tmp_path / "x.png", transparency=hidden)
    assert (read(tmp_path / "x.png") == 255).all()


def test_an_image_whose_alpha_was_never_set_is_not_blank(tmp_path):
    image = Image.fromarray(RAMP).convert("RGBA")
    image.putalpha(0)
    image.save(tmp_path / "x.png")
    assert np.array_equal(read(tmp_path / "x.png")[..., 0], RAMP)


def with_tag(content: bytes, tag: int, value: int) -> bytes:
    """A TIFF file of Pillow's with another number in a tag that has one."""
    entry = struct.pack("<HHI", tag, 3, 1)
    place = content.index(entry) + len(entry)
    return content[:place] + struct.pack("<H", value) + content[place + 2 :]


def tiff(pixels: np.ndarray, **options) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "TIFF", **options)
    return buffer.getvalue()


OF_NO_SCALE = {
    "floating-point numbers": tiff(RAMP.astype(np.float32) / 255),
    "signed or 32-bit integers": tiff(RAMP.astype(np.int32) * 2**23),
    "signed integers": tiff(RAMP // 2, tiffinfo={339: 2}),
    "12 bits": with_tag(tiff(RAMP.astype(np.uint16) * 16), 258, 12),
    "have 0 for white": with_tag(tiff(RAMP.astype(np.uint16) * 257), 262, 0),
}


@pytest.mark.parametrize("why", OF_NO_SCALE)
def test_a_tiff_that_does_not_say_what_is_black_and_white_is_refused_in_one_line(tmp_path, why):
    (tmp_path / "x.tif").write_bytes(OF_NO_SCALE[why])
    with pytest.raises(
        DamagedImage, match=rf"^{tmp_path}/x\.tif: not readable as a picture \(its .*{why}; save it with [^\n]*$"
    ):
        read(tmp_path / "x.tif")


def test_without_simplejpeg_files_are_read_with_a_warning(tmp_path, monkeypatch):
    """As on a machine that is lent for its GPU and lacks the package."""
    monkeypatch.setitem(sys.modules, "simplejpeg", None)
    path = tmp_path / "x.jpg"
    path.write_bytes(encoded())
    with pytest.warns(UserWarning, match="simplejpeg is not installed"):
        assert read(path).shape == photograph().shape


@pytest.mark.parametrize("code", [errno.EACCES, errno.EMFILE, errno.EIO])
def test_what_the_system_will_not_read_is_no_damage_and_has_its_reason(folder, monkeypatch, code):
    def no(*_):
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(image_files, "open", no, raising=False)
    with pytest.raises(Refused, match=rf"0\.jpg: cannot be read \({os.strerror(code)}") as refused:
        read(folder / "cat" / "0.jpg")
    assert not isinstance(refused.value, DamagedImage)


def test_a_class_folder_that_may_not_be_read_is_refused_with_the_reason(folder, monkeypatch):
    real = os.scandir

    def scandir(path):
        if str(path).endswith("dog"):
            raise PermissionError(errno.EACCES, "Permission denied")
        return real(path)

    monkeypatch.setattr(os, "scandir", scandir)
    with pytest.raises(Refused, match=r"dog: cannot be read \(Permission denied\)"):
        files_by_class(folder, "refuse")


# ---- Classes ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    [".ipynb_checkpoints", ".Trash-1000", "@eaDir", "__MACOSX", "$RECYCLE.BIN", "System Volume Information", "lost+found"],
)
def test_a_folder_of_the_system_is_no_class_and_is_named(folder, name):
    (folder / name).mkdir()
    Image.fromarray(photograph()).save(folder / name / "x.jpg")
    found = files_by_class(folder, "refuse")
    assert list(found.classes) == ["cat", "dog"] and [Path(one.path).name for one in found.skipped] == [name]


def test_a_class_in_one_part_alone_is_named_with_the_nearest_of_the_other(tmp_path):
    for place in ("train/cat", "train/dog", "val/cat", "val/dogs"):
        (tmp_path / place).mkdir(parents=True)
        Image.fromarray(photograph()).save(tmp_path / place / "x.png")
    with pytest.raises(Refused, match=r"'dog' only in train \(did you mean 'dogs'\?\), 'dogs' only in val"):
        ClassFolders(tmp_path, test="val")


# ---- Files -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("x.webp", "WEBP"),
        ("x.tif", "TIFF"),
        ("x.jfif", "JPEG"),
        ("x.gif", "GIF"),
        ("x", "JPEG"),
        ("x.dat", "PNG"),
        ("deeper/x", "BMP"),
    ],
)
def test_an_image_is_found_by_its_content_whatever_its_name_or_depth(folder, name, kind):
    path = folder / "cat" / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(encoded(kind))
    found = files_by_class(folder, "refuse")
    assert name in found.classes["cat"] and not found.skipped
    assert read(path).shape == (96, 128, 3)


@pytest.mark.parametrize(
    ("name", "content"), [("notes.txt", b"BMW and P1 text"), ("film.mp4", b"\0\0\0\x18ftypmp42"), ("x", b"")]
)
def test_what_is_no_image_is_skipped_by_name(folder, name, content):
    (folder / "cat" / name).write_bytes(content)
    found = files_by_class(folder, "refuse")
    assert name not in found.classes["cat"] and [Path(one.path).name for one in found.skipped] == [name]


@pytest.mark.parametrize("name", ["._0.jpg", ".hidden.png", "Thumbs.db"])
def test_a_hidden_file_is_skipped_by_name(folder, name):
    (folder / "cat" / name).write_bytes(encoded())
    assert [Path(one.path).name for one in files_by_class(folder, "refuse").skipped] == [name]


def test_a_link_to_another_disk_is_refused_with_the_option_that_reads_it(folder, tmp_path_factory):
    elsewhere = tmp_path_factory.mktemp("disk") / "owl"
    elsewhere.mkdir()
    Image.fromarray(photograph()).save(elsewhere / "x.png")
    (folder / "owl").symlink_to(elsewhere)
    with pytest.raises(Refused, match=r"owl: a link that leads out of .*; links='follow' reads it"):
        files_by_class(folder, "refuse")
    assert list(files_by_class(folder, "follow").classes["owl"]) == ["x.png"]


def test_links_in_a_circle_are_refused(folder):
    (folder / "cat" / "round").symlink_to(folder / "cat")
    with pytest.raises(Refused, match="folders deep"):
        files_by_class(folder, "follow")


def test_pixels_are_as_stored_whatever_exif_says_of_turning(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # a quarter to the right
    Image.fromarray(photograph()).save(tmp_path / "plain.jpg")
    Image.fromarray(photograph()).save(tmp_path / "turned.jpg", exif=exif)
    assert np.array_equal(read(tmp_path / "plain.jpg"), read(tmp_path / "turned.jpg"))


@pytest.mark.parametrize("size", [(8000, 1), (1, 8000)])
def test_a_line_of_pixels_takes_no_more_memory_than_a_photograph(size, monkeypatch):
    largest = []
    real = Image.Image.resize

    def resize(image, to, *arguments):
        largest.append(to[0] * to[1])
        return real(image, to, *arguments)

    monkeypatch.setattr(Image.Image, "resize", resize)
    assert square(Image.new("RGB", size), 256).shape == (256, 256, 3)
    assert max(largest) <= 8 * 256 * 256


def test_the_middle_is_that_of_the_whole_image():
    """Of a strip of 24x1 pixels with one bright one in the middle third: it is kept, and the ends are not."""
    strip = np.zeros((2, 48, 3), np.uint8)
    strip[:, 23:25] = 255
    assert square(Image.fromarray(strip), 2).min() == 255
