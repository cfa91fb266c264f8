from __future__ import annotations

from dataclasses import fields, is_dataclass, make_dataclass
from typing import Annotated, Any, Literal

import pytest
from annotated_types import Interval

from baselines.method import Entry
from baselines.registry import METHODS
from baselines.sasrec import SASRec
from baselines.settings import EncoderSettings, Share, check_bounds
from benchmark.plan.config import ConfigError, Configuration, _folder_name, assign
from benchmark.plan.dataset_facts import DatasetFacts
from benchmark.plan.run_spec import RunSpec, TrainingSettings
from benchmark.store.schema import NAME
from datasets.protocol import Protocol
from datasets.registry import DATASETS


def spec(
    method: str = "btsr-ce", dataset: str = "ml-1m", hparams: str = "equal", profile: str = "paper", *sets: str
) -> RunSpec:
    return Configuration(dataset, hparams, profile, sets).spec(
        DatasetFacts("ML-1M", False, Protocol(), "f"), method, seed=0
    )


def test_equal_hparams_are_the_same_for_all_methods() -> None:
    for dataset in DATASETS:
        specs = [spec(method, dataset) for method in METHODS]
        assert len({s.encoder for s in specs}) == 1
        assert len({s.training for s in specs}) == 1


def test_protocol_values_of_equal_hparams() -> None:
    s = spec()
    assert (s.encoder.width, s.encoder.blocks, s.encoder.heads, s.encoder.maxlen) == (64, 2, 1, 50)
    assert (s.training.batch_size, s.training.epochs, s.training.patience) == (256, 200, 15)
    assert (s.training.learning_rate, s.training.betas, s.training.weight_decay) == (1e-3, (0.9, 0.98), 0.0)
    assert s.encoder.dropout == 0.3
    assert spec(dataset="beauty").encoder.dropout == 0.5
    assert (s.settings.alpha, s.settings.lambd) == (0.2, 0.05)
    assert spec("sasrec-bce").settings.objective.negatives == 64


def test_released_hparams_of_single_methods() -> None:
    ce = spec("sasrec-ce", "beauty", "released")
    assert (ce.encoder.maxlen, ce.encoder.dropout, ce.training.batch_size, ce.training.patience) == (200, 0.6, 512, 10)
    sce = spec("sasrec-sce", "ml-1m", "released").settings.objective
    assert (sce.buckets, sce.size_x, sce.size_y, sce.mix) == (615, 615, 256, True)
    btsr = spec("btsr-ce", "ml-1m", "released")
    assert (btsr.encoder.dropout, btsr.training.patience, btsr.training.epochs) == (0.1, 30, 200)


def test_the_profile_overrides_the_hparams() -> None:
    assert spec(profile="quick", hparams="released").training.epochs < 50
    assert spec(profile="quick").encoder == spec().encoder


def test_set_reaches_every_section_and_overrides_everything() -> None:
    s = spec(
        "btsr-sce",
        "ml-1m",
        "equal",
        "paper",
        "training.epochs=3",
        "encoder.dropout=0",
        "btsr.alpha=1",
        "btsr-sce.objective.size_y=9",
        "btsr-ce.alpha=7",
        "training.betas=[0.8, 0.9]",
    )
    assert (s.training.epochs, s.encoder.dropout, s.settings.alpha) == (3, 0.0, 1.0)
    assert s.settings.objective.size_y == 9
    assert s.training.betas == (0.8, 0.9)
    assert s.profile != "paper", "hand-set values must not be reported as the profile's own"


def test_set_protocol() -> None:
    configuration = Configuration("ml-1m", "equal", "paper", ["protocol.filter=core", "protocol.ties=shuffle:3"])
    protocol = configuration.protocol(Protocol())
    assert (protocol.filter, protocol.ties) == ("core", "shuffle:3")
    assert configuration.profile == "paper", "the protocol has a label of its own"


@pytest.mark.parametrize(
    ("assignment", "fragments"),
    [
        ("training.epoch=3", ["training.epoch", "'epochs'"]),
        ("trainig.epochs=3", ["trainig", "'training'"]),
        ("btsr-xx.alpha=3", ["btsr-xx"]),
        ("btsr.alfa=3", ["alfa", "'alpha'"]),
        ("training.epochs=0", ["training.epochs", "0 is not allowed", "a whole number from 1 to 100000"]),
        ("training.epochs=2.5", ["whole number", "2.5"]),
        ("training.epochs=many", ["whole number", "many"]),
        ("encoder.dropout=1.5", ["1.5 is not allowed", "a number from 0 to 0.99"]),
        ("encoder.dropout=nan", ["nan is not allowed", "0 to 0.99"]),
        ("encoder.heads=7", ["64", "multiple", "7"]),
        ("btsr.normalise=off", ["per-dimension", "sum"]),
        ("btsr.alpha.beta=3", ["alpha", "beta"]),
        ("training.betas=0.9", ["2 numbers"]),
        ("training.betas=[0.9]", ["2 numbers"]),
        ("training.epochs", ["SECTION.KEY=VALUE"]),
        ("epochs=3", ["SECTION.KEY=VALUE"]),
        ("sasrec-sce.objective.mix=1", ["true or false"]),
    ],
)
def test_wrong_assignments_are_named_in_one_line(assignment: str, fragments: list[str]) -> None:
    with pytest.raises(ConfigError) as caught:
        _ = [spec(method, "ml-1m", "equal", "paper", assignment) for method in METHODS]
    message = str(caught.value)
    assert "\n" not in message
    assert all(fragment in message for fragment in fragments), message


def test_attended_padding_is_refused_with_other_layers() -> None:
    with pytest.raises(
        ConfigError, match=r"^encoder\.padding = attended is for .*encoder\.padding=masked with .*post$"
    ):
        spec("sasrec-ce", "ml-1m", "released", "paper", "encoder.norm=post")


def test_every_dataset_has_a_valid_configuration_for_all_hparams() -> None:
    for dataset in DATASETS:
        for hparams in ("equal", "released"):
            for method in METHODS:
                assert spec(method, dataset, hparams).seed == 0


@pytest.mark.parametrize(
    ("assignment", "fragments"),
    [
        ("sasrec-sce.objective=ce", ["objective", "objective.size_y"]),
        ("sasrec-ce.objective=5", ["objective", "none"]),
        ("protocol.preset=text", ["--protocol"]),
    ],
)
def test_tables_and_presets_cannot_be_set_as_a_whole(assignment: str, fragments: list[str]) -> None:
    with pytest.raises(ConfigError) as caught:
        Configuration("ml-1m", "equal", "paper", [assignment])
    assert all(fragment in str(caught.value) for fragment in fragments)


@pytest.mark.parametrize(
    "settings", [Protocol(), EncoderSettings(), TrainingSettings(), *(entry.settings for entry in METHODS.values())]
)
def test_every_number_has_bounds_and_a_default_within_them(settings: Any) -> None:
    check_bounds(settings)
    for field in fields(settings):
        value = getattr(settings, field.name)
        if not is_dataclass(value):
            assert assign(settings, field.name, value, "default") == settings


def settings_with(**kinds: Any) -> Any:
    return make_dataclass("Settings", [(name, kind, None) for name, kind in kinds.items()], frozen=True)()


@pytest.mark.parametrize(
    "kind",
    [
        float,
        int,
        int | None,
        tuple[float, ...],
        tuple[Share, float],
        Annotated[float, "a weight"],
        Annotated[float, Interval(ge=0)],
        Annotated[int, Interval(le=5)],
    ],
    ids=str,
)
def test_a_method_whose_settings_have_a_number_without_bounds_is_not_registered(kind: Any) -> None:
    unbounded = settings_with(share=Share, weight=kind)
    for settings in (unbounded, SASRec.Settings(objective=unbounded)):
        with pytest.raises(TypeError, match=r"Settings\.weight: .*Interval"):
            Entry("Mine", SASRec, settings)


def test_settings_with_bounds_are_registered() -> None:
    kinds = {"share": Share, "shares": tuple[Share, ...], "mode": Literal["a", "b"], "flag": bool, "word": str}
    Entry("Mine", SASRec, settings_with(**kinds))


COINCIDING = [
    ("training.learning_rate=1e-3", "training.learning_rate=1e+3"),
    ("ec4srec.refresh_after=[1, 2]", "ec4srec.refresh_after=[12]"),
    ("ec4srec.refresh_after=[1, 2]", "ec4srec.refresh_after=[1,2,]"),
    ("training.betas=[0.9, 0.98]", "training.betas=[0.9,0.98]"),
    ("btsr.alpha=0.3", "btsr.alpha=+0.3"),
]


@pytest.mark.parametrize(("one", "other"), COINCIDING)
def test_assignments_with_different_spelling_get_different_folders(one: str, other: str) -> None:
    names = {_folder_name(one), _folder_name(other)}
    assert len(names) == 2
    assert all(NAME.fullmatch(name) for name in names)


def test_an_assignment_that_can_be_a_folder_is_spelled_out() -> None:
    sets = [
        "training.epochs=50",
        "btsr.normalise=per-dimension",
        "training.learning_rate=1e-3",
        "protocol.quantile=0.9",
    ]
    assert Configuration("ml-1m", "equal", "quick", sets).profile == (
        "quick-training.epochs-50-btsr.normalise-per-dimension-training.learning_rate-1e-3"
    )


def test_attended_padding_is_part_of_the_run_key_and_masked_padding_is_not() -> None:
    assert "padding" not in spec().identity()["encoder"]
    attended = spec("sasrec-ce", "ml-1m", "released", "paper", "encoder.padding=attended")
    assert attended.identity()["encoder"]["padding"] == "attended"


def test_a_setting_that_only_part_of_a_family_has_is_an_error_that_names_this_part() -> None:
    with pytest.raises(ConfigError) as caught:
        Configuration("ml-1m", "equal", "paper", ["btsr.objective.size_y=64"])
    assert "only btsr-sce can have this setting, not btsr-bce, btsr-ce," in str(caught.value)
    assert "name the method, as in --set btsr-sce.objective.size_y=64" in str(caught.value)
    with pytest.raises(ConfigError, match="unknown key 'alhpa'; did you mean 'alpha'"):
        Configuration("ml-1m", "equal", "paper", ["btsr.alhpa=0.3"])


def test_a_setting_that_no_method_of_a_family_has_is_an_error_that_says_what_each_has() -> None:
    with pytest.raises(ConfigError) as caught:
        Configuration("ml-1m", "equal", "paper", ["btsr.objective.foo=4"])
    message = str(caught.value)
    assert message.startswith("--set btsr.objective.foo: no method of this family has that; ")
    assert "btsr-bce: unknown key 'foo'; known: negatives; " in message
    assert "btsr-sce: unknown key 'foo'; known: buckets, factor, mix, size_x, size_y; " in message
    with pytest.raises(ConfigError, match="unknown key 'foo'; there is nothing to set here"):
        Configuration("ml-1m", "equal", "paper", ["btsr-ce.objective.foo=4"])
