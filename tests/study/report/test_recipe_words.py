"""study/report/recipe_words.py: settings as the pages tell them."""

import pytest

from study.report.recipe_words import setting_words


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.02 * 0.35, "0.007"),  # 0.006999999999999999
        (0.05 * 1.5178932768808219, "0.07589"),
        (0.0005, "0.0005"),
        (0.0, "0.0"),
        (5e-05, "5e-05"),
        (12345.678, "12345.678"),
        (320, "320"),
        (False, "False"),
        ("2012_disabled", "2012_disabled"),
        (float("inf"), "inf"),
    ],
)
def test_a_setting_has_four_significant_digits_and_no_noise_of_arithmetic(value, text):
    assert setting_words(value) == text
