"""A claim on one's own images, from tables to sentences: role, name and fingerprint, both sources of error, and splits."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from helpers import made_up_result

from alexnet.training.answers import answers_of
from study.judge.evidence import find
from study.plan.plan import make_plan
from study.plan.tuned import Tuned
from study.questions.scales import own_label, scale_named
from study.record import tables
from study.report.sentences import more_seeds_words, verdict_words, why

LABEL = own_label("own-pets-32px", 3, 160)
IMAGES = 40


def runs(label: str, fingerprint: str, without: int) -> list:
    """Runs of which 12 of 40 images are wrong, and `without` normalization so many more: by seed one more and one less."""
    found = []
    for planned in make_plan("response_norm", label, fingerprint, Tuned(), seeds=3):
        more = without + (0, 1, -1)[planned.seed] if planned.arm == "none" else 0
        wrong = np.arange(IMAGES) < 12 + more
        answers = replace(made_up_result(planned, None), answers=answers_of(~wrong), answers_ten_views=answers_of(~wrong))
        error = float(wrong.mean())
        found.append(replace(answers, test_error=error, test_error_ten_views=error, predicted_classes=3, chance_error=0.66))
    return found


@pytest.fixture
def results(tmp_path: Path) -> Path:
    tables.merge(tmp_path, runs(LABEL, "0123456789ab", 2))
    return tmp_path


def only(folder: Path):
    return [one for one in find(folder).found if one.claim_name == "response_norm"]


def test_own_images_have_their_role_name_and_fingerprint_and_earn_no_size(results):
    (found,) = only(results)
    assert (found.role, found.data, found.fingerprint) == ("own", "own-pets-32px", "0123456789ab")
    assert found.verdict.size == "not judged" and found.claims_in_family == 1


def test_a_verdict_says_that_the_images_limit_it(results):
    """Two more of 40 images wrong: 5 points, where the images alone have an error of 2.8 and 5 / 1.96 would be allowed."""
    (found,) = only(results)
    assert found.verdict.effect.estimate == pytest.approx(5.0) and found.verdict.direction == "undecided"
    assert found.verdict.look.image_error == pytest.approx(2.78, abs=0.01) and found.verdict.look.test_images == IMAGES
    assert "more images needed: about" in more_seeds_words(found) and "from the 40 test images" in why(found)
    assert verdict_words(found).startswith("undecided")


def test_another_split_of_the_same_images_is_told_beside(results):
    other = own_label("own-pets-32px-split1", 3, 160)
    tables.merge(results, runs(other, "ba9876543210", 0))
    found = only(results)
    assert len(found) == 2 and all("2 splits of these images gave +5.00, +0.00" in why(one) for one in found)


def test_the_scale_of_own_images_is_in_its_name_alone():
    scale = scale_named(LABEL)
    assert (scale.data, scale.side, scale.train_images, scale.diff["model.classes"]) == ("own-pets-32px", 32, 160, 3)


def test_a_run_that_only_the_few_test_images_cannot_tell_from_guessing_keeps_its_result_and_is_named(tmp_path):
    """Of 40 test images 28 wrong, where guessing has 26: the training images, with 40% errors, were learned."""
    made = runs(LABEL, "0123456789ab", 2)
    poor = np.arange(IMAGES) < 28
    at = next(at for at, one in enumerate(made) if one.asked.arm == "none")
    made[at] = replace(made[at], test_error=float(poor.mean()), answers=answers_of(~poor))
    tables.merge(tmp_path, made)
    (found,) = only(tmp_path)
    assert found.verdict.look.failures == () and found.verdict.effect.estimate == pytest.approx(5.0)
    assert "1 of 3 runs of none is no better than guessing on the 40 test images, but better on the training" in why(found)


def test_where_the_images_error_is_not_known_the_reason_is_said(tmp_path, results):
    made = runs(LABEL, "0123456789ab", 2)
    without, one_pair = tmp_path / "without", tmp_path / "one pair"
    tables.merge(without, [replace(one, answers=None, answers_ten_views=None) for one in made])
    tables.merge(one_pair, [one for one in made if one.seed == 0])
    (ten_views,) = [one for one in find(results).found if one.claim_name == "ten_views"]
    assert "alone: which of them each run answered correctly was not kept." in why(only(without)[0])
    assert "alone: what others would give takes two pairs with a result, or more." in why(only(one_pair)[0])
    assert "alone: for this measure, what others would give is not computed." in why(ten_views)
