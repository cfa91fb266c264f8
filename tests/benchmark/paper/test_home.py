"""The experiment `home` plans a run for every published number, with the settings it was published for."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from benchmark.paper.printed import published_runs
from benchmark.plan.config import Configuration
from benchmark.plan.dataset_facts import DatasetFacts
from benchmark.plan.experiments import experiments
from benchmark.plan.planner import choose_methods, plan
from datasets.protocol import Protocol
from datasets.registry import DATASETS

TABLE = Path(__file__).parents[3] / "benchmark" / "paper" / "home.csv"
FACTS = DatasetFacts("Any", False, Protocol.of_preset("leave-one-out", "none"), "fingerprint")


@pytest.mark.parametrize("hparams", ["equal", "released"])
@pytest.mark.parametrize("dataset", ["beauty", "ml-1m"])
def test_every_published_configuration_is_a_planned_run_with_its_settings(dataset: str, hparams: str) -> None:
    with TABLE.open(encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["dataset"] == dataset]
    runs = plan(Configuration(dataset, hparams, "paper"), FACTS, ["home"], choose_methods(None))
    assert [run.uses["home"] for run in runs] == [(row["label"],) for row in rows]
    for run, row in zip(runs, rows, strict=True):
        encoder, training = run.spec.encoder, run.spec.training
        shape = [encoder.width, encoder.blocks, encoder.heads, encoder.maxlen, training.batch_size]
        assert shape == [int(row[name]) for name in ("width", "blocks", "heads", "maxlen", "batch")]
        assert encoder.dropout == float(row["dropout"])
        assert training.rows == row["rows"]
        assert run.spec.evaluation.mask_seen == (row["mask_seen"] == "true")
        assert run.spec.method == row["label"].split()[0]
        assert getattr(run.spec.settings, "weight", None) == (float(row["contrast_weight"] or 0) or None)
        assert run.spec.seed == 0
    assert ["wide" in row["label"] for row in rows] == [False] * (len(rows) - 1) + [True], "the slowest comes last"


def test_one_negative_per_position_as_published() -> None:
    runs = plan(Configuration("ml-1m", "equal", "paper"), FACTS, ["home"], ["sasrec-bce"])
    assert [run.spec.settings.objective.negatives for run in runs] == [1]


def test_published_values_have_a_source_and_the_label_of_a_variant() -> None:
    for dataset in DATASETS:
        labels = [variant.label for variant in experiments(dataset)["home"].variants]
        found = published_runs(dataset)
        assert [run.label for run in found] == labels
        for run in found:
            assert run.source
            assert {"hr@10", "ndcg@10"} <= set(run.values)
            assert all(0 < value < 1 for value in run.values.values())
            assert run.values["ndcg@10"] < run.values["hr@10"]
    by_label = {run.label: run.values for run in published_runs("beauty")}
    assert by_label["duorec prefix"] == {"hr@5": 0.0546, "hr@10": 0.0845, "ndcg@5": 0.0352, "ndcg@10": 0.0443}
