"""All figures: synthetic data is marked, nothing is drawn without runs, and the files are always the same."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

from baselines.method import Look
from baselines.registry import METHODS
from benchmark.plan.experiments import experiments
from benchmark.plan.run_spec import RunSetting
from benchmark.report.figures.canvas import PNG_DPI, WIDTH, appearance, save
from benchmark.report.methods import STYLES, external_style, in_order, style_of
from benchmark.report.query import Results, RunGroup
from benchmark.report.report import FIGURES

Build = Callable[..., Results]
Draw = Callable[[str, Results], Figure]


@pytest.fixture
def everything(results_of: Build) -> Callable[[Any], Results]:
    """Two seeds of three methods and one seed of every variant, with everything that figures show."""

    def build(maker: Any) -> Results:
        test = {"ndcg@10": 0.05, "hr@10": 0.1, "cov@10": 0.3, "hr@1/bucket1": 0.1, "hr@10/bucket1": 0.2}
        test |= {"overlap": 0.25, "effective_rank": 40.0, "ece": 0.02, "popularity_kl@10": 0.8}

        def group(experiment: str, label: str, method: str, swept: float | None, seeds: int) -> RunGroup:
            settings = {"label": label}
            records = [maker.record(method, seed, test=test, settings=settings) for seed in range(seeds)]
            for record in records:
                record.metrics["ties-1"] = {"ndcg@10": 0.04}
            return RunGroup(experiment, label, method, swept, records=tuple(records))

        main = [group("main", method, method, None, 2) for method in ("popularity", "sasrec-ce", "btsr-ce")]
        variants = [
            group(name, variant.label, variant.method, variant.value, 1)
            for name, experiment in experiments(maker.dataset).items()
            if name != "main"
            for variant in experiment.variants
        ]
        trial = group("tune", "duorec: weight 0.1", "duorec", None, 1)
        return results_of(maker, [*main, *variants, trial], lambda record: maker.arrays())

    return build


def texts(figure: Figure) -> list[str]:
    """All texts of a figure."""
    return [text.get_text() for text in figure.findobj(mpl.text.Text) if text.get_text()]


@pytest.mark.parametrize(("name", "synthetic"), [("figure1-buckets", False), *((name, True) for name in FIGURES)])
def test_synthetic_data_is_marked(
    everything: Callable[[Any], Results], handmade: Callable[..., Any], draw: Draw, name: str, synthetic: bool
) -> None:
    figure = draw(name, everything(handmade("synthetic", "Synthetic", synthetic)))
    assert ("SYNTHETIC" in texts(figure)) == synthetic
    assert ("SYNTHETIC DATA" in figure.get_suptitle()) == synthetic


@pytest.mark.parametrize("name", FIGURES)
def test_the_dataset_heads_a_figure_and_every_axis_is_labelled(
    everything: Callable[[Any], Results], handmade: Callable[..., Any], draw: Draw, name: str
) -> None:
    results = everything(handmade("yelp", "Yelp", False))
    figure = draw(name, results)
    assert figure.get_suptitle().startswith("Yelp: ")
    for axis in figure.axes:
        place = axis.get_subplotspec()
        column = [other for other in figure.axes if other.get_subplotspec().colspan == place.colspan]
        row = [other for other in figure.axes if other.get_subplotspec().rowspan == place.rowspan]
        names = "".join(label.get_text() for other in row for label in other.get_yticklabels())
        assert figure.get_supxlabel() or any(other.get_xlabel() for other in column)
        assert figure.get_supylabel() or any(other.get_ylabel() for other in row) or any(map(str.isalpha, names))
    results.setting = RunSetting(hparams="released")
    assert draw(name, results).get_suptitle() == figure.get_suptitle(), "the setting is named in the caption"


def test_without_what_it_shows_a_figure_is_none(results_of: Build, handmade: Callable[..., Any]) -> None:
    maker = handmade()
    records = maker.record("sasrec-ce", epochs=[]), maker.record("btsr-ce", status="failed", epochs=[])
    groups = [RunGroup("main", record.method, record.method, records=(record,)) for record in records]
    without = results_of(maker, groups, lambda record: {"ranks": maker.arrays()["ranks"]})
    nothing = results_of(maker, [])
    with appearance():
        assert {name: figure(without) for name, figure in FIGURES.items()} == dict.fromkeys(FIGURES)
        assert {name: figure(nothing) for name, figure in FIGURES.items()} == dict.fromkeys(FIGURES)


def test_the_files_are_the_same_every_time(
    everything: Callable[[Any], Results],
    handmade: Callable[..., Any],
    draw: Draw,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    name = "figure1-buckets"
    results = everything(handmade("synthetic", "A $ sign", True))
    for folder in ("first", "second"):
        with appearance():
            paths = save(draw(name, results), tmp_path / folder / name)
        monkeypatch.setenv("SOURCE_DATE_EPOCH", "1000000000")
    assert [path.name for path in paths] == [f"{name}.pdf", f"{name}.png"]
    for path in paths:
        content = path.read_bytes()
        assert content == (tmp_path / "first" / path.name).read_bytes()
        assert b"CreationDate" not in content
        assert b"Matplotlib" not in content


def test_a_png_has_a_palette_and_the_colours_of_the_figure(
    everything: Callable[[Any], Results], handmade: Callable[..., Any], draw: Draw, tmp_path: Path
) -> None:
    with appearance():
        _, path = save(draw("figure1-buckets", everything(handmade())), tmp_path / "figure")
    with Image.open(path) as image:
        assert (image.mode, image.width) == ("P", WIDTH * PNG_DPI)
        colours = [colour for _, colour in image.convert("RGB").getcolors()]
    drawn = [int(style_of("btsr-ce").colour[i : i + 2], 16) for i in (1, 3, 5)]
    assert min(max(abs(np.subtract(colour, drawn))) for colour in colours) <= 2


def test_the_appearance_changes_nothing_for_others() -> None:
    before = dict(mpl.rcParams)
    with appearance():
        assert mpl.rcParams["pdf.fonttype"] == 42
    assert dict(mpl.rcParams) == before


def test_every_method_has_a_style_of_its_own_and_a_place() -> None:
    assert len({style.colour for style in STYLES.values()}) == len(STYLES)
    assert len({(style.marker, style.dashes) for style in STYLES.values()}) == len(STYLES)
    assert in_order(["zeta", "btsr-ce", "popularity", "alpha", "sasrec-sce", "btsr-ce"]) == [
        "sasrec-sce",
        "btsr-ce",
        "popularity",
        "alpha",
        "zeta",
    ]
    assert style_of("zeta").title == "zeta"


def test_methods_of_ones_own_are_drawn_as_they_say_or_each_in_another_way(monkeypatch: pytest.MonkeyPatch) -> None:
    steady = METHODS["sasrec-ce"]
    for name in ("one", "two", "three"):
        monkeypatch.setitem(METHODS, name, replace(steady, title=name.title()))
    monkeypatch.setitem(METHODS, "four", replace(steady, title="Four", look=Look("#123456", "D")))
    styles = [style_of(name) for name in ("one", "two", "three", "four")]
    styles += [external_style("Mine", place) for place in range(3)] + [STYLES[name] for name in STYLES]
    assert len({(style.colour, style.marker) for style in styles}) == len(styles)
    assert (styles[0].title, styles[3].colour, styles[3].marker) == ("One", "#123456", "D")


def lightness(colour: str) -> float:
    """CIE lightness, 0 to 100."""
    channels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    y = float(np.dot(linear, [0.2126, 0.7152, 0.0722]))
    return 116 * y ** (1 / 3) - 16 if y > (6 / 29) ** 3 else y * (29 / 3) ** 3


def test_methods_of_a_family_differ_in_grey() -> None:
    for family in ("sasrec-", "btsr-"):
        greys = sorted(lightness(style.colour) for name, style in STYLES.items() if name.startswith(family))
        assert len(greys) == 3
        assert min(np.diff(greys)) > 15
