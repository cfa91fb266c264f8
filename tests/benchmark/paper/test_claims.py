"""The paper's claims name existing variants and metrics, and --claim runs what they need."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from benchmark.cli.main import main, parse
from benchmark.cli.options import chosen_datasets
from benchmark.paper.claim import Claim, Names, Rule
from benchmark.paper.claims import CLAIMS, find_claim
from benchmark.paper.claims_on_methods import CLAIMS_ON_METHODS
from benchmark.paper.claims_on_settings import CLAIMS_ON_SETTINGS
from benchmark.plan.config import ConfigError
from benchmark.plan.experiments import experiments
from benchmark.report.claims.rules import RULES
from benchmark.store.store import Store
from datasets.registry import PAPER_DATASETS

METRIC_NAMES = re.compile(
    r"(hr|ndcg)@(1|5|10|20|50)(/bucket[123])?|cov@(1|5|10)(/bucket[123]/items)?|overlap|effective_rank|ece"
    r"|popularity_kl@10|target_score"
)
DOWNSTREAM = re.compile("(next-item|genre|age)/(probe|tuned)/(1|10|100)")
COSTS = ("fit_seconds", "seconds_per_epoch")


def labels_in(rule: Rule) -> list[str]:
    """All variant labels in a rule."""
    fields = rule._asdict()
    lists: list[Names] = [*fields.get("pairs", ()), fields.get("at", ()), fields.get("among", ())]
    lists += [fields.get("rivals", ()), fields["start"] if isinstance(fields.get("start"), tuple) else ()]
    singles = [fields[name] for name in ("start", "end", "label", "steady", "other") if name in fields]
    return [label for labels in lists for label in labels] + [each for each in singles if isinstance(each, str)]


@pytest.mark.parametrize("claim", CLAIMS.values(), ids=lambda claim: claim.id)
def test_a_claim_names_existing_datasets_variants_and_metrics(claim: Claim) -> None:
    assert type(claim.rule) in RULES
    assert claim.quote
    assert claim.place
    assert set(claim.datasets) <= set(PAPER_DATASETS)
    fields = claim.rule._asdict()
    for metric in (*fields.get("metrics", ()), *filter(None, [fields.get("metric")])):
        names = DOWNSTREAM if claim.rule.experiment == "downstream" else METRIC_NAMES
        assert metric in COSTS if fields.get("of_cost") else names.fullmatch(metric)
    for dataset in (*claim.datasets, "synthetic"):
        variants = experiments(dataset)[claim.rule.experiment].variants
        assert set(labels_in(claim.rule)) <= {variant.label for variant in variants}


def test_the_claims_cover_the_paper() -> None:
    assert len(CLAIMS) == len([*CLAIMS_ON_METHODS, *CLAIMS_ON_SETTINGS]) >= 40, "ids are unique"
    assert {dataset for claim in CLAIMS.values() for dataset in claim.datasets} == set(PAPER_DATASETS)


@pytest.mark.parametrize(
    ("claim", "methods"),
    [
        ("regimes-beat-baseline", {"sasrec-bce", "btsr-ce"}),
        ("low-regime-head", {"btsr-ce"}),
        ("alpha-zero-hurts", {"btsr-ce", "btsr-sce"}),
        ("noise-mitigated", {"sasrec-ce", "sasrec-sce", "btsr-ce", "btsr-sce"}),
        ("sce-best-objective", {"btsr-bce", "btsr-ce", "btsr-sce"}),
        ("beats-contrastive", {"cl4srec", "duorec", "ec4srec", "btsr-bce", "btsr-ce", "btsr-sce"}),
        ("pretraining-slower", {"two-stage", "btsr-ce"}),
        ("gowalla-hr1-peak", {"btsr-sce", "btsr-ce"}),  # CE is what is swept on data that is not the paper's
    ],
)
def test_a_claim_needs_the_methods_that_its_rule_compares(claim: str, methods: set[str]) -> None:
    assert set(find_claim(claim).methods) == methods


def test_a_claim_about_sets_asks_for_their_protocol(tmp_path: Path) -> None:
    options = parse(["--claim", "helps-sets", "--dataset", "beauty", "--protocol", "sets"])
    [dataset] = chosen_datasets(options, Store(tmp_path))
    assert (dataset.experiments, dataset.methods) == (("sets",), ("mf", "mf-bt"))
    with pytest.raises(ConfigError, match="add --protocol sets"):
        chosen_datasets(parse(["--claim", "helps-sets"]), Store(tmp_path), ["beauty"])


def test_a_claim_is_found_without_what_trains_or_tabulates() -> None:
    code = "import sys, benchmark.paper.claims; print(sorted({'torch', 'pandas', 'scipy'} & set(sys.modules)))"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


# --- the command line -----------------------------------------------------------------------------------------------


def test_a_claim_chooses_what_to_run(tmp_path: Path) -> None:
    options = parse(["--claim", "regimes-beat-baseline"])
    assert (options.experiments, options.methods) == (["regimes"], ["sasrec-bce", "btsr-ce"])

    def chosen(*words: str) -> list[str]:
        options = parse(["--claim", *words])
        return [dataset.name for dataset in chosen_datasets(options, Store(tmp_path), every=options.claim.datasets)]

    assert chosen("regimes-beat-baseline") == ["yelp"]
    assert chosen("substitution-costs") == ["yelp", "kindle-store"]
    assert chosen("substitution-costs", "--dataset", "synthetic") == ["synthetic"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--claim", "ce-beat-bce"], "--claim: unknown claim 'ce-beat-bce'; did you mean 'ce-beats-bce'?"),
        (["--claim", "ce-beats-bce", "--methods", "btsr"], "leave out --methods and --experiments"),
        (["--claim", "ce-beats-bce", "--experiments", "main"], "leave out --methods and --experiments"),
        (["--claim", "gowalla-hr1-peak", "--dataset", "yelp"], "is about gowalla, not about yelp"),
    ],
)
def test_wrong_options_are_one_line(arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
