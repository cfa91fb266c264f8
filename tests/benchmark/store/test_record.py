"""Records survive a round trip through JSON, and what is wrong with invalid ones is said in one line."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from benchmark.store.record import PER_USER, RunRecord, check_arrays
from benchmark.store.schema import MAX_PLACE, RecordError


def test_a_record_comes_back_as_it_was(handmade: Callable[..., Any]) -> None:
    record = handmade().record(test={"ndcg@10": 0.05, "hr@10/bucket1": 0.1})
    assert RunRecord.from_json(record.to_json(), "record.json") == record


@pytest.mark.parametrize(
    ("footing", "profile", "hparams", "today"),
    [
        ("equal", "paper", "equal", "paper"),
        ("released", "quick", "released", "quick"),
        ("equal", "paper-tuned-training.epochs-3", "tuned", "paper-training.epochs-3"),
        ("external", "external", "external", "external"),
    ],
)
def test_early_records_that_say_footing_for_hparams_are_read(
    handmade: Callable[..., Any], footing: str, profile: str, hparams: str, today: str
) -> None:
    content = json.loads(handmade().record().to_json())
    del content["spec"]["hparams"]
    content["spec"] |= {"footing": footing, "profile": profile}
    spec = RunRecord.from_json(json.dumps(content), "old.json").spec
    assert (spec["hparams"], spec["profile"], "footing" in spec) == (hparams, today, False)


def test_the_text_is_sorted_and_ends_in_a_newline(handmade: Callable[..., Any]) -> None:
    text = handmade().record().to_json()
    keys = list(json.loads(text))
    assert keys == sorted(keys)
    assert text.endswith("}\n")
    assert text.startswith('{\n "command"')


def test_numpy_scalars_and_tuples_become_plain_json(handmade: Callable[..., Any]) -> None:
    record = handmade().record(test={"ndcg@10": np.float32(0.5)}, counts={"shape": (np.int64(3), 4)})
    assert json.loads(record.to_json())["metrics"]["test"] == {"ndcg@10": 0.5}
    assert json.loads(record.to_json())["counts"] == {"shape": [3, 4]}


def test_a_loss_that_is_not_finite_becomes_null_and_such_a_metric_is_left_out(
    handmade: Callable[..., Any],
) -> None:
    maker = handmade()
    epochs = maker.epochs((0.02, float("nan")))
    epochs[1]["loss"] = float("inf")
    record = maker.record(status="diverged", epochs=epochs)
    record = replace(record, metrics={"test": {"ndcg@10": float("nan")}, "validation": {}})
    content = json.loads(record.to_json())
    assert content["epochs"][1]["loss"] is None
    assert content["epochs"][1]["validation"] == {"ndcg@10": None}
    assert content["metrics"]["test"] == {}
    assert RunRecord.from_json(record.to_json(), "record.json").status == "diverged"


def edited(record: RunRecord, path: str, value: Any) -> str:
    """Set one field of a record's JSON, given by its dotted path, or remove it if the value is `...`."""
    content = json.loads(record.to_json())
    *parents, last = path.split(".")
    place = content
    for part in parents:
        place = place[part]
    if value is ...:
        del place[last]
    else:
        place[last] = value
    return json.dumps(content)


@pytest.mark.parametrize(
    ("path", "value", "complaint"),
    [
        (
            "status",
            "finished",
            "field status should be 'done', 'diverged', 'failed' or 'interrupted', found 'finished'",
        ),
        ("schema", 2, "field schema should be 1, which this version reads, found 2"),
        ("schema", True, "field schema should be a valid integer, found True"),
        ("spec.seed", "0", "field spec.seed should be a valid integer, found '0'"),
        ("spec.seed", True, "field spec.seed should be a valid integer, found True"),
        ("spec.seed", 1.0, "field spec.seed should be a valid integer, found 1.0"),
        ("spec.seed", -1, "field spec.seed should be greater than or equal to 0, found -1"),
        ("spec.synthetic", 1, "field spec.synthetic should be a valid boolean, found 1"),
        ("spec.dataset", "../../etc", "field spec.dataset should be a name like [a-z0-9]"),
        ("spec.dataset", "a\n", "field spec.dataset should be a name like [a-z0-9]"),
        ("spec.method.name", "BT SR", "field spec.method.name should be a name like [a-z0-9]"),
        ("spec.method.settings", {"title": "=1+1"}, "field spec.method.settings.title should be a title"),
        ("spec.protocol.ties", ..., "field spec.protocol.ties is missing"),
        ("data", [], "field data should be an object"),
        ("data.test_users", 0, "field data.test_users should be greater than or equal to 1, found 0"),
        ("epochs", {}, "field epochs should be a valid list, found {}"),
        ("timings.fit_seconds", -1.0, "field timings.fit_seconds should be greater than or equal to 0"),
        ("timings.fit_seconds", 1e13, "field timings.fit_seconds should be less than or equal to 10000"),
        ("metrics.test", {"ndcg@10": "high"}, "field metrics.test.ndcg@10 should be a valid number, found 'high'"),
        ("metrics.test", {"ndcg@10": True}, "field metrics.test.ndcg@10 should be a valid number, found True"),
        ("metrics.test", {"ndcg@10": 1e13}, "field metrics.test.ndcg@10 should be less than or equal to 10000"),
        ("metrics.ties-1", {"ndcg@10": "x"}, "field metrics.ties-1.ndcg@10 should be a valid number, found 'x'"),
        ("metrics.test", {"m" * 500: "x"}, f"field metrics.test.{'m' * (MAX_PLACE - 13)} should be a valid number"),
        ("metrics.test", {}, "field metrics.test is empty although the run is done"),
        ("command", "a\nb", "field command should be text on one line"),
        ("started", "yesterday", "field started should be an ISO 8601 time, found 'yesterday'"),
        ("surprise", 1, "field surprise is unknown"),
    ],
)
def test_an_invalid_field_is_named(handmade: Callable[..., Any], path: str, value: Any, complaint: str) -> None:
    with pytest.raises(RecordError) as caught:
        RunRecord.from_json(edited(handmade().record(), path, value), "some/record.json")
    assert str(caught.value).startswith(f"some/record.json: {complaint}")
    assert "\n" not in str(caught.value)


def test_an_invalid_epoch_is_named_with_its_index(handmade: Callable[..., Any]) -> None:
    maker = handmade()
    epochs = maker.epochs()
    epochs[1]["seconds"] = None
    with pytest.raises(RecordError, match=r"field epochs\[1\]\.seconds should be a valid number, found None"):
        maker.record(epochs=epochs).to_json()


@pytest.mark.parametrize("text", ["", "{", "[]", "null", "3", '{"a": NaN}', "[" * 100_000, b"\xff\xfe\x00", b"\x00"])
def test_garbage_gives_a_message_of_one_line(text: str | bytes) -> None:
    with pytest.raises(RecordError) as caught:
        RunRecord.from_json(text, "some/record.json")
    assert str(caught.value).startswith("some/record.json: ")
    assert "\n" not in str(caught.value)


def test_arrays_must_fit_the_record(handmade: Callable[..., Any]) -> None:
    maker = handmade(users=4)
    record, arrays = maker.record(), maker.arrays()
    check_arrays(record, arrays, "arrays.npz")
    for wrong, complaint in [
        (arrays | {"ranks": arrays["ranks"][:3]}, r"array ranks: shape \(3,\) does not fit 4 test users"),
        (arrays | {"ranks": arrays["ranks"][:, None]}, r"shape \(4,\) does not fit 4 test users"),
        (arrays | {"score_grid": np.array(["a"])}, "array score_grid: expected numbers"),
        ({}, "array ranks: missing although the run is done"),
    ]:
        with pytest.raises(RecordError, match=complaint):
            check_arrays(record, wrong, "arrays.npz")
    check_arrays(maker.record(status="failed"), {}, "arrays.npz")


def drawn_arrays(maker: Any) -> dict[str, np.ndarray]:
    """Arrays of a run that was tested on two draws."""
    return {
        name: np.stack([array] * 2, axis=1) if name in PER_USER else array for name, array in maker.arrays().items()
    }


def test_arrays_of_tie_draws_have_an_entry_for_each_user_and_draw(handmade: Callable[..., Any]) -> None:
    maker = handmade()
    check_arrays(maker.record(), drawn_arrays(maker), "arrays.npz")


@pytest.mark.parametrize(
    ("name", "change", "complaint"),
    [
        ("ranks", lambda a: a[:, :0], "array .*: shape .* does not fit 4 test users"),
        ("ranks", lambda a: a[..., None], "array .*: shape .* does not fit 4 test users"),
        ("ranks", lambda a: a[:, 0], "array .*: shape .* does not fit 4 test users"),
        ("ranks", lambda a: a[:3], "array .*: shape .* does not fit 4 test users"),
        ("top_items", lambda a: a[:, :1], "array top_items: shape .* does not fit 4 test users"),
        ("top_items", lambda a: a[:, 0], "array top_items: shape .* does not fit 4 test users"),
        ("target_buckets", lambda a: a[:3], "array target_buckets: shape .* does not fit 4 test users"),
        ("score_grid", lambda a: a[None], "array score_grid: shape .* does not fit 4 test users"),
        ("score_grid", lambda a: a[:5], "arrays score_grid, .*: expected equal lengths"),
    ],
)
def test_arrays_that_do_not_match_the_tie_draws_are_named(
    name: str, change: Callable[[np.ndarray], np.ndarray], complaint: str, handmade: Callable[..., Any]
) -> None:
    maker = handmade()
    arrays = drawn_arrays(maker)
    with pytest.raises(RecordError, match=complaint):
        check_arrays(maker.record(), arrays | {name: change(arrays[name])}, "arrays.npz")
