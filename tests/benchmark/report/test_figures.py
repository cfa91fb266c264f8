"""What the figures draw is what the records say; synthetic data is marked; the files are the same every time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.colors import to_hex
from matplotlib.figure import Figure

from benchmark.plan.config import RunSetting
from benchmark.plan.experiments import experiments
from benchmark.report.comparison import main_comparison
from benchmark.report.figures.all_figures import FIGURES
from benchmark.report.figures.main import score_densities, singular_values
from benchmark.report.figures.style import save, style
from benchmark.report.material import ExperimentRuns, Material, VariantRuns
from benchmark.report.methods import LOOKS, in_order, look
from benchmark.report.rows import stored_runs
from benchmark.store.store import Store

METHODS = ("popularity", "sasrec-ce", "btsr-ce")


def fill(store: Store, maker: Any, methods: tuple[str, ...] = METHODS) -> Material:
    """Two seeds of each method; HR in bucket b is b / 10 plus a hundredth per seed. No experiments."""
    for method in methods:
        for seed in range(2):
            test = {"ndcg@10": 0.05 + 0.01 * seed, "cov@10": 0.3 + 0.1 * seed, "overlap": 0.25, "effective_rank": 40.0}
            test |= {f"hr@{k}/bucket{b}": b / 10 + seed / 100 for k in (1, 10) for b in (1, 2, 3)}
            test |= {"popularity_kl@10": 0.8 + 0.1 * seed, "ece": 0.02}
            arrays = maker.arrays()
            if method == "popularity":
                arrays = {name: array for name, array in arrays.items() if not name.startswith("singular")}
            epochs = [] if method == "popularity" else maker.epochs((0.02, 0.06 + 0.01 * seed, 0.04))
            record = maker.record(method, seed, test=test, epochs=epochs)
            record.metrics["ties-1"] = {"ndcg@10": 0.04}
            store.save(record, arrays)
    (runs,) = stored_runs(store.records(maker.dataset), store.data(maker.dataset), lambda _: None)
    return Material(runs, main_comparison(runs, store.arrays), {}, store.arrays)


def with_experiments(material: Material, maker: Any) -> Material:
    """The same with one seed of every variant of the experiments."""
    test = {"ndcg@10": 0.05, "hr@10": 0.1, "hr@1/bucket1": 0.1, "hr@10/bucket1": 0.2}
    found = {}
    for name, experiment in experiments(maker.dataset).items():
        variants = [
            VariantRuns(v.label, v.method, (maker.record(v.method, test=test, settings={"label": v.label}),), {})
            for v in experiment.variants
        ]
        found[name] = ExperimentRuns(name, experiment.title, tuple(variants))
    return replace(material, experiments=found)


def draw(name: str, material: Material) -> Figure:
    """A figure that is there."""
    with style():
        figure = FIGURES[name](material)
    assert figure is not None
    return figure


def texts(figure: Figure) -> list[str]:
    """Everything written in a figure."""
    return [text.get_text() for text in figure.findobj(mpl.text.Text) if text.get_text()]


def test_bars_are_the_means_over_seeds(store: Store, handmade: Callable[..., Any]) -> None:
    figure = draw("figure1-buckets", fill(store, handmade()))
    left, right = figure.axes
    assert (left.get_title(), right.get_title()) == ("HR@1", "HR@10")
    bars = {container.get_label(): container for container in left.containers if container.get_label()[0] != "_"}
    assert set(bars) == {"SASRec (CE)", "BT-SR (CE)"}
    assert [bar.get_height() for bar in bars["BT-SR (CE)"]] == pytest.approx([0.105, 0.205, 0.305])
    assert to_hex(bars["BT-SR (CE)"][0].get_facecolor()) == look("btsr-ce").colour.lower()


def test_an_overlap_and_its_densities_are_drawn_per_method(store: Store, handmade: Callable[..., Any]) -> None:
    figure = draw("figure2-scores", fill(store, handmade()))
    assert [axis.get_title() for axis in figure.axes] == ["SASRec (CE)", "BT-SR (CE)"]
    assert "Overlap\n0.250 ± 0.000" in texts(figure)
    targets = figure.axes[0].lines[1]
    assert targets.get_xdata()[np.argmax(targets.get_ydata())] == pytest.approx(4, abs=0.05)


def test_a_spectrum_is_shown_with_its_effective_rank(store: Store, handmade: Callable[..., Any]) -> None:
    figure = draw("figure2-spectrum", fill(store, handmade()))
    (axis,) = figure.axes
    assert [line.get_label() for line in axis.lines] == ["SASRec (CE): 40.0 ± 0.0", "BT-SR (CE): 40.0 ± 0.0"]
    assert np.sum(axis.lines[0].get_ydata()) == pytest.approx(1)


def test_learning_curves_follow_the_epochs(store: Store, handmade: Callable[..., Any]) -> None:
    figure = draw("learning-curves", fill(store, handmade()))
    drawn = [list(line.get_ydata()) for line in figure.axes[0].lines]
    for curve in ((0.02, 0.06, 0.04), (0.02, 0.07, 0.04), (0.02, 0.065, 0.04)):
        assert [pytest.approx(value) for value in curve] in drawn


def test_accuracy_and_coverage_has_every_method(store: Store, handmade: Callable[..., Any]) -> None:
    figure = draw("accuracy-coverage", fill(store, handmade()))
    shown = {container.get_label(): container.lines[0].get_xydata()[0] for container in figure.axes[0].containers}
    assert set(shown) == {"Most popular", "SASRec (CE)", "BT-SR (CE)"}
    assert shown["BT-SR (CE)"] == pytest.approx([0.35, 0.055])


@pytest.mark.parametrize(("name", "synthetic"), [("figure1-buckets", False), *((name, True) for name in FIGURES)])
def test_synthetic_data_is_marked(store: Store, handmade: Callable[..., Any], name: str, synthetic: bool) -> None:
    maker = handmade("synthetic", "Synthetic", synthetic)
    figure = draw(name, with_experiments(fill(store, maker), maker))
    assert ("SYNTHETIC" in texts(figure)) == synthetic
    assert ("SYNTHETIC DATA" in figure.get_suptitle()) == synthetic


@pytest.mark.parametrize("name", FIGURES)
def test_another_setting_than_the_usual_is_named(store: Store, handmade: Callable[..., Any], name: str) -> None:
    maker = handmade("yelp", "Yelp", False)
    material = with_experiments(fill(store, maker), maker)
    assert draw(name, material).get_suptitle().startswith("Yelp: ")
    runs = replace(material.runs, setting=RunSetting(hparams="released"))
    other = replace(material, runs=runs, comparison=main_comparison(runs, store.arrays))
    assert draw(name, other).get_suptitle().startswith("Yelp (released footing): ")


def test_without_what_it_shows_a_figure_is_none(store: Store, handmade: Callable[..., Any]) -> None:
    maker = handmade()
    store.save(maker.record("sasrec-ce", epochs=[]), {"ranks": maker.arrays()["ranks"]})
    store.save(maker.record("btsr-ce", status="failed", epochs=[]), {})
    (runs,) = stored_runs(store.records(), None, lambda _: None)
    material = Material(runs, main_comparison(runs, store.arrays), {}, store.arrays)
    nothing = replace(material, comparison=None, runs=replace(runs, records=()))
    with style():
        assert {name: figure(material) for name, figure in FIGURES.items()} == dict.fromkeys(FIGURES)
        assert {name: figure(nothing) for name, figure in FIGURES.items()} == dict.fromkeys(FIGURES)


def test_a_run_whose_arrays_are_lost_is_left_out(store: Store, handmade: Callable[..., Any]) -> None:
    material = fill(store, handmade())
    lost = material.runs.done("btsr-ce")[0]
    partial = replace(material, load=lambda record: None if record == lost else store.arrays(record))
    with style():
        figure = singular_values(partial)
        assert figure is not None
        assert len(figure.axes[0].lines) == 2
        assert score_densities(replace(material, load=lambda record: None)) is None


def test_the_files_are_the_same_every_time(
    store: Store, handmade: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = "figure1-buckets"
    material = fill(store, handmade("synthetic", "A $ sign", True))
    for folder in ("first", "second"):
        with style():
            figure = FIGURES[name](material)
            assert figure is not None
            paths = save(figure, tmp_path / folder / name)
        monkeypatch.setenv("SOURCE_DATE_EPOCH", "1000000000")
    assert [path.name for path in paths] == [f"{name}.pdf", f"{name}.png"]
    for path in paths:
        content = path.read_bytes()
        assert content == (tmp_path / "first" / path.name).read_bytes()
        assert b"CreationDate" not in content
        assert b"Matplotlib" not in content


def test_the_style_changes_nothing_for_others() -> None:
    before = dict(mpl.rcParams)
    with style():
        assert mpl.rcParams["pdf.fonttype"] == 42
    assert dict(mpl.rcParams) == before


def test_every_method_has_a_look_of_its_own_and_a_place() -> None:
    assert len({style.colour for style in LOOKS.values()}) == len(LOOKS)
    assert len({(style.marker, style.dashes) for style in LOOKS.values()}) == len(LOOKS)
    assert in_order(["zeta", "btsr-ce", "popularity", "alpha", "sasrec-sce", "btsr-ce"]) == [
        "sasrec-sce",
        "btsr-ce",
        "popularity",
        "alpha",
        "zeta",
    ]
    assert look("zeta").title == "zeta"


def lightness(colour: str) -> float:
    """CIE lightness, 0 to 100."""
    channels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    y = float(np.dot(linear, [0.2126, 0.7152, 0.0722]))
    return 116 * y ** (1 / 3) - 16 if y > (6 / 29) ** 3 else y * (29 / 3) ** 3


def test_methods_of_a_family_differ_in_grey() -> None:
    for family in ("sasrec-", "btsr-"):
        greys = sorted(lightness(style.colour) for name, style in LOOKS.items() if name.startswith(family))
        assert len(greys) == 3
        assert min(np.diff(greys)) > 15
