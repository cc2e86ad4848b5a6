"""study/record/trained_weights.py on two small nets trained in a second: what is told of weights, against plain ways to say the
same."""

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers import small_run
from hypothesis import given, settings
from hypothesis import strategies as st
from made_up_images import few_shapes
from small_study import MACHINE
from torch import nn

from alexnet.data import synthetic_shapes
from alexnet.data.batches import Feed
from alexnet.data.image_sets import class_names
from alexnet.training.checkpoint import WEIGHTS
from alexnet.training.evaluate import probabilities
from alexnet.training.loop import weights_sha256
from study.plan.claim_files import get_claim
from study.plan.plan import PlannedRun
from study.questions.measures import Averaged, ColumnColour, NeighbourGain
from study.questions.measures.base import FromWeights
from study.questions.measures.ensembles import ensemble_of
from study.questions.measures.nearest import features_of, nearest, spread
from study.record import trained_weights
from study.record.figure_files import arrays_path, read_arrays
from study.record.tables import run_name
from study.record.trained_facts import TRAINED
from study.record.trained_weights import Trained, derive
from study.report.figures.figure_3 import kernel_sheet
from study.run.one_run import Place, images_of, run_planned

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Two nets of two epochs, of a claim that keeps weights."""
    folder = tmp_path_factory.mktemp("trained")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(synthetic_shapes, "make_shapes", few_shapes)
        fingerprint = images_of("shapes", folder).fingerprint
        place = Place(MACHINE, folder, folder / "spool", checkpoint_seconds=0)
        planned_runs = [
            replace(small_run(seed, "relu", fingerprint, optim__epochs=2), claim="averaged_nets", base="ALEXNET_32", arm="2012")
            for seed in (0, 1)
        ]
        results = [run_planned(planned, place, lambda point: None) for planned in planned_runs]
    return planned_runs, place, results


@pytest.mark.slow
def test_the_kept_weights_are_those_the_result_names_by_digest(trained):
    planned_runs, place, results = trained
    for planned, result in zip(planned_runs, results, strict=True):
        assert weights_sha256(Trained(planned, place, "here", "fp32").network) == result.weights_sha256


@pytest.mark.slow
def test_a_loaded_net_has_the_test_error_of_its_result(trained):
    planned_runs, place, results = trained
    for planned, result in zip(planned_runs, results, strict=True):
        images = images_of("shapes", place.data_dir)
        feed = Feed(planned.recipe, images, planned.seed)
        scores, _ = probabilities(
            Trained(planned, place, "here", "fp32").network, feed.views(*feed.test), torch.autocast("cpu", enabled=False)
        )
        wrong = (scores.argmax(1) != feed.test[1]).float().mean().item()
        assert wrong == pytest.approx(result.test_error, abs=1e-3)  # ties share their credit there


@pytest.mark.slow
def test_an_average_of_nets_errs_as_their_mean_probabilities_do(trained):
    planned_runs, place, _ = trained
    errors = ensemble_of([Trained(planned, place, "here", "fp32") for planned in planned_runs])["one_view_top1"]
    feed = Feed(planned_runs[0].recipe, images_of("shapes", place.data_dir), 0)
    autocast = torch.autocast("cpu", enabled=False)
    each = torch.stack(
        [
            probabilities(Trained(planned, place, "here", "fp32").network, feed.views(*feed.test), autocast)[0]
            for planned in planned_runs
        ]
    )
    labels = feed.test[1]
    assert errors["averaged"] == pytest.approx((each.mean(0).argmax(1) != labels).float().mean().item(), abs=1e-3)
    wrong = (each.argmax(2) != labels).double()
    assert errors["alone"] == pytest.approx(wrong.mean().item(), abs=1e-3)
    by_image = (each.mean(0).argmax(1) != labels).double() - wrong.mean(0)
    assert errors["standard_error"] == pytest.approx(by_image.std().item() / len(labels) ** 0.5, rel=0.02)


@pytest.mark.slow
def test_the_last_hidden_layer_is_what_the_last_layer_reads(trained):
    planned_runs, place, _ = trained
    network = Trained(planned_runs[0], place, "here", "fp32").network
    feed = Feed(planned_runs[0].recipe, images_of("shapes", place.data_dir), 0)
    features, logits = features_of(network, feed.views(*feed.test), torch.autocast("cpu", enabled=False))
    (full,) = [m for m in network.layers[-1].modules() if isinstance(m, nn.Linear)]
    torch.testing.assert_close(full(features.flatten(1)), logits, rtol=1e-4, atol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("reads_in", ["fp32", "bf16"])
def test_weights_are_read_in_the_precision_of_their_training_whatever_reads_them(trained, monkeypatch, reads_in):
    """A claim's runs of another machine, or of PRECISION=fp32, are read here by a command without it."""
    planned_runs, place, results = trained
    assert results[0].machine.precision == "fp32"
    kept = trained_weights._finished(planned_runs[0], replace(place, machine=replace(MACHINE, precision=reads_in)), print)
    with kept.autocast:
        assert torch.nn.functional.linear(torch.ones(1, 2), torch.ones(1, 2)).dtype == torch.float32


@pytest.mark.slow
def test_kernels_are_told_to_four_digits(trained):
    planned_runs, place, _ = trained
    run = Trained(planned_runs[0], place, "here", "fp32")
    kernels, network = ColumnColour().from_weights([run]).facts, run.network
    np.testing.assert_allclose(kernels, network.layers[0].weights.weight.detach().numpy(), rtol=5e-4)


@settings(max_examples=50, deadline=None, derandomize=True, database=None)
@given(st.integers(1, 300), st.integers(6, 40), st.integers(1, 41), st.integers(0, 10**6))
def test_the_nearest_are_those_of_a_plain_sort_of_distances_whatever_the_parts(queries, images, size, seed):
    rng = np.random.default_rng(seed)
    of, among = rng.integers(-50, 50, (queries, 3)), rng.integers(-50, 50, (images, 3))
    found = nearest(torch.tensor(of).float(), torch.tensor(among).float().split(size), 6).numpy()
    squares = ((of[:, None] - among) ** 2).sum(2)
    np.testing.assert_array_equal(np.take_along_axis(squares, found, 1), np.sort(squares, 1)[:, :6])  # whoever wins a tie


def test_shown_images_are_the_first_of_their_labels():
    assert spread([3, 1, 3, 0, 1, 2], 3) == [3, 1, 5]


def test_the_sheet_of_kernels_shows_each_half_on_its_own_scale_with_a_line_between():
    kernels = np.zeros((8, 3, 2, 2))
    kernels[0, 0, 0, 0], kernels[4, 2, 1, 1] = 5.0, 0.001
    sheet = kernel_sheet(kernels)
    assert sheet.shape == (15, 7, 3)  # twice 2 rows of kernels 2 high with a pixel about, and three lines between; 2 across
    assert sheet[1, 1].tolist() == [1, 0, 0]
    assert sheet[10, 2].tolist() == [0, 0, 1]
    assert (sheet[7] == 0).all()


def test_labels_of_class_folders_are_their_names_or_what_the_word_list_says(tmp_path):
    for name in ("n02", "n01"):
        for part in ("train", "val"):
            (tmp_path / "tiny-imagenet-100" / part / name).mkdir(parents=True)
            (tmp_path / "tiny-imagenet-100" / part / name / "a.jpg").touch()
    assert class_names("tiny-imagenet-100", tmp_path) == ["n01", "n02"]
    (tmp_path / "tiny-imagenet-100.words.txt").write_text("n01\ttench, Tinca tinca\nn09\tother\n")
    assert class_names("tiny-imagenet-100", tmp_path) == ["tench", "n02"]


@pytest.mark.slow
@pytest.mark.parametrize("damage", ["a flipped bit", "cut short"])
def test_weights_that_are_not_those_that_were_trained_are_left_out_and_named(trained, tmp_path, damage):
    """No average of them is told, though a flipped bit in a number is one that torch.load does not see."""
    planned_runs, place, _ = trained
    hurt = replace(place, spool_dir=tmp_path / "spool")
    shutil.copytree(place.spool_dir, hurt.spool_dir)
    path = hurt.spool_dir / planned_runs[1].key / WEIGHTS
    content = bytearray(path.read_bytes())
    state = torch.load(path, weights_only=True)
    numbers = bytes(next(iter(state.values())).untyped_storage())
    content[content.index(numbers)] ^= 1
    path.write_bytes(content if damage == "a flipped bit" else content[:-100])
    said = []
    asked = [replace(planned, arm="2012") for planned in planned_runs]
    derive(asked, hurt, tmp_path, said.append, 0)
    assert [line for line in said if "left out" in line and str(path) in line] == said
    assert not (tmp_path / "trained.json").exists()


def arrays_of(planned: PlannedRun, folder: Path) -> Path:
    of = planned.scale, planned.base, planned.fingerprint
    return arrays_path(folder, "nearest_images", *of, MACHINE.label, "figure-4")


def test_the_same_net_on_another_version_of_the_images_has_arrays_of_its_own(tmp_path, monkeypatch):
    """A second version of a user's images, under the same name: what was kept of the first stays as it was."""
    facts = {"same_label": {"features": 0.5, "pixels": 0.25}, "queries": 4, "nearest": 6}
    pictures = {"images": np.zeros((1, 7, 4, 4, 3), np.uint8), "labels": np.zeros((1, 7), int)}
    answers = {"best": np.zeros((1, 1), int), "probabilities": np.ones((1, 1)), "names": np.array(["frog"])}
    monkeypatch.setattr(NeighbourGain, "from_weights", lambda *_: FromWeights(facts, pictures | answers))
    monkeypatch.setattr(
        trained_weights, "_finished", lambda planned, place, say: Trained(planned, place, MACHINE.label, "fp32")
    )
    titles = {}
    for fingerprint in ("0123456789ab", "ba9876543210"):
        planned = replace(small_run(fingerprint=fingerprint), claim="nearest_images")
        derive([planned], Place(MACHINE, tmp_path, tmp_path / "spool"), tmp_path, print, 0)
        titles[fingerprint] = str(read_arrays(arrays_of(planned, tmp_path))["title"])
    assert all(f"({fingerprint})" in title for fingerprint, title in titles.items())
    assert len(list((tmp_path / "figures").glob("*.npz"))) == 2


@pytest.mark.slow
def test_what_claims_ask_of_weights_is_kept_once_and_figure_4_is_drawn_from_it_without_them(trained, tmp_path):
    planned_runs, place, _ = trained
    asked = [replace(planned, claim=claim) for planned in planned_runs for claim in ("nearest_images", "column_colour")]
    said = []
    derive(asked, place, tmp_path, said.append, 0)
    content = TRAINED.read(tmp_path)["runs"]
    assert len(said) == 4 and len(content) == 2
    for planned in planned_runs:
        facts = content[run_name(planned.key, MACHINE.label)]
        assert set(facts) == {"kernels", "neighbours"}
        assert 0 <= facts["neighbours"]["same_label"]["pixels"] <= 1
    kept = read_arrays(arrays_of(planned_runs[0], tmp_path))
    feed = Trained(planned_runs[0], place, MACHINE.label, "fp32").feed
    queries = spread(feed.test[1].tolist(), 8)
    np.testing.assert_array_equal(kept["images"][:, 0], feed.test[0][queries].numpy())
    assert kept["labels"][:, 0].tolist() == feed.test[1][queries].tolist()
    assert kept["images"].shape[1] == kept["labels"].shape[1] == 7
    derive(asked, place, tmp_path, said.append, 0)
    assert len(said) == 4  # nothing is read twice


@pytest.mark.slow
@pytest.mark.parametrize(
    "facts", [{"one_view_top1": 0.5}, {"ten_views_top1": {"averaged": float("nan")}}, {"of": object()}, {"of": b"bytes"}]
)
def test_facts_that_could_not_be_read_again_are_left_out_and_cost_the_folder_nothing(trained, tmp_path, monkeypatch, facts):
    planned_runs, place, _ = trained
    asked, said = [replace(planned, claim="column_colour") for planned in planned_runs], []
    derive(asked, place, tmp_path, said.append, 0)
    before = (tmp_path / "trained.json").read_bytes()
    monkeypatch.setattr(Averaged, "from_weights", lambda measure, runs: FromWeights(facts))
    monkeypatch.setattr(trained_weights, "get_claim", lambda name: replace(get_claim(name), measure=Averaged(2)))
    derive(planned_runs, place, tmp_path, said.append, 0)
    assert said[-1].startswith("left out, trained.json: not written, because it could not be read again")
    assert (tmp_path / "trained.json").read_bytes() == before
    assert len(TRAINED.read(tmp_path)["runs"]) == 2


@pytest.mark.parametrize(
    ("first_seed", "seen_seeds", "first"), [(0, 0, 0), (10, 0, 10), (0, 10, 10), (10, 20, 20), (20, 10, 20)]
)
def test_what_is_read_is_of_the_seeds_that_are_judged(tmp_path, monkeypatch, first_seed, seen_seeds, first):
    """Those of the rule on, or those after the seeds that were seen before the claim was written, whichever come later."""
    place = Place(MACHINE, tmp_path, tmp_path / "spool")
    planned_runs = [replace(small_run(seed), claim=name) for name in ("averaged_nets", "nearest_images") for seed in range(40)]
    pictured, together = [], []
    monkeypatch.setattr(trained_weights, "get_claim", lambda name: replace(get_claim(name), seen_seeds=seen_seeds))
    monkeypatch.setattr(trained_weights, "_finished", lambda planned, place, say: Trained(planned, place, "here", "fp32"))
    monkeypatch.setattr(
        trained_weights, "_derive_alone", lambda run, *more: pictured.append(run.planned.seed) if more[-1] else None
    )
    monkeypatch.setattr(
        trained_weights, "_derive_together", lambda runs, *_: together.append([run.planned.seed for run in runs])
    )
    derive(planned_runs, place, tmp_path, print, first_seed)
    assert pictured == [first] and together == [list(range(first, first + 5))]
