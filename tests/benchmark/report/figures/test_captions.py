"""Every figure has a caption; it says whether the data is real and which figure of the paper it corresponds to."""

from __future__ import annotations

import pytest

from benchmark.plan.run_spec import RunSetting
from benchmark.report.figures.captions import caption, paper_figure
from benchmark.report.query import Results
from benchmark.report.report import FIGURES


def results(dataset: str = "yelp", title: str = "Yelp", synthetic: bool = False) -> Results:
    return Results(dataset, title, synthetic, RunSetting(), (), lambda record: None)


@pytest.mark.parametrize("name", FIGURES)
def test_every_figure_has_a_caption_that_marks_synthetic_data(name: str) -> None:
    assert caption(name, results()).startswith("Yelp. ")
    assert caption(name, results("synthetic", "Synthetic", True)).startswith("SYNTHETIC DATA")


@pytest.mark.parametrize(
    ("setting", "heading"),
    [
        (RunSetting(), "Yelp"),
        (RunSetting(hparams="released"), "Yelp (released hyper-parameters)"),
        (RunSetting(profile="paper-encoder.padding-masked"), "Yelp (encoder.padding=masked)"),
        (RunSetting(profile="quick-btsr-ce.alpha-0.1"), "Yelp (quick profile, btsr-ce.alpha=0.1)"),
        (RunSetting(profile=f"paper-{'x' * 90}"), f"Yelp (paper-{'x' * 33}… profile)"),
        (RunSetting("text", "released", "quick"), "Yelp (text protocol, released hyper-parameters, quick profile)"),
    ],
)
def test_another_setting_than_the_usual_is_named(setting: RunSetting, heading: str) -> None:
    shown = Results("yelp", "Yelp", False, setting, (), lambda record: None)
    assert shown.heading == heading
    assert caption("noise", shown).startswith(f"{heading}. ")


@pytest.mark.parametrize(
    ("dataset", "figures"),
    [("yelp", "Figures 3, 6 and 8"), ("ml-1m", "Figures 4, 6 and 8"), ("gowalla", "Figures 6 and 8")],
)
def test_the_sweep_of_alpha_is_another_figure_of_the_paper_on_each_dataset(dataset: str, figures: str) -> None:
    assert paper_figure("sensitivity-alpha", dataset) == figures
    assert caption("sensitivity-alpha", results(dataset, "T")).endswith(f"In the paper: {figures}.")


def test_a_figure_of_our_own_claims_no_place_in_the_paper() -> None:
    assert paper_figure("reliability", "yelp") == ""
    assert "In the paper" not in caption("reliability", results())
